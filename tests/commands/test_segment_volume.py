"""`lotus segment` of volumes from the command line."""

import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import tifffile

from lotus.cli import main
from lotus.imaging import open_volume
from lotus.imaging.volume_stores import write_volume
from tests.inference.volumes import sensor3d, thresholds

VOXELS = np.random.default_rng(0).integers(0, 256, (70, 20, 24)).astype(np.uint8)
SPACING = (0.1, 0.1, 0.1)


@pytest.fixture
def source(tmp_path):
    write_volume(tmp_path / "in.ome.zarr", VOXELS, SPACING)
    return tmp_path / "in.ome.zarr"


def segment(*arguments):
    return main(["segment", *map(str, arguments), "--device", "cpu"])


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_volume_is_labelled_and_its_classes_are_counted(tmp_path, source, capsys):
    checkpoint = thresholds(tmp_path / "a.ckpt")
    output = tmp_path / "out.ome.zarr"
    assert segment(source, "--checkpoint", checkpoint, "--output", output, "--processes", 1) == 0
    expected = np.digitize(VOXELS / 255, [0.3, 0.6])
    with open_volume(output) as volume:
        np.testing.assert_array_equal([*volume.planes], expected)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("in.ome.zarr: 70 x 20 x 24 voxels, 3 blocks of 32 slices to do, 1 at")
    shares = np.bincount(expected.ravel()) / expected.size
    assert said[1] == (
        f"background {shares[0]:.2%}, lcn {shares[1]:.2%}, bone {shares[2]:.2%} of 33600 voxels, "
        f"written to {output}"
    )


def test_voxels_without_a_value_are_counted(tmp_path, capsys):
    voxels = np.full((2, 5, 10), 0.5, np.float32)
    voxels[:, 0, 0] = np.nan
    voxels[0, 1, 1] = 0.9
    write_volume(tmp_path / "in.zarr", voxels, SPACING)
    checkpoint = thresholds(tmp_path / "a.ckpt")
    command = [tmp_path / "in.zarr", "--checkpoint", checkpoint, "--output", tmp_path / "o.tif"]
    assert segment(*command, "--processes", 1) == 0
    assert "note: 2 voxels (2.00%) hold no finite value; they are background" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("output", "more", "found"),
    [
        ("out.zarr", ("--threshold", 0.5), "--threshold goes with images"),
        ("out.tif", ("--pixel-size-um", 0.5), "--pixel-size-um goes with images"),
        ("out", ("--voxel-size-um", 0.5), "--voxel-size-um goes with volumes"),
        ("out", ("--engine", "ray"), "--engine goes with volumes"),
        ("out.zarr", ("--voxel-size-um", 1, 2), "given as 1 2; one positive number or three"),
        ("out.zarr", ("--at", "c=0"), "no axis c"),
        ("out", (), "labels volumes; use `lotus segment VOLUME --output NAME.ome.zarr`"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(
    tmp_path, source, capsys, output, more, found
):
    checkpoint = thresholds(tmp_path / "a.ckpt")
    before = contents(tmp_path)
    command = [source, "--checkpoint", checkpoint, "--output", tmp_path / output]
    assert segment(*command, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert found in line
    assert contents(tmp_path) == before


def test_an_axis_without_an_index_is_refused(tmp_path, source, capsys):
    assert segment(source, "--checkpoint", "a.ckpt", "--output", "out.zarr", "--at", "c") == 2
    assert "c is no axis with an index from 0, such as c=1" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("places", "name"),
    [(("--processes", 2), "out.ome.zarr"), (("--engine", "ray"), "out.ome.tif")],
)
def test_several_processes_write_the_same_to_the_byte(tmp_path, source, places, name, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    checkpoint = sensor3d(tmp_path / "a.ckpt")
    for folder, more in (("alone", ("--processes", 1)), ("together", places)):
        output = tmp_path / folder / name
        assert segment(source, "--checkpoint", checkpoint, "--output", output, *more) == 0
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


@pytest.mark.slow
def test_a_killed_run_goes_on_and_leaves_no_process(tmp_path):
    tifffile.imwrite(
        tmp_path / "in.tif", np.concatenate([VOXELS, VOXELS]), photometric="minisblack"
    )
    checkpoint = sensor3d(tmp_path / "a.ckpt")
    command = [tmp_path / "in.tif", "--checkpoint", checkpoint, "--output"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    output = tmp_path / "killed/out.ome.zarr"
    process = subprocess.Popen(
        [sys.executable, "-m", "lotus.cli", "segment", *command, output, "--processes", "2"],
        env=environment,
    )
    while not any((tmp_path / "killed").glob(".*/*/0*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert not output.exists()
    for folder in ("killed", "whole"):
        assert segment(*command, tmp_path / folder / "out.ome.zarr", "--processes", 1) == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
