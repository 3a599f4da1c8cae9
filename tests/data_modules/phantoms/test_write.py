"""Phantom data sets on disk, through the command."""

import argparse
import hashlib
import resource

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_modules.manifest import read_manifest
from data_modules.phantoms.contact_sheet import OUTLINE, contact_sheet
from data_modules.phantoms.image import PhantomImage
from data_modules.phantoms.write import Cohort, write_phantoms
from lotus.commands import phantom
from lotus.imaging.raster import read_image, read_label_map

pytestmark = pytest.mark.slow


def make(output, *arguments):
    parser = argparse.ArgumentParser()
    phantom.add_arguments(parser)
    phantom.run(parser.parse_args([*arguments, "--output", str(output)]))


SMALL = ("--patients", "3", "--slices", "2", "--size", "64")


def digests(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    make(folder, "sr_microct", "histology", *SMALL)
    return folder


def test_few_slices_are_labelled_and_groups_are_chosen(tmp_path):
    options = ("--groups", "healthy", "osteoporotic", "--labelled-slices", "1")
    make(tmp_path, "sr_microct", *SMALL, *options, "--differ", "lacunae")
    records = read_manifest(tmp_path / "manifest.csv")
    assert [r.group for r in records[::2]] == ["healthy", "osteoporotic", "healthy"]
    assert [r.mask is not None for r in records] == [True, False] * 3
    labels = tmp_path / "sr_microct/labels"
    assert len(list(labels.iterdir())) == 6
    assert set(pd.read_csv(tmp_path / "sr_microct/truth.csv")["slice"]) == {0, 1}
    make(tmp_path, "sr_microct", "--patients", "1", "--slices", "1", "--size", "64")
    assert [file.name for file in labels.iterdir()] == ["P01_s0_ct.tif"]
    with pytest.raises(ValueError, match="labelled_slices 0: take a whole number of at least 1"):
        make(tmp_path, "sr_microct", *SMALL, "--labelled-slices", "0")


def test_files_and_manifest(both):
    records = read_manifest(both / "manifest.csv")
    assert [r.modality for r in records] == ["histology"] * 6 + ["sr_microct"] * 6
    assert {r.patient for r in records} == {"P01", "P02", "P03"}
    assert {r.group for r in records} == {"healthy", "osteoporotic", "covid19"}
    assert {r.mask_kind for r in records} == {"instances"}
    assert len({r.name for r in records}) == 12
    assert "P01_s0_ct" in {r.name for r in records}
    for record in records:
        image = read_image(record.image)
        assert image.spacing_um == (record.pixel_size_um, record.pixel_size_um)
        assert image.array.dtype == (np.float32 if record.modality == "sr_microct" else np.uint8)
        assert read_label_map(record.mask).dtype == np.uint16


def test_truth_counts_what_the_label_maps_hold(both):
    for modality, suffix in (("sr_microct", "ct"), ("histology", "he")):
        truth = pd.read_csv(both / modality / "truth.csv").set_index("image")
        assert len(truth) == 6
        for name, row in truth.iterrows():
            assert name.endswith(suffix)
            labels = read_label_map(both / modality / "labels" / f"{name}.tif")
            assert row["n_lacunae"] == len(np.unique(labels[labels > 0]))


def test_sections_for_histomorphometry_are_of_the_same_patients(tmp_path):
    sizes = ("--patients", "2", "--slices", "2", "--size", "96")
    make(tmp_path / "a", "fluorescence", "trichrome", *sizes)
    make(tmp_path / "b", "trichrome", *sizes)
    make(tmp_path / "b", "fluorescence", *sizes)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    records = read_manifest(tmp_path / "a/manifest.csv")
    assert [(r.modality, r.patient) for r in records] == [
        (modality, patient)
        for modality in ("fluorescence", "trichrome")
        for patient in ("P01", "P01", "P02", "P02")
    ]
    assert {r.mask_kind for r in records} == {"semantic"}
    assert {r.pixel_size_um for r in records} == {1.0}
    truth = {}
    for modality, classes in (("fluorescence", 3), ("trichrome", 2)):
        found = pd.read_csv(tmp_path / "a" / modality / "truth.csv").set_index("image")
        masks = {r.name: read_label_map(r.mask) for r in records if r.modality == modality}
        assert set(np.unique(np.stack(list(masks.values())))) <= set(range(classes + 1))
        for name, mask in masks.items():
            assert found.loc[name, "BV/TV (%)"] == pytest.approx(100 * (mask > 0).mean(), abs=1)
        truth[modality] = found
    assert "MAR (um/d)" in truth["fluorescence"]
    assert "MAR (um/d)" not in truth["trichrome"]
    # The same patients, but never the same section.
    areas = [found["B.Ar (mm2)"].to_numpy() for found in truth.values()]
    assert (areas[0] != areas[1]).all()


def test_modalities_are_unpaired(both):
    scan = read_label_map(both / "sr_microct" / "labels" / "P01_s0_ct.tif")
    slide = read_label_map(both / "histology" / "labels" / "P01_s0_he.tif")
    assert (scan != slide).any()
    truth = [pd.read_csv(both / m / "truth.csv") for m in ("sr_microct", "histology")]
    assert (truth[0]["lacunae_per_mm3"] != truth[1]["lacunae_per_mm3"]).all()


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_in_any_order(both, tmp_path):
    make(tmp_path / "again", "histology", *SMALL)
    make(tmp_path / "again", "sr_microct", *SMALL)
    assert digests(tmp_path / "again") == digests(both)
    make(tmp_path / "other", "sr_microct", "histology", *SMALL, "--seed", "1")
    for modality in ("sr_microct", "histology"):
        images = [digests(folder / modality / "images") for folder in (both, tmp_path / "other")]
        assert images[0].keys() == images[1].keys()
        assert not set(images[0].values()) & set(images[1].values())


def test_a_modality_is_replaced_and_the_others_stay(tmp_path):
    make(tmp_path, "sr_microct", "histology", *SMALL)
    before = digests(tmp_path / "histology")
    make(tmp_path, "sr_microct", "--patients", "1", "--slices", "1", "--size", "64")
    records = read_manifest(tmp_path / "manifest.csv")
    assert [r.name for r in records if r.modality == "sr_microct"] == ["P01_s0_ct"]
    assert len(list((tmp_path / "sr_microct" / "images").iterdir())) == 1
    assert digests(tmp_path / "histology") == before


def test_interruption_leaves_whole_files_and_no_claim(tmp_path):
    make(tmp_path, "histology", "sr_microct", *SMALL)
    calls = 0

    def simulate(patient, rng):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        labels = rng.integers(0, 3, (64, 64)).astype(np.uint16)
        return PhantomImage(labels.astype(np.float32), labels, 1.6, {"n_lacunae": 2})

    with pytest.raises(KeyboardInterrupt):
        write_phantoms("sr_microct", "ct", simulate, Cohort(3, 2), tmp_path)
    assert {r.modality for r in read_manifest(tmp_path / "manifest.csv")} == {"histology"}
    images = sorted((tmp_path / "sr_microct" / "images").iterdir())
    assert [image.name for image in images] == [
        "P01_s0_ct.ome.tif",
        "P01_s1_ct.ome.tif",
        "P02_s0_ct.ome.tif",
    ]
    for image in images:
        assert read_image(image).array.shape == (64, 64)


def test_a_disk_that_takes_no_more_leaves_no_half_file(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            make(tmp_path, "sr_microct", *SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_options_reach_the_image(tmp_path):
    make(tmp_path, "sr_microct", *SMALL, "--pixel-size-um", "0.8", "--lacuna-contrast", "0.4")
    make(tmp_path / "plain", "sr_microct", *SMALL, "--pixel-size-um", "0.8")
    names = sorted(file.name for file in (tmp_path / "sr_microct" / "images").iterdir())
    faint, plain = (
        np.stack([read_image(folder / "sr_microct" / "images" / name).array for name in names])
        for folder in (tmp_path, tmp_path / "plain")
    )
    labels = np.stack(
        [read_label_map(tmp_path / "sr_microct" / "labels" / f"{n[:9]}.tif") for n in names]
    )
    assert read_image(tmp_path / "sr_microct" / "images" / names[0]).spacing_um == (0.8, 0.8)
    assert (faint - plain)[labels > 0].mean() > 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sr_microct", "--patients", "0"), "patients 0: take a whole number of at least 1"),
        (("sr_microct", "--slices", "0"), "slices 0: take a whole number of at least 1"),
        (("sr_microct", "--seed", "-1"), "seed -1: "),
        (("sr_microct", "--size", "8"), "size 8: at least 32 pixels"),
        (("sr_microct", "--lacuna-contrast", "1.5"), "lacuna_contrast 1.5: "),
        (("histology", "--photons", "100"), "--photons is for sr_microct"),
        (("histology", "--pixel-size-um", "50"), "pixel_size_um 50: take a value from"),
    ],
)
def test_bad_arguments_give_one_line_and_write_nothing(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        make(tmp_path / "new", *arguments)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


def test_output_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "taken"
    file.write_text("x")
    with pytest.raises(ValueError, match="is a file; --output is the folder"):
        make(file, "histology", *SMALL)


def test_contact_sheet_shows_outlines(both):
    with Image.open(both / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (2 * 272, 3 * 518, 3)  # two modalities, three groups
    assert (pixels == OUTLINE).all(axis=-1).any()
    grey = np.linspace(-1, 0, 100 * 90).reshape(100, 90)
    labels = np.zeros((100, 90), np.uint16)
    labels[40:50, 30:45] = 1
    sheet = contact_sheet([grey], [labels])
    outline = (sheet == OUTLINE).all(axis=-1)
    assert outline.sum() == 2 * (10 + 15)
    assert outline[:, :260].sum() == 0  # the left half stays plain


def test_contact_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="0 images, 0 label maps and 0 captions"):
        contact_sheet([], [])
