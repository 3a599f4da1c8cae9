import argparse

import numpy as np
import pytest

from data_modules.manifest import read_manifest
from lotus.commands import prepare
from lotus.imaging.raster import write_image, write_label_map


def run(*words):
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    prepare.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate(("P1_a", "P2_a")):
        rng = np.random.default_rng(seed)
        write_image(tmp_path / f"mine/images/{name}.png", rng.integers(0, 255, (8, 8), np.uint8))
        write_label_map(tmp_path / f"mine/masks/{name}.png", np.eye(8, dtype=np.uint8))
    return tmp_path / "mine"


def test_writes_a_manifest_and_says_what_it_found(root, tmp_path, capsys):
    output = tmp_path / "out"
    options = ["--modality", "histology", "--patient-pattern", r"(P\d)", "--pixel-size-um", "0.5"]
    run("folder", root, "--output", output, *options)
    records = read_manifest(output / "manifest.csv")
    assert [(r.patient, r.modality, r.pixel_size_um) for r in records] == [
        ("P1", "histology", 0.5),
        ("P2", "histology", 0.5),
    ]
    printed = capsys.readouterr().out
    assert "2 images (2 histology)" in printed
    assert "masks: binary: 0 is background, 1 object (12.5 % of the pixels); change" in printed


def test_says_when_there_is_no_pixel_size(root, tmp_path, capsys):
    run("folder", root, "--output", tmp_path / "out")
    assert "pixel size: unknown (give it with --pixel-size-um for µm) in 2 images" in (
        capsys.readouterr().out
    )


def test_says_which_pixel_sizes_it_found_and_where(root, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 8, 8), np.uint8)
    for name, size in (("a", 0.65), ("b", 0.65), ("c", 0.5)):
        (root / "unlabelled").mkdir(exist_ok=True)
        write_image(root / f"unlabelled/{name}.tif", pixels["abc".index(name)], (size, size))
    run("folder", root, "--output", tmp_path / "out")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "pixel size" in line)
    for part in ("0.65 µm (OME metadata) in 2 images", "0.5 µm (OME metadata) in 1 images"):
        assert part in line
    assert "unknown (give it with --pixel-size-um for µm) in 2 images" in line
    sizes = [record.pixel_size_um for record in read_manifest(tmp_path / "out/manifest.csv")]
    assert sizes == [None, None, 0.65, 0.65, 0.5]
    assert ",0.65," in (tmp_path / "out/manifest.csv").read_text()
    run("folder", root, "--output", tmp_path / "out", "--pixel-size-um", "2")
    assert "pixel size: 2 µm (as given) in 5 images" in capsys.readouterr().out


def test_unknown_data_set_and_pixel_size_below_zero(root, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("unknown", root, "--output", tmp_path)
    assert "invalid choice: 'unknown'" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"pixel_size_um: found '-1.0', expected a positive"):
        run("folder", root, "--output", tmp_path / "out", "--pixel-size-um=-1")
    assert not (tmp_path / "out/manifest.csv").exists()


def test_masks_are_read_as_they_are_said_to_be(root, tmp_path, capsys):
    for path in (root / "masks").iterdir():
        write_label_map(path, np.eye(8, dtype=np.uint8) + 1)
    with pytest.raises(ValueError, match="--mask-values background=1 object=2"):
        run("folder", root, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    options = ["--mask-values", "background=1", "object=2", "--ignore-value", "3"]
    run("folder", root, "--output", tmp_path / "out", *options)
    printed = capsys.readouterr().out
    assert "masks: binary: 1 is background, 2 object (12.5 %" in printed
    record = read_manifest(tmp_path / "out/manifest.csv")[0]
    assert str(record.mask_values) == "background=1 object=2 ignore=3"
    run("folder", root, "--output", tmp_path / "out", "--binarise-at", "1.5")
    assert "masks: binary: object from 1.5 on (12.5 %" in capsys.readouterr().out


def test_what_masks_may_mean_otherwise_is_said(root, tmp_path, capsys):
    for path in (root / "masks").iterdir():
        write_label_map(path, 255 - np.eye(1, 64, dtype=np.uint8).reshape(8, 8) * 255)
    run("folder", root, "--output", tmp_path / "out")
    printed = capsys.readouterr()
    assert "masks: binary: 0 is background, 255 object (98.4 %" in printed.out
    assert printed.err.startswith(
        f"warning: {root.resolve()}/masks: 98.4 % of the pixels are object"
    )
    assert printed.err.count("\n") == 1
