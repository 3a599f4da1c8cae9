import csv
import zlib
from collections import Counter

import numpy as np
import pytest
import tifffile
from PIL import Image

from data_modules.adapters import bonesai, dsb2018, folder, nuinsseg
from data_modules.adapters.overrides import Overrides
from data_modules.manifest import ManifestError, read_manifest
from data_modules.pixel_sizes import native_spacing
from data_modules.splits import make_splits
from lotus.imaging.raster import read_image, read_label_map, write_image, write_label_map
from lotus.masks import MaskValues

SIZE = (6, 8)
LABELS = np.zeros(SIZE, np.uint8)
LABELS[1:3, 1:3], LABELS[4:6, 3:7] = 1, 2


def draw(path, seed=0, shape=SIZE, spacing_um=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    write_image(path, pixels, spacing_um)
    return pixels


class TestFolder:
    def make(self, root, labels=LABELS):
        for seed, name in enumerate(("P1_a", "P1_b", "P2_a")):
            draw(root / f"images/{name}.tif", seed, spacing_um=(0.5, 0.5))
            write_label_map(root / f"masks/{name}.png", labels)
        return root

    def test_pairs_by_stem_and_takes_what_files_say(self, tmp_path):
        root = self.make(tmp_path / "mine")
        records = read_manifest(folder.prepare(root, tmp_path / "out"))
        assert [record.name for record in records] == ["P1_a", "P1_b", "P2_a"]
        assert [record.mask.stem for record in records] == ["P1_a", "P1_b", "P2_a"]
        assert {record.mask_kind for record in records} == {"instances"}
        assert [record.pixel_size_um for record in records] == pytest.approx([0.5] * 3)
        assert {record.patient for record in records} == {"P1_a", "P1_b", "P2_a"}

    def test_masks_of_two_values_are_binary(self, tmp_path):
        root = self.make(tmp_path, np.where(LABELS, 255, 0))
        assert read_manifest(folder.prepare(root, tmp_path))[0].mask_kind == "binary"

    def test_what_values_stand_for_is_kept_in_the_manifest(self, tmp_path):
        root = self.make(tmp_path, np.where(LABELS, 2, 1))
        with pytest.raises(ValueError, match=r"P1_a\.png does not hold 0, the background"):
            folder.prepare(root, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        values = MaskValues.parse("background=1 object=2 ignore=255")
        record = read_manifest(folder.prepare(root, tmp_path, Overrides(mask_values=values)))[0]
        assert (record.mask_kind, record.mask_values) == ("binary", values)

    def test_masks_that_are_not_of_the_kind_that_is_given(self, tmp_path):
        stripes = np.where(np.arange(8) % 2, 255, 0) * np.ones((6, 1), int)
        root = self.make(tmp_path, stripes)
        with pytest.raises(ValueError, match="these are masks of kind binary"):
            folder.prepare(root, tmp_path / "out", Overrides(mask_kind="instances"))
        assert not (tmp_path / "out/manifest.csv").exists()

    def test_overrides(self, tmp_path):
        overrides = Overrides("sr_microct", r"(P\d)_", 1.25, "semantic")
        path = folder.prepare(self.make(tmp_path), tmp_path / "out", overrides)
        record = read_manifest(path)[1]
        assert (record.modality, record.patient) == ("sr_microct", "P1")
        assert (record.pixel_size_um, record.mask_kind) == (1.25, "semantic")

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [("(", "is not valid"), ("X", "does not match 'images/P1_a"), ("(X*)", "empty patient")],
    )
    def test_patient_patterns_that_find_nobody(self, tmp_path, pattern, message):
        with pytest.raises(ValueError, match=message):
            folder.prepare(self.make(tmp_path), tmp_path, Overrides(patient_pattern=pattern))

    def test_image_without_its_mask(self, tmp_path):
        root = self.make(tmp_path)
        draw(root / "images/extra.png", 9)
        with pytest.raises(ValueError, match=r"image without its mask: extra\.png") as error:
            folder.prepare(root, tmp_path / "out")
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()

    def test_mask_without_its_image(self, tmp_path):
        root = self.make(tmp_path)
        (root / "images/P2_a.tif").unlink()
        with pytest.raises(ValueError, match=r"mask without its image: P2_a\.png"):
            folder.prepare(root, tmp_path / "out")

    def test_unlabelled_images(self, tmp_path):
        root = self.make(tmp_path)
        draw(root / "unlabelled/new.png", 9)
        records = read_manifest(folder.prepare(root, tmp_path))
        assert [record.name for record in records if record.mask is None] == ["new"]

    def test_mask_of_another_size_leaves_an_earlier_manifest_alone(self, tmp_path):
        root = self.make(tmp_path)
        before = folder.prepare(root, tmp_path).read_bytes()
        write_label_map(root / "masks/P1_b.png", LABELS[:4])
        with pytest.raises(ManifestError, match="4 x 8") as error:
            folder.prepare(root, tmp_path)
        assert str(error.value).startswith(f"{tmp_path / 'manifest.csv'}: row 3, column mask")
        assert (tmp_path / "manifest.csv").read_bytes() == before

    def test_two_files_of_one_stem(self, tmp_path):
        root = self.make(tmp_path)
        draw(root / "images/P1_a.png", 7)
        with pytest.raises(ValueError, match="several files are called P1_a"):
            folder.prepare(root, tmp_path)

    def test_pixels_that_are_not_square(self, tmp_path):
        draw(tmp_path / "images/a.tif", spacing_um=(0.5, 0.25))
        (record,) = read_manifest(folder.prepare(tmp_path, tmp_path))
        assert record.pixel_size_um is None
        assert native_spacing(record) == pytest.approx((0.5, 0.25))
        path = folder.prepare(tmp_path, tmp_path, Overrides(pixel_size_um=0.5))
        assert read_manifest(path)[0].pixel_size_um == 0.5

    def test_which_channel_is_asked_and_taken(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 999, (3, *SIZE)).astype(np.uint16)
        root = self.make(tmp_path / "mine")
        for name in ("P1_a", "P1_b", "P2_a"):
            names = {"axes": "CYX", "Channel": {"Name": ["DAPI", "FITC", "Cy5"]}}
            path = root / f"images/{name}.ome.tif"
            (root / f"images/{name}.tif").unlink()
            tifffile.imwrite(path, pixels, photometric="minisblack", metadata=names)
        with pytest.raises(
            ValueError, match=r"3 channels \(0 DAPI, 1 FITC, 2 Cy5\); give"
        ) as error:
            folder.prepare(root, tmp_path / "out")
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()
        overrides = Overrides(channel=1, patient_pattern=r"(P\d)_")
        records = read_manifest(folder.prepare(root, tmp_path / "out", overrides))
        assert [record.patient for record in records] == ["P1", "P1", "P2"]
        assert [record.name for record in records] == ["P1_a", "P1_b", "P2_a"]
        for record in records:
            assert record.image.is_relative_to(tmp_path / "out/images")
            np.testing.assert_array_equal(read_image(record.image).array, pixels[1])

    def test_nothing_here(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="expected ROOT/images"):
            folder.prepare(tmp_path, tmp_path)
        with pytest.raises(FileNotFoundError, match="no such folder"):
            folder.prepare(tmp_path / "typo", tmp_path)


class TestDsb2018:
    def sample(self, root, name, pixels):
        path = root / f"stage1_train/{name}"
        (path / "images").mkdir(parents=True)
        (path / "masks").mkdir()
        Image.fromarray(pixels).save(path / f"images/{name}.png")
        for label in (1, 2):
            mask = np.where(label == LABELS, 255, 0).astype(np.uint8)
            mask[4, 3] = 255  # both masks claim this pixel
            Image.fromarray(mask).save(path / f"masks/{label}.png")

    def test_merges_one_mask_per_nucleus(self, tmp_path):
        rng = np.random.default_rng(0)
        grey = np.repeat(rng.integers(0, 90, (*SIZE, 1)), 4, 2).astype(np.uint8)
        bright = 255 - grey
        colour = rng.integers(0, 256, (*SIZE, 4)).astype(np.uint8)
        for pixels in (grey, bright, colour):
            pixels[..., 3] = 255
        for name, pixels in (("dark", grey), ("bright", bright), ("pink", colour)):
            self.sample(tmp_path / "in", name, pixels)
        records = read_manifest(dsb2018.prepare(tmp_path / "in", tmp_path / "out"))
        found = {record.name: record.modality for record in records}
        assert found == {"dark": "fluorescence", "bright": "cytology", "pink": "histology"}
        expected = LABELS.copy()
        expected[4, 3] = 1
        for record in records:
            np.testing.assert_array_equal(read_label_map(record.mask), expected)
        pink = next(record for record in records if record.name == "pink")
        np.testing.assert_array_equal(read_image(pink.image).array, colour[..., :3])
        dark = next(record for record in records if record.name == "dark")
        np.testing.assert_array_equal(read_image(dark.image).array, grey[..., 0])

    def test_image_without_masks_and_mask_of_another_size(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
        self.sample(tmp_path / "in", "x", pixels)
        masks = tmp_path / "in/stage1_train/x/masks"
        Image.fromarray(np.eye(5, dtype=np.uint8)).save(masks / "3.png")
        with pytest.raises(ValueError, match=r"3\.png: mask is 5 x 5; expected 6 x 8"):
            dsb2018.prepare(tmp_path / "in", tmp_path / "out")
        for mask in masks.iterdir():
            mask.unlink()
        with pytest.raises(FileNotFoundError, match="image without its masks"):
            dsb2018.prepare(tmp_path / "in", tmp_path / "out")

    def test_nuclei_in_many_places_are_named_where_they_would_have_gone(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
        self.sample(tmp_path / "in", "x", pixels)
        mask, other = sorted((tmp_path / "in/stage1_train/x/masks").iterdir())
        dots = np.zeros(SIZE, np.uint8)
        dots[::2, ::3] = 255
        Image.fromarray(dots).save(mask)
        other.unlink()
        with pytest.raises(ValueError, match=r"it in 9 places: .* of kind binary") as error:
            dsb2018.prepare(tmp_path / "in", tmp_path / "out")
        assert str(error.value).startswith(f"{tmp_path / 'out/masks'}: ")
        assert not (tmp_path / "out").exists()

    def test_list_without_its_columns(self, tmp_path):
        (tmp_path / "manifest.csv").write_text("id,image\n1,a.png\n")
        with pytest.raises(ValueError, match="no column domain, split, field, label"):
            dsb2018.prepare(tmp_path, tmp_path / "out")

    def test_output_must_not_be_the_data_set(self, tmp_path):
        with pytest.raises(ValueError, match="expected another folder"):
            dsb2018.prepare(tmp_path, tmp_path)

    @pytest.mark.slow
    def test_listed_real_images(self, shared_data, tmp_path):
        root = shared_data / "dsb2018"
        path = dsb2018.prepare(root, tmp_path)
        records = read_manifest(path)
        assert [file.name for file in tmp_path.iterdir()] == ["manifest.csv"]
        with (root / "manifest.csv").open(newline="") as file:
            rows = {row["id"]: row for row in csv.DictReader(file)}
        assert {record.name for record in records} == set(rows)
        counts = Counter((record.modality, record.split) for record in records)
        assert counts == Counter((row["domain"], row["split"]) for row in rows.values())
        for record in records[::40]:
            row = rows[record.name]
            nuclei = np.unique(read_label_map(record.mask))
            assert np.count_nonzero(nuclei) == int(row["n_nuclei"])
            assert (record.patient, record.group) == (row["field"], "unknown")
        assert make_splits(records).source == "manifest"


class TestNuinsseg:
    def test_prefers_the_label_maps_without_overlaps(self, tmp_path):
        for seed, organ in enumerate(("human bone marrow", "mouse femur")):
            name = organ.replace(" ", "_") + "_01"
            draw(tmp_path / organ / f"tissue images/{name}.png", seed, (*SIZE, 3))
            write_label_map(tmp_path / organ / f"label masks/{name}.tif", LABELS)
        modified = tmp_path / "mouse femur/label masks modify/mouse_femur_01.tif"
        write_label_map(modified, LABELS)
        marrow, femur = read_manifest(nuinsseg.prepare(tmp_path, tmp_path / "out"))
        assert (marrow.patient, marrow.mask.parent.name) == ("human bone marrow", "label masks")
        assert femur.mask == modified
        assert (femur.modality, femur.mask_kind) == ("histology", "instances")

    def test_image_without_its_mask(self, tmp_path):
        draw(tmp_path / "organ/tissue images/a.png")
        with pytest.raises(FileNotFoundError, match="no folder 'label masks modify'"):
            nuinsseg.prepare(tmp_path, tmp_path / "out")
        write_label_map(tmp_path / "organ/label masks modify/b.tif", LABELS)
        with pytest.raises(FileNotFoundError, match=r"a\.png: image without its mask"):
            nuinsseg.prepare(tmp_path, tmp_path / "out")


class TestBonesai:
    def sample(self, root, folder_name, sample, images, masks):
        for seed, name in enumerate(images):
            place = zlib.crc32(f"{folder_name} {sample} {seed}".encode())
            draw(root / folder_name / sample / f"tissue images/{name}", place)
        for name in masks:
            mask = root / folder_name / sample / f"mask binary/{name}"
            write_label_map(mask, np.where(LABELS, 255, 0))

    def test_both_modalities_with_diagnosis_and_joint_patients(self, tmp_path):
        root = tmp_path / "data"
        for sample in ("T1_S26", "T4_S31", "TC3_S7", "new"):
            self.sample(root, "bonesai-histo", sample, ["histo.tif"], ["mask.png"])
        self.sample(
            root,
            "bonesai-microct",
            "T1_S26",
            ["T1_S26_ct_1.tif", "T1_S26_ct_2.tif"],
            ["T1_S26_mask_2.png", "T1_S26_mask_1.png"],
        )
        records = read_manifest(bonesai.prepare(root, tmp_path / "out"))
        histology = {r.patient: r for r in records if r.modality == "histology"}
        assert {patient: record.group for patient, record in histology.items()} == {
            "T1_S26": "healthy",
            "T4_S31": "osteoporotic",
            "TC3_S7": "covid19",
            "new": "unknown",
        }
        assert histology["new"].name == "new_histo"
        np.testing.assert_array_equal(
            read_image(histology["new"].image).array,
            read_image(root / "bonesai-histo/new/tissue images/histo.tif").array,
        )
        microct = [record for record in records if record.modality == "sr_microct"]
        assert [record.mask.stem[-1] for record in microct] == ["1", "2"]
        assert {record.patient for record in microct} == {"T1_S26"}
        assert {record.mask_kind for record in records} == {"binary"}

    def test_masks_of_classes_are_not_taken_for_binary_ones(self, tmp_path):
        self.sample(tmp_path, "bonesai-histo", "S", ["a.tif"], ["a.png"])
        write_label_map(tmp_path / "bonesai-histo/S/mask binary/a.png", np.where(LABELS, 2, 1))
        with pytest.raises(ValueError, match=r"a\.png does not hold 0, the background"):
            bonesai.prepare(tmp_path, tmp_path / "out")
        assert not (tmp_path / "out/manifest.csv").exists()

    def test_masks_that_cannot_be_paired(self, tmp_path):
        images = ["a_1.tif", "a_2.tif"]
        self.sample(tmp_path, "bonesai-microct", "S", images, ["a_1.png", "a_3.png"])
        with pytest.raises(ValueError, match="cannot pair 2 images with 2 masks"):
            bonesai.prepare(tmp_path, tmp_path / "out")
