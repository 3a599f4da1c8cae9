import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
import zarr

from lotus.atomic import exclusively
from lotus.imaging import open_volume, volume_writer, write_image
from lotus.imaging.ome_zarr import OmeZarr
from lotus.imaging.volume_stores import write_volume
from lotus.inference.segment_volume import segment_volume
from lotus.inference.volume_blocks import LabelledSlices
from lotus.inference.volume_options import VolumeOptions
from lotus.inference.volume_segmenter import load_volume_segmenter
from tests.inference.volumes import sensor3d, thresholds

SHAPE = (70, 20, 24)
VOXELS = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
EXPECTED = np.digitize(VOXELS / 255, [0.3, 0.6]).astype(np.uint8)
SPACING = (0.1, 0.1, 0.1)
CPU = VolumeOptions(device="cpu")


@pytest.fixture
def source(tmp_path):
    write_volume(tmp_path / "in.ome.zarr", VOXELS, SPACING)
    return tmp_path / "in.ome.zarr"


def segment(source, output, checkpoint, options=CPU, **more):
    """Labels and what was said."""
    said = []
    found = segment_volume(source, output, checkpoint, options, notify=said.append, **more)
    with open_volume(output) as volume:
        return np.stack([*volume.planes]), found, said


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def counting(done, stop=None):
    """A map that writes down which blocks it worked on, and is stopped after some."""

    def run(function, items):
        for item in items:
            if len(done) == stop:
                raise KeyboardInterrupt
            done.append(item)
            yield function(item)

    return run


def write_tiff(path):
    with volume_writer(path, SHAPE, np.uint8, SPACING) as write:
        for plane in VOXELS:
            write(plane)


def write_folder(path):
    path.mkdir()
    for number, plane in enumerate(VOXELS):
        write_image(path / f"s_{number:03d}.tif", plane, spacing_um=SPACING[1:])


@pytest.mark.parametrize("output", ["out.ome.zarr", "out.ome.tif", "new/out.zarr"])
def test_every_voxel_gets_its_most_probable_class(tmp_path, source, output):
    labels, found, _ = segment(source, tmp_path / output, thresholds(tmp_path / "a.ckpt"))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, EXPECTED)
    counts = np.bincount(EXPECTED.ravel()).tolist()
    assert found.voxels == dict(zip(("background", "lcn", "bone"), counts, strict=True))
    assert found.not_finite == 0
    with open_volume(tmp_path / output) as volume:
        assert volume.spacing_um == SPACING
    assert not list((tmp_path / output).parent.glob(".*"))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_carry_the_names_of_their_classes(tmp_path, source, version):
    options = VolumeOptions(device="cpu", version=version)
    segment(source, tmp_path / "out.zarr", thresholds(tmp_path / "a.ckpt"), options)
    found = OmeZarr.open(tmp_path / "out.zarr")
    assert (found.version, found.class_names) == (version, {1: "lcn", 2: "bone"})


@pytest.mark.parametrize("write", [write_tiff, write_folder])
def test_volumes_of_every_format_give_the_same(tmp_path, write):
    write(tmp_path / "in.tif")
    labels, _, _ = segment(
        tmp_path / "in.tif", tmp_path / "out.zarr", thresholds(tmp_path / "a.ckpt")
    )
    np.testing.assert_array_equal(labels, EXPECTED)


def test_blocks_give_what_the_whole_volume_gives(tmp_path, source):
    """Across the border of two blocks the network still sees the neighbouring slices."""
    checkpoint = sensor3d(tmp_path / "a.ckpt")
    labels, _, _ = segment(source, tmp_path / "out.zarr", checkpoint)
    assert len(np.unique(labels)) == 3
    with open_volume(source) as volume:
        slices = LabelledSlices(volume, load_volume_segmenter(checkpoint, CPU), None)
        np.testing.assert_array_equal(labels, [*slices.between(0, SHAPE[0])])


@pytest.mark.slow
@pytest.mark.parametrize("output", ["out.ome.zarr", "out.ome.tif"])
def test_a_stopped_run_goes_on_and_writes_the_same_to_the_byte(tmp_path, source, output):
    checkpoint = sensor3d(tmp_path / "a.ckpt")
    segment(source, tmp_path / "whole" / output, checkpoint)
    done = []
    with pytest.raises(KeyboardInterrupt):
        segment(source, tmp_path / "again" / output, checkpoint, run=counting(done, stop=2))
    assert not (tmp_path / "again" / output).exists()
    segment(source, tmp_path / "again" / output, checkpoint, run=counting(done))
    assert done == [0, 32, 64]
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")


