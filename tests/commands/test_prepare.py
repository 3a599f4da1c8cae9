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
    assert "masks: binary; change with --mask-kind" in printed


def test_says_when_there_is_no_pixel_size(root, tmp_path, capsys):
    run("folder", root, "--output", tmp_path / "out")
    assert "no pixel size for 2 images; give it with --pixel-size-um" in capsys.readouterr().out


def test_unknown_data_set_and_pixel_size_below_zero(root, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("unknown", root, "--output", tmp_path)
    assert "invalid choice: 'unknown'" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"pixel_size_um: found '-1.0', expected a positive"):
        run("folder", root, "--output", tmp_path / "out", "--pixel-size-um=-1")
    assert not (tmp_path / "out/manifest.csv").exists()
