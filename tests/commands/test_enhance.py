import argparse
import base64
import io
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import psutil
import pytest
import tifffile
from PIL import Image

from data_modules.manifest import Record, read_manifest, write_manifest
from lotus.commands import enhance
from lotus.imaging import (
    open_volume,
    read_image,
    read_label_map,
    volume_writer,
    write_image,
    write_label_map,
)
from lotus.imaging.volume_stores import write_volume
from lotus.transforms import enhance_slice


@pytest.fixture
def volume():
    """Three slices of a bone disk with holes, float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:120, :140]
    bone = np.hypot(rows - 60, columns - 70) < 45
    slices = np.where(bone, 0.7, 0.2) + rng.normal(0, 0.03, (3, *bone.shape))
    slices[:, 50:54, 60:66] = 0.3
    return np.clip(slices, 0, 1).astype(np.float32)


def run(*arguments):
    parser = argparse.ArgumentParser()
    enhance.add_arguments(parser)
    enhance.run(parser.parse_args([str(argument) for argument in arguments]))


def test_volume_is_enhanced_slice_by_slice_and_keeps_its_pixel_size(tmp_path, volume):
    spacing = (0.8, 0.5, 0.25)
    with volume_writer(tmp_path / "in.tif", volume.shape, volume.dtype, spacing) as write:
        for plane in volume:
            write(plane)
    run(tmp_path / "in.tif", "--output", tmp_path / "out.tif", "--mask", tmp_path / "mask.tif")
    expected = [enhance_slice(plane) for plane in volume]
    enhanced = tifffile.imread(tmp_path / "out.tif")
    assert enhanced.dtype == np.float32
    np.testing.assert_array_equal(enhanced, [image for image, _ in expected])
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "mask.tif"), 255 * np.array([bone for _, bone in expected])
    )
    for name in ("out.tif", "mask.tif"):
        with open_volume(tmp_path / name) as written:
            assert written.spacing_um == spacing


def test_one_image_keeps_its_pixel_size(tmp_path, volume):
    write_image(tmp_path / "in.tif", volume[0], spacing_um=(0.5, 0.25))
    run(tmp_path / "in.tif", "--output", tmp_path / "out.tif")
    written = read_image(tmp_path / "out.tif")
    assert written.spacing_um == pytest.approx((0.5, 0.25))
    np.testing.assert_array_equal(written.array, enhance_slice(volume[0])[0])


def test_folder_gives_one_tiff_per_image(tmp_path, volume):
    source = tmp_path / "in"
    source.mkdir()
    write_image(source / "a.ome.tif", volume[0])
    write_image(source / "b.png", np.uint8(255 * volume[1]))
    (source / "notes.txt").write_text("no image")
    run(source, "--output", tmp_path / "out")
    names = ["a.ome.tif", "b.tif"]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tif")) == names
    assert sorted(p.name for p in (tmp_path / "out/bone").iterdir()) == names
    expected, _ = enhance_slice(np.uint8(255 * volume[1]))
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "b.tif").array, expected)


def test_settings_reach_the_enhancement(tmp_path, volume):
    volume[0, :, :25] += 0.25  # a third, smallest phase
    write_image(tmp_path / "in.tif", volume[0] - 1)
    settings = ("--cluster", "smallest", "--opening-px", 5, "--closing-px", 3)
    run(tmp_path / "in.tif", "--output", tmp_path / "out.tif", *settings)
    expected, bone = enhance_slice(volume[0] - 1, "smallest", opening_px=5, closing_px=3)
    assert 0.05 < bone.mean() < 0.25
    np.testing.assert_array_equal(read_image(tmp_path / "out.tif").array, expected)


def test_a_manifest_is_enhanced_to_one_with_bone_masks(tmp_path, volume):
    write_label_map(tmp_path / "b_mask.tif", volume[1] < 0.5)
    records = []
    for name, plane in zip("cab", volume, strict=True):
        write_image(tmp_path / f"{name}.png", np.uint8(255 * plane))
        record = Record(
            tmp_path / f"{name}.png", None, "binary", "sr_microct", name.upper(), "healthy", 0.9
        )
        records.append(record)
    records[2] = replace(records[2], mask=tmp_path / "b_mask.tif", split="test")
    write_manifest(tmp_path / "manifest.csv", records)
    run(tmp_path / "manifest.csv", "--output", tmp_path / "out")
    written = read_manifest(tmp_path / "out/manifest.csv")
    for record, raw, plane in zip(written, records, volume, strict=True):
        enhanced, bone = enhance_slice(np.uint8(255 * plane))
        found = read_image(record.image)
        np.testing.assert_array_equal(found.array, enhanced)
        assert found.spacing_um == pytest.approx((0.9, 0.9))
        np.testing.assert_array_equal(read_label_map(record.tissue), 255 * bone)
        assert replace(record, image=raw.image, tissue=None) == raw
    with pytest.raises(ValueError, match=r"manifest\.csv would be written over"):
        run(tmp_path / "manifest.csv", "--output", tmp_path)


def test_padding_is_left_out_and_reported(tmp_path, volume, capsys):
    rows, columns = np.mgrid[:120, :140]
    outside = ((rows - 59.5) / 60) ** 2 + ((columns - 69.5) / 70) ** 2 > 1
    padded = np.where(outside & (np.arange(3) > 0)[:, None, None], np.float32(-32768), volume)
    tifffile.imwrite(tmp_path / "in.tif", padded)
    sizes = ("--opening-px", 5, "--closing-px", 3)
    run(tmp_path / "in.tif", "--output", tmp_path / "auto.tif", *sizes)
    said = "slices have a constant border of -32768"
    assert f"2 {said}" in capsys.readouterr().out
    expected = [enhance_slice(plane, opening_px=5, closing_px=3)[0] for plane in padded]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "auto.tif"), expected)
    given = ("--padding-value", "-32768")
    run(tmp_path / "in.tif", "--output", tmp_path / "given.tif", *sizes, *given)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "given.tif"), expected)
    capsys.readouterr()
    run(tmp_path / "in.tif", "--output", tmp_path / "none.tif", *sizes, "--padding-value", "none")
    assert said not in capsys.readouterr().out
    assert (tifffile.imread(tmp_path / "none.tif")[1] != expected[1]).any()
    with pytest.raises(SystemExit):
        run(tmp_path / "in.tif", "--output", tmp_path / "o.tif", "--padding-value", "black")
    assert "--padding-value" in capsys.readouterr().err


def test_blank_slices_of_a_volume_stay_blank_and_are_counted(tmp_path, volume, capsys):
    volume[0] = 0.0
    volume[2] = np.nan
    tifffile.imwrite(tmp_path / "in.tif", volume)
    run(tmp_path / "in.tif", "--output", tmp_path / "out.tif")
    enhanced = tifffile.imread(tmp_path / "out.tif")
    assert not enhanced[[0, 2]].any()
    assert enhanced[1].any()
    assert "2 slices" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((40, 40), np.float32), r"in\.tif: image is constant"),
        (np.full((40, 40), np.nan, np.float32), r"in\.tif: image has no finite value"),
        (np.zeros((40, 40, 3), np.uint8), r"in\.tif has 3 channels"),
        (np.zeros((3, 40, 40, 3), np.uint8), r"in\.tif"),
    ],
)
def test_unusable_images_are_refused_and_leave_nothing(tmp_path, image, found):
    tifffile.imwrite(tmp_path / "in.tif", image)
    with pytest.raises(ValueError, match=found):
        run(tmp_path / "in.tif", "--output", tmp_path / "o.tif", "--mask", tmp_path / "m.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_truncated_volume_is_refused_and_leaves_nothing(tmp_path, volume):
    tifffile.imwrite(tmp_path / "in.tif", volume, compression="zlib")
    data = (tmp_path / "in.tif").read_bytes()
    (tmp_path / "in.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"in\.tif"):
        run(tmp_path / "in.tif", "--output", tmp_path / "out.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_input_is_never_overwritten(tmp_path, volume):
    write_image(tmp_path / "in.tif", volume[0])
    before = (tmp_path / "in.tif").read_bytes()
    with pytest.raises(ValueError, match="input"):
        run(tmp_path / "in.tif", "--output", tmp_path / "." / "in.tif")
    with pytest.raises(ValueError, match="input"):
        run(tmp_path, "--output", tmp_path)
    with pytest.raises(ValueError, match="written twice"):
        run(tmp_path / "in.tif", "--output", tmp_path / "o.tif", "--mask", tmp_path / "o.tif")
    assert (tmp_path / "in.tif").read_bytes() == before


def test_names_that_would_collide_are_refused(tmp_path, volume):
    write_image(tmp_path / "a.tif", volume[0])
    write_image(tmp_path / "a.png", np.uint8(255 * volume[0]))
    with pytest.raises(ValueError, match=r"a\.png and a\.tif"):
        run(tmp_path, "--output", tmp_path / "out")


def test_missing_inputs_and_wrong_names_are_refused(tmp_path, volume):
    with pytest.raises(FileNotFoundError, match="none"):
        run(tmp_path / "none.tif", "--output", tmp_path / "out.tif")
    with pytest.raises(FileNotFoundError, match="no image"):
        run(tmp_path, "--output", tmp_path / "out")
    write_image(tmp_path / "in.tif", volume[0])
    with pytest.raises(ValueError, match=r"out\.png"):
        run(tmp_path / "in.tif", "--output", tmp_path / "out.png")


def write_series(folder, volume, names="12345678"):
    folder.mkdir(exist_ok=True)
    for name, plane in zip(names, volume, strict=False):
        write_image(folder / f"s_{name}.tif", plane, spacing_um=(0.5, 0.25))


@pytest.mark.parametrize("name", ["out.tif", "out.ome.zarr"])
def test_a_folder_of_slices_becomes_one_volume_with_its_bone_beside(tmp_path, volume, name):
    write_series(tmp_path / "in", volume, ["9", "10", "11"])
    run(tmp_path / "in", "--output", tmp_path / name)
    expected = [enhance_slice(plane) for plane in volume]
    bone = {"out.tif": "out_bone.tif", "out.ome.zarr": "out.ome.zarr/labels/bone"}[name]
    for path, voxels in (
        (name, [image for image, _ in expected]),
        (bone, [np.uint8(255) * mask for _, mask in expected]),
    ):
        with open_volume(tmp_path / path) as written:
            np.testing.assert_array_equal(list(written.planes), voxels)
            assert written.spacing_um == pytest.approx((None, 0.5, 0.25))


def test_an_ome_zarr_is_enhanced_and_keeps_its_voxel_size(tmp_path, volume):
    write_volume(tmp_path / "in.ome.zarr", volume.astype(np.float32), (0.8, 0.5, 0.25))
    run(tmp_path / "in.ome.zarr", "--output", tmp_path / "out")
    with open_volume(tmp_path / "out/in.tif") as written:
        assert written.spacing_um == (0.8, 0.5, 0.25)
        np.testing.assert_array_equal(written.read(2), enhance_slice(volume[2])[0])


def test_a_missing_slice_is_named(tmp_path, volume, capsys):
    write_series(tmp_path / "in", [*volume, *volume], "124567")
    with pytest.raises(FileNotFoundError, match=r"found no s_3\.tif between s_1\.tif and s_7\.tif"):
        run(tmp_path / "in", "--output", tmp_path / "out.ome.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    # Files of their own may be a selection.
    run(tmp_path / "in", "--output", tmp_path / "out")
    assert "found no s_3.tif" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("*.tif"))) == 6


def test_slices_of_unequal_size_are_refused_before_anything_is_written(tmp_path, volume):
    write_series(tmp_path / "in", [*volume[:2], volume[2, :, :100]])
    with pytest.raises(ValueError, match=r"s_3\.tif has 120 x 100 pixels, and s_1\.tif 120 x 140"):
        run(tmp_path / "in", "--output", tmp_path / "out.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_lone_image_of_background_or_of_other_grey_values_is_refused(tmp_path, volume):
    write_image(tmp_path / "air.tif", np.random.default_rng(0).random((120, 140), np.float32))
    with pytest.raises(ValueError, match=r"air\.tif: found no bone.*smaller --opening-px"):
        run(tmp_path / "air.tif", "--output", tmp_path / "out.tif")
    write_image(tmp_path / "hounsfield.tif", 4000 * volume[0] - 2000)
    with pytest.raises(
        ValueError, match=r"hounsfield\.tif: grey values from -1.*\[0, 1\] \(Otsu\)"
    ):
        run(tmp_path / "hounsfield.tif", "--output", tmp_path / "out.tif")
    # In a series they are listed, as its ends often hold nothing.
    write_series(tmp_path / "in", [*volume, 4000 * volume[0] - 2000, 0 * volume[0]])
    run(tmp_path / "in", "--output", tmp_path / "out")
    suspects = pd.read_csv(tmp_path / "out/slices.csv").set_index("name")["suspect"]
    assert suspects[["s_1", "s_2", "s_3"]].isna().all()
    assert "lie on both sides of 0" in suspects["s_4"]
    assert "constant" in suspects["s_5"]


def test_the_report_shows_the_slices_that_look_wrong_and_no_others(tmp_path, volume, capsys):
    slices = np.concatenate([volume, volume, volume])
    slices[4] = slices[4] * 0.3 + 0.5
    slices[7, 40:45, 60:70] = np.nan
    tifffile.imwrite(tmp_path / "in.tif", slices)
    run(tmp_path / "in.tif", "--output", tmp_path / "out.tif")
    assert "2 slices look wrong" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out_slices.csv")
    assert table["slice"].tolist() == list(range(9))
    assert table["suspect"].notna().to_numpy().nonzero()[0].tolist() == [4, 7]
    text = (tmp_path / "out_suspects.html").read_text()
    assert re.findall(r'alt="(.*?)"', text) == ["out, slice 4", "out, slice 7"]
    pictures = re.findall(r'src="data:image/png;base64,(.*?)"', text)
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(pictures[0]))))
    assert shown.shape == (120, 140, 3)
    # The outline follows the bone, which has another colour than grey.
    outline = (shown.max(axis=2) != shown.min(axis=2)).nonzero()
    bone = tifffile.imread(tmp_path / "out_bone.tif")[4].nonzero()
    for found, expected in zip(outline, bone, strict=True):
        assert abs(int(found.min()) - int(expected.min())) <= 1
        assert abs(int(found.max()) - int(expected.max())) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("places", [("--processes", 2), ("--engine", "ray")])
def test_several_processes_write_the_same_to_the_byte(tmp_path, volume, places, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    slices = np.concatenate([volume, np.flip(volume, 2), 0 * volume, volume])
    tifffile.imwrite(tmp_path / "in.tif", slices)
    found = []
    for folder, more in (("alone", ()), ("together", places)):
        output, mask = tmp_path / folder / "out.ome.zarr", tmp_path / folder / "bone.tif"
        run(tmp_path / "in.tif", "--output", output, "--mask", mask, *more)
        files = sorted(p for p in (tmp_path / folder).rglob("*") if p.is_file())
        found.append({str(p.relative_to(tmp_path / folder)): p.read_bytes() for p in files})
    for name, content in found[0].items():
        assert found[1][name] == content.replace(b"/alone", b"/together"), name
    assert found[0].keys() == found[1].keys()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_leaves_no_process(tmp_path, volume):
    slices = np.concatenate([volume] * 12)
    tifffile.imwrite(tmp_path / "in.tif", slices)
    command = [sys.executable, "-m", "lotus.cli", "enhance", str(tmp_path / "in.tif"), "--output"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    output = tmp_path / "killed/out.ome.zarr"
    process = subprocess.Popen([*command, output, "--processes", "2"], env=environment)
    hidden = output.with_name(".out.ome.zarr.enhancing")
    while not any(hidden.glob("*/0*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert not output.exists()
    for folder in ("killed", "whole"):
        run(tmp_path / "in.tif", "--output", tmp_path / folder / "out.ome.zarr")
    for path in (tmp_path / "whole").rglob("*"):
        if path.is_file():
            other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
            assert other.read_bytes() == path.read_bytes().replace(b"/whole/", b"/killed/")
    assert [p.name for p in (tmp_path / "killed").glob(".*")] == []