def test_a_run_stopped_in_its_last_step_has_only_that_left(tmp_path, source, monkeypatch):
    checkpoint = thresholds(tmp_path / "a.ckpt")
    done = []

    def interrupted(store):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("lotus.imaging.volume_stores.ZarrStore.finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            segment(source, tmp_path / "out.zarr", checkpoint)
    labels, found, _ = segment(source, tmp_path / "out.zarr", checkpoint, run=counting(done))
    assert done == []
    np.testing.assert_array_equal(labels, EXPECTED)
    assert sum(found.voxels.values()) == EXPECTED.size


@pytest.mark.slow
@pytest.mark.parametrize("change", ["checkpoint", "options", "volume"])
def test_what_was_finished_counts_for_the_same_work_alone(tmp_path, source, change):
    checkpoint, options = sensor3d(tmp_path / "a.ckpt"), CPU
    done = []
    with pytest.raises(KeyboardInterrupt):
        segment(source, tmp_path / "out.zarr", checkpoint, run=counting(done, stop=1))
    if change == "checkpoint":
        sensor3d(tmp_path / "a.ckpt", seed=1)
    elif change == "options":
        options = VolumeOptions(device="cpu", window=64)
    else:
        write_volume(source, VOXELS[::-1], SPACING)
    labels, _, _ = segment(source, tmp_path / "out.zarr", checkpoint, options, run=counting(done))
    assert done == [0, 0, 32, 64]
    expected, _, _ = segment(source, tmp_path / "other.zarr", checkpoint, options)
    np.testing.assert_array_equal(labels, expected)


def test_two_processes_do_not_write_the_same_volume(tmp_path, source):
    checkpoint = thresholds(tmp_path / "a.ckpt")
    output = tmp_path / "out.zarr"
    expected = pytest.raises(ValueError, match=r"another process is writing .*out\.zarr")
    with exclusively(tmp_path / ".out.zarr.segmenting", output), expected:
        segment(source, output, checkpoint)


def test_voxels_without_a_value_are_background_and_counted(tmp_path):
    voxels = np.full((40, 36, 33), 0.9, np.float32)
    voxels[:, :3] = np.nan
    voxels[5, 10, 10] = np.inf
    voxels[0, 20, 20] = 0.0
    write_volume(tmp_path / "in.zarr", voxels, SPACING)
    # Where 0, which stands for no value, would be bone.
    state = {"weight": torch.zeros(3, 1, 1, 1), "bias": torch.tensor([0.0, 0.0, 1.0])}
    checkpoint = thresholds(tmp_path / "a.ckpt")
    content = torch.load(checkpoint)
    content["state_dict"] = {f"network.{name}": value for name, value in state.items()}
    torch.save(content, checkpoint)
    labels, found, _ = segment(tmp_path / "in.zarr", tmp_path / "out.zarr", checkpoint)
    np.testing.assert_array_equal(labels, np.where(np.isfinite(voxels), 2, 0))
    assert found.not_finite == 40 * 3 * 33 + 1
    assert found.voxels["background"] == found.not_finite


def test_the_folds_of_a_cross_validation_are_an_ensemble(tmp_path, source, monkeypatch):
    """Where one network is sure and the other one undecided, the sure one counts."""
    paths = [thresholds(tmp_path / f"{name}.ckpt") for name in "ab"]
    content = torch.load(paths[1])
    for name in content["state_dict"]:
        content["state_dict"][name] *= 0
    torch.save(content, paths[1])
    for module in ("volume_segmenter", "segment_volume"):
        monkeypatch.setattr(f"lotus.inference.{module}.checkpoint_files", lambda _: paths)
    assert len(load_volume_segmenter(tmp_path, CPU).networks) == 2
    labels, _, _ = segment(source, tmp_path / "out.zarr", tmp_path)
    np.testing.assert_array_equal(labels, EXPECTED)


def test_one_of_several_channels_is_segmented(tmp_path):
    channels = zarr.open_group(tmp_path / "c.zarr", mode="w", zarr_format=3)
    channels.create_array("0", data=np.stack([VOXELS, 255 - VOXELS]))
    axes = [{"name": name} for name in "czyx"]
    channels.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
    }
    checkpoint = thresholds(tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="choose one of the 2 along c"):
        segment(tmp_path / "c.zarr", tmp_path / "out.zarr", checkpoint)
    options = VolumeOptions(device="cpu", at=(("c", 0),), voxel_size_um=SPACING)
    labels, _, _ = segment(tmp_path / "c.zarr", tmp_path / "out.zarr", checkpoint, options)
    np.testing.assert_array_equal(labels, EXPECTED)


