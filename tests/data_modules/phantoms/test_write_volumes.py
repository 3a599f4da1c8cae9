"""Volumes of the Zernike phantom on disk, through the command."""

import argparse
import hashlib

import numpy as np
import pandas as pd
import pytest
import tifffile

from data_modules.manifest import read_manifest
from data_modules.phantoms.write_volumes import write_volumes
from data_modules.phantoms.zernike_nanoct import ZernikeConfig
from data_modules.phantoms.zernike_volume import Specimens
from lotus.atomic import exclusively
from lotus.commands import phantom
from lotus.imaging import open_volume

pytestmark = pytest.mark.slow

SMALL = ("zernike_nanoct", "--shape", "10", "32", "32")


def make(output, *arguments):
    parser = argparse.ArgumentParser()
    phantom.add_arguments(parser)
    phantom.run(parser.parse_args([*arguments, "--output", str(output)]))


def digests(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    make(folder, *SMALL, "--patients", "2")
    return folder


def test_files_manifest_and_voxel_size(two):
    records = read_manifest(two / "manifest.csv")
    assert [(r.name, r.patient, r.z_start, r.z_stop, r.split, r.depth) for r in records] == [
        ("anatomix-01", "anatomix-01", 0, 8, None, 10),
        ("anatomix-01", "anatomix-01", 8, 10, "test", 10),
        ("anatomix-02", "anatomix-02", 0, 8, None, 10),
        ("anatomix-02", "anatomix-02", 8, 10, "test", 10),
    ]
    assert {(r.modality, r.mask_kind) for r in records} == {("zernike_nanoct", "semantic")}
    # 45 µm in 32 pixels of 94 nm: 15 of them are binned.
    size = 15 * 0.094
    for record in records:
        assert record.pixel_size_um == record.slice_spacing_um == pytest.approx(size)
        for path, dtype in ((record.image, np.uint16), (record.mask, np.uint8)):
            with open_volume(path) as volume:
                assert volume.shape == (10, 32, 32)
                assert volume.spacing_um == pytest.approx((size, size, size))
                assert volume.read(0).dtype == dtype
    assert not [path for path in two.rglob("*") if path.name.startswith(".")]


def test_truth_counts_what_the_label_maps_hold(two):
    truth = pd.read_csv(two / "zernike_nanoct/truth.csv").set_index("image")
    lacunae = pd.read_csv(two / "zernike_nanoct/lacunae.csv")
    assert list(truth.index) == ["anatomix-01", "anatomix-02"]
    for name, row in truth.iterrows():
        labels = tifffile.imread(two / "zernike_nanoct/labels" / f"{name}.tif")
        counts = np.bincount(labels.ravel(), minlength=4)
        assert len(counts) == 4
        assert row["lcn_per_bone"] == pytest.approx(counts[1] / counts[2:].sum(), rel=1e-4)
        own = lacunae[lacunae["image"] == name]
        assert row["n_lacunae"] == (own["seen_share"] >= 0.05).sum() > 0
        assert own["voxels"].sum() < counts[1]
    assert truth["lcn_per_bone"].nunique() == 2


def test_same_seed_gives_the_same_bytes_and_another_gives_others(two, tmp_path):
    make(tmp_path / "again", *SMALL, "--patients", "2", "--processes", "1")
    assert digests(tmp_path / "again") == digests(two)
    make(tmp_path / "other", *SMALL, "--patients", "2", "--seed", "1")
    images = [digests(folder / "zernike_nanoct/images") for folder in (two, tmp_path / "other")]
    assert images[0].keys() == images[1].keys()
    assert not set(images[0].values()) & set(images[1].values())
    assert len(set(images[0].values())) == 2


def test_what_is_finished_is_not_made_again(two, tmp_path):
    make(tmp_path, *SMALL)
    kept = tmp_path / "zernike_nanoct/images/anatomix-01.ome.tif"
    before = kept.stat().st_mtime_ns
    make(tmp_path, *SMALL, "--patients", "2")
    assert kept.stat().st_mtime_ns == before
    assert digests(tmp_path) == digests(two)
    # Truth is written last: without it a volume is not finished.
    (tmp_path / "zernike_nanoct/truth/anatomix-02.json").unlink()
    (tmp_path / "zernike_nanoct/images/anatomix-02.ome.tif").write_bytes(b"half")
    make(tmp_path, *SMALL, "--patients", "2")
    assert kept.stat().st_mtime_ns == before
    assert digests(tmp_path) == digests(two)
    # Other settings replace everything, fewer patients take their files along.
    make(tmp_path, *SMALL, "--beamline", "p05", "--test-share", "0")
    files = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert not [name for name in files if "anatomix" in name]
    (record,) = read_manifest(tmp_path / "manifest.csv")
    assert (record.name, record.z_start, record.z_stop, record.split) == (
        "p05-01",
        None,
        None,
        None,
    )


def test_other_phantoms_stay_beside_volumes(tmp_path):
    make(tmp_path, *SMALL)
    volume = digests(tmp_path / "zernike_nanoct")
    images = ("histology", "--patients", "1", "--slices", "1", "--size", "64")
    make(tmp_path, *images)
    assert digests(tmp_path / "zernike_nanoct") == volume
    modalities = [record.modality for record in read_manifest(tmp_path / "manifest.csv")]
    assert modalities == ["histology", "zernike_nanoct", "zernike_nanoct"]
    image = digests(tmp_path / "histology")
    make(tmp_path, *SMALL, "--seed", "3")
    assert digests(tmp_path / "histology") == image


def test_two_do_not_write_into_one_folder(tmp_path):
    folder = tmp_path / "zernike_nanoct"
    with (
        exclusively(folder, folder),
        pytest.raises(
            ValueError, match=r"another process is writing .*zernike_nanoct; wait for it"
        ),
    ):
        make(tmp_path, *SMALL)
    assert not list(folder.iterdir())


def test_interruption_leaves_no_half_file_and_no_claim(tmp_path, monkeypatch):
    make(tmp_path, *SMALL)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("data_modules.phantoms.zernike_volume.write_preview", interrupted)
    specimens = Specimens(ZernikeConfig(shape=(10, 32, 32)), 2)
    with pytest.raises(KeyboardInterrupt):
        write_volumes(specimens, tmp_path, 1)
    folder = tmp_path / "zernike_nanoct"
    assert not (tmp_path / "manifest.csv").exists()
    assert [file.name for file in (folder / "truth").iterdir()] == ["anatomix-01.json"]
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*SMALL, "--patients", "0"), "patients 0: take a whole number of at least 1"),
        ((*SMALL, "--seed", "-1"), "seed -1: take a whole number of at least 0"),
        ((*SMALL, "--test-share", "1"), "test_share 1: take a share from 0 to below 1"),
        (("zernike_nanoct", "--shape", "10", "32", "40"), "shape 10 32 40: "),
        (("histology", "--beamline", "p05"), "--beamline is for zernike_nanoct"),
        (("zernike_nanoct", "--photons", "9"), "--photons is for sr_microct"),
        (
            ("zernike_nanoct", "--shape", "9000000", "512", "512"),
            "1 volumes need .* GB while they are made, and .* GB are free",
        ),
    ],
)
def test_bad_arguments_give_one_line_and_write_nothing(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        make(tmp_path / "new", *arguments)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()
