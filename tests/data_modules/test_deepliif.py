"""The DeepLIIF adapter on strips drawn here."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label as components_of

from data_modules.adapters import deepliif, deepliif_strip
from data_modules.adapters.overrides import Overrides
from data_modules.manifest import ManifestError, read_manifest
from data_modules.splits import make_splits, records_hash
from lotus.cli import main
from lotus.imaging.raster import read_image, read_label_map
from lotus.masks import MaskValues
from tests.data_modules.strips import BLUE, FOLDERS, GREEN, RED, draw_release, draw_strip


@pytest.fixture
def root(tmp_path):
    return draw_release(tmp_path / "release")


class TestNuclei:
    def test_by_hand(self):
        tile = np.zeros((8, 12, 3), np.uint8)
        tile[0:3, 0:3] = RED  # 9 pixels, positive
        tile[3:6, 3:6] = BLUE  # meets it at a corner only: another nucleus
        tile[0:3, 8:11] = BLUE
        tile[0, 8:10] = RED  # 2 of 9: negative by majority
        tile[0:3, 7] = GREEN
        tile[7, 0:4] = RED  # 4 pixels: not more than the threshold
        tile[7, 6:11] = RED  # 5 pixels
        instances, classes = deepliif_strip.nuclei(tile, size_threshold=4)
        expected = np.zeros((8, 12), int)
        expected[0:3, 0:3], expected[0:3, 8:11], expected[3:6, 3:6] = 1, 2, 3
        expected[7, 6:11] = 4
        np.testing.assert_array_equal(instances, expected)
        np.testing.assert_array_equal(classes, np.array([0, 1, 2, 2, 1])[expected])

    @pytest.mark.parametrize(
        ("colour", "found"),
        [
            ((151, 80, 0), 1),
            ((150, 80, 0), 0),
            ((151, 81, 0), 0),
            ((0, 80, 151), 2),
            ((200, 0, 200), 1),
            ((0, 255, 0), 0),
        ],
    )
    def test_thresholds(self, colour, found):
        instances, classes = deepliif_strip.nuclei(np.full((3, 3, 3), colour, np.uint8))
        assert (instances == (found > 0)).all()
        assert (classes == found).all()

    def test_random_tiles_against_another_labelling(self):
        rng = np.random.default_rng(0)
        for _ in range(20):
            tile = rng.choice([0, 80, 81, 150, 151, 255], (16, 16, 3)).astype(np.uint8)
            core = np.maximum(tile[..., 0], tile[..., 2]) > 150
            labels = components_of(core & (tile[..., 1] <= 80), connectivity=1)
            instances, classes = deepliif_strip.nuclei(tile, size_threshold=2)
            kept = [i for i in range(1, labels.max() + 1) if (labels == i).sum() > 2]
            assert instances.max() == len(kept)
            for number in kept:
                here = labels == number
                assert len(np.unique(instances[here])) == 1
                assert (instances == instances[here][0]).sum() == here.sum()
                assert len(np.unique(classes[here])) == 1
            np.testing.assert_array_equal(classes > 0, instances > 0)


class TestPrepare:
    def test_tiles_become_two_modalities_with_shared_masks(self, root, tmp_path):
        path = root / FOLDERS[0] / "Lung_20000_10000_0_1_1.10_0.90.png"
        strip = np.asarray(Image.open(path)).astype(int)
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        assert len(records) == 16
        ihc, fluorescence = (record for record in records if record.name == path.stem)
        assert (ihc.modality, fluorescence.modality) == ("ihc", "fluorescence")
        assert ihc.field == fluorescence.field
        assert ihc.mask == fluorescence.mask
        np.testing.assert_array_equal(read_image(ihc.image).array, strip[:, :32])
        dapi, marker = strip[:, 64:96], strip[:, 128:160]
        expected = np.stack([dapi, marker]).max(axis=(0, 3))
        np.testing.assert_array_equal(read_image(fluorescence.image).array, expected)
        instances, classes = deepliif_strip.nuclei(strip[:, 160:].astype(np.uint8))
        assert instances.max() == 4
        np.testing.assert_array_equal(read_label_map(ihc.mask), instances)
        semantic = read_manifest(tmp_path / "out/manifest_semantic.csv")
        masks = {record.name: record.mask for record in semantic}
        np.testing.assert_array_equal(read_label_map(masks[path.stem]), classes)
        assert set(np.unique(classes)) == {0, 1, 2}

    def test_both_manifests_have_one_split(self, root, tmp_path):
        instances = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        semantic = read_manifest(tmp_path / "out/manifest_semantic.csv")
        assert records_hash(instances) == records_hash(semantic)
        assert {record.mask_kind for record in instances} == {"instances"}
        assert {record.mask_kind for record in semantic} == {"semantic"}
        of_no_mask = [
            [replace(record, mask=None, mask_kind="binary") for record in records]
            for records in (instances, semantic)
        ]
        assert of_no_mask[0] == of_no_mask[1]

    def test_region_tissue_and_folder(self, root, tmp_path):
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        assert {(r.patient, r.group, r.split) for r in records} == {
            ("Lung_20000_10000", "lung", "train"),
            ("Bladder_22000_40000", "bladder", "train"),
            ("Lung_24000_8000", "lung", "val"),
            ("Bladder_30000_2000", "bladder", "test"),
        }
        assert make_splits(records).source == "manifest"

    def test_a_region_in_two_folders_is_never_divided(self, root, tmp_path, caplog):
        draw_strip(root / FOLDERS[2] / "Lung_20000_10000_3_3.png", 50)
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        assert {r.split for r in records if r.patient == "Lung_20000_10000"} == {None}
        assert {r.split for r in records if r.patient == "Bladder_30000_2000"} == {"test"}
        assert "1 of 4 patients have strips in several folders" in caplog.text

    def test_every_strip_a_patient_keeps_the_folders(self, root, tmp_path, caplog):
        draw_strip(root / FOLDERS[2] / "Lung_20000_10000_3_3.png", 50)
        pattern = Overrides(patient_pattern="[^/]+$", pixel_size_um=0.5)
        records = read_manifest(deepliif.prepare(root, root / "inside", pattern))
        assert len({record.patient for record in records}) == 9
        assert {record.split for record in records} == {"train", "val", "test"}
        assert {record.pixel_size_um for record in records} == {0.5}
        assert caplog.text == ""

    def test_the_folders_of_the_tool(self, root, tmp_path):
        expected = read_manifest(deepliif.prepare(root, tmp_path / "release"))
        for name, tool in zip(FOLDERS, ("train", "val", "test"), strict=True):
            (root / name).rename(root / tool)
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        assert [(r.name, r.split) for r in records] == [(r.name, r.split) for r in expected]

    def test_a_copy_in_another_folder_is_one_field_without_a_split(self, root, tmp_path, caplog):
        name = "Lung_20000_10000_0_0.png"
        shutil.copy(root / FOLDERS[0] / name, root / FOLDERS[1] / name)
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        assert len(records) == 16
        assert {r.split for r in records if r.patient == "Lung_20000_10000"} == {None}
        assert "1 of 4 patients have strips in several folders" in caplog.text

    def test_strips_of_one_image_are_left_out_and_named(self, root, tmp_path, caplog):
        strip = draw_strip(tmp_path / "a.png", 9)
        pixels = np.concatenate([strip[:, :32]] * 6, axis=1)
        Image.fromarray(pixels).save(root / FOLDERS[2] / "22_2.png")
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        assert len(records) == 16
        assert f"1 strips hold one image six times and are left out: {FOLDERS[2]}/22_2.png" in (
            caplog.text
        )

    def test_strips_that_name_no_region(self, root, tmp_path, caplog):
        draw_strip(root / FOLDERS[0] / "17_2.png", 50)
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        assert [(r.patient, r.group) for r in records if r.name == "17_2"] == [
            ("17_2", "unknown"),
            ("17_2", "unknown"),
        ]
        assert "1 strips name no region" in caplog.text

    def test_all_damaged_strips_are_named_at_once(self, root, tmp_path):
        strip = draw_strip(root / FOLDERS[1] / "Lung_24000_8000_1_1.png", 9)
        folder = root / FOLDERS[0]
        empty = strip.copy()
        empty[:, 160:] = 0
        dark = strip.copy()
        dark[:, 64:96], dark[:, 128:160] = 0, 0
        damaged = {"narrow": strip[:, :-1], "grey": strip[..., 0], "empty": empty, "dark": dark}
        for name, pixels in damaged.items():
            Image.fromarray(pixels).save(folder / f"{name}.png")
        (folder / "torn.png").write_bytes((folder / "dark.png").read_bytes()[:200])
        draw_strip(folder / "Lung_24000_8000_1_1.png", 10)
        with pytest.raises(ManifestError) as error:
            deepliif.prepare(root, tmp_path / "out")
        listed = dict(problem.split(": ", 1) for problem in error.value.problems)
        assert {name.split("/")[1] for name in listed} == {
            *(f"{name}.png" for name in (*damaged, "torn")),
            "Lung_24000_8000_1_1.png",
        }
        assert listed[f"{FOLDERS[0]}/narrow.png"] == (
            "found 191 x 32 pixels, expected 6 square tiles side by side (192 x 32)"
        )
        assert "expected 8-bit RGB" in listed[f"{FOLDERS[0]}/grey.png"]
        assert "found no nucleus of more than 4 pixels" in listed[f"{FOLDERS[0]}/empty.png"]
        assert "fluorescence image is constant" in listed[f"{FOLDERS[0]}/dark.png"]
        assert f"in {FOLDERS[0]} too" in listed[f"{FOLDERS[1]}/Lung_24000_8000_1_1.png"]
        assert not any("\n" in line for line in error.value.problems)
        assert not (tmp_path / "out/manifest.csv").exists()

    def test_a_strip_called_empty_may_have_no_nuclei(self, root, tmp_path):
        path = root / FOLDERS[0] / "Lung_20000_10000_2_2_empty.png"
        strip = draw_strip(path, 9)
        strip[:, 160:] = 0
        Image.fromarray(strip).save(path)
        records = read_manifest(deepliif.prepare(root, tmp_path / "out"))
        (mask,) = {record.mask for record in records if record.name == path.stem}
        assert not read_label_map(mask).any()

    def test_folders_and_options_that_are_refused(self, root, tmp_path):
        for option in (
            Overrides(modality="ihc"),
            Overrides(mask_kind="semantic"),
            Overrides(mask_values=MaskValues(ignore=255)),
        ):
            with pytest.raises(ValueError, match="leave out --modality, --mask-kind and --mask-v"):
                deepliif.prepare(root, tmp_path / "out", option)
        (root / FOLDERS[1]).rename(root / "val")
        with pytest.raises(FileNotFoundError, match="DeepLIIF_Validation_Set: no such folder"):
            deepliif.prepare(root, tmp_path / "out")

    def test_command(self, root, tmp_path, capsys):
        assert main(["prepare", "deepliif", str(root), "--output", str(tmp_path / "out")]) == 0
        printed = capsys.readouterr().out
        assert "16 images (8 fluorescence, 8 ihc)" in printed
        assert "patients: 4 (train 2, val 1, test 1 patients)" in printed