def test_what_it_takes_is_said_before(tmp_path, source):
    _, _, said = segment(
        source, tmp_path / "out.zarr", thresholds(tmp_path / "a.ckpt"), processes=2
    )
    assert len(said) == 1
    assert said[0].startswith("in.ome.zarr: 70 x 20 x 24 voxels, 3 blocks of 32 slices to do, 2 at")


def test_a_disk_that_is_too_small_is_refused_and_nothing_is_left(tmp_path, source, monkeypatch):
    checkpoint = thresholds(tmp_path / "a.ckpt")
    before = contents(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999))
    with pytest.raises(ValueError, match=r"out\.zarr needs about .*kB, and 999 B are free"):
        segment(source, tmp_path / "out.zarr", checkpoint)
    assert contents(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


def test_another_voxel_size_than_the_training_had_is_refused_or_said(tmp_path, source):
    output = tmp_path / "out.zarr"
    checkpoint = thresholds(tmp_path / "a.ckpt", spacing_um=[0.1, 0.1, 0.13])
    with pytest.raises(ValueError, match=r"in\.ome\.zarr has 0\.1 x 0\.1 x 0\.1 µm per voxel, the"):
        segment(source, output, checkpoint)
    checkpoint = thresholds(tmp_path / "a.ckpt", spacing_um=[0.1, 0.11, 0.1])
    _, _, said = segment(source, output, checkpoint)
    assert "the training volumes had 0.1 x 0.11 x 0.1 µm" in said[0]
    options = VolumeOptions(device="cpu", voxel_size_um=(0.1, 0.11, 0.1))
    _, _, said = segment(source, output, checkpoint, options)
    assert said[0].endswith("the given 0.1 x 0.11 x 0.1 µm are used")
    with open_volume(output) as volume:
        assert volume.spacing_um == (0.1, 0.11, 0.1)


def test_no_voxel_size_and_a_single_slice_are_said(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", VOXELS[0])
    _, _, said = segment(
        tmp_path / "in.tif", tmp_path / "out.ome.tif", sensor3d(tmp_path / "a.ckpt")
    )
    assert said[0].startswith("warning: in.tif does not state the size of its voxels")
    assert said[1].startswith("note: in.tif has one slice; the network, which sees 3, gets it 3")


def test_chunks_without_a_file_are_said(tmp_path, source):
    (source / "0/1/0/0").unlink()
    _, _, said = segment(source, tmp_path / "out.zarr", thresholds(tmp_path / "a.ckpt"))
    assert said[0].startswith("note: in.ome.zarr: 1 of 3 chunks have no file")


@pytest.mark.parametrize(
    ("name", "found"),
    [("out.png", "written as .ome.zarr or .ome.tif"), ("in.ome.zarr", "is the input")],
)
def test_an_output_that_cannot_be_is_refused(tmp_path, source, name, found):
    checkpoint = thresholds(tmp_path / "a.ckpt")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=found):
        segment(source, tmp_path / name, checkpoint)
    assert contents(tmp_path) == before


def test_a_missing_slice_and_a_flat_volume_are_refused(tmp_path):
    checkpoint = thresholds(tmp_path / "a.ckpt")
    write_folder(tmp_path / "in")
    (tmp_path / "in/s_004.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"found no s_004\.tif"):
        segment(tmp_path / "in", tmp_path / "out.zarr", checkpoint)
    write_volume(tmp_path / "flat.zarr", np.zeros((3, 4, 5), np.uint8), SPACING)
    with pytest.raises(ValueError, match=r"flat\.zarr: image is constant"):
        segment(tmp_path / "flat.zarr", tmp_path / "out.zarr", checkpoint)
    assert not list(tmp_path.glob(".*"))


def test_checkpoints_of_images_are_refused_and_those_of_volumes_do_not_segment_images(tmp_path):
    from lotus.inference.segmenter import load_segmenter

    checkpoint = thresholds(tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"is a volume_segmenter's.*VOLUME --output NAME"):
        load_segmenter(checkpoint, "cpu")
    content = torch.load(checkpoint)
    content["segmenter"] = content.pop("volume_segmenter")
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=r"is a segmenter's.*IMAGE --output FOLDER"):
        load_volume_segmenter(checkpoint, CPU)


@pytest.mark.parametrize(
    "wrong",
    [{"window": 33}, {"overlap": 1.0}, {"batch_size": 0}, {"voxel_size_um": (1.0, 0.0, 1.0)}],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        VolumeOptions(**wrong)
