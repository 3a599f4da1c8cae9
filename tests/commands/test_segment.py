"""`lotus segment` from the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lotus.cli import main
from lotus.imaging import read_image, read_label_map, write_image
from lotus.tasks.precision import computes_bfloat16


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A uint8 image with blobs around the middle of the grey range."""
    noise = gaussian_filter(np.random.default_rng(5).normal(size=(100, 80)), 4.0)
    scaled = (noise - noise.min()) / np.ptp(noise)
    write_image(tmp_path / "image.tif", (255 * scaled).astype(np.uint8))
    return tmp_path / "image.tif"


def checkpoint_at(path: Path, scheme: str, channels: int, threshold: float = 0.5) -> Path:
    """A checkpoint whose network is logit = 20 * (grey value - threshold) per output."""
    weight = torch.full((channels, 1, 1, 1), 20.0)
    network = {"in_channels": 1, "out_channels": channels, "kernel_size": 1}
    record = {
        "network": {"class_path": "torch.nn.Conv2d", "init_args": network},
        "class_names": ["lacuna"],
        "in_channels": 1,
        "instances": {"class_path": f"lotus.transforms.{scheme}", "init_args": {}},
        "preprocessing": {"class_path": "lotus.transforms.DtypeRange", "init_args": {}},
        "spacing_um": None,
    }
    state = {"network.weight": weight, "network.bias": torch.full((channels,), -20.0 * threshold)}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "segmenter": record}, path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return checkpoint_at(tmp_path / "last.ckpt", "ConnectedComponents", 1)


def segment(*arguments: object) -> int:
    return main(["segment", *map(str, arguments), "--device", "cpu"])


def test_an_image(tmp_path, image, checkpoint, capsys):
    out = tmp_path / "out"
    status = segment(image, "--checkpoint", checkpoint, "--output", out, "--window", 64)
    assert status == 0
    objects = read_label_map(out / "image_labels.tif").max()
    assert f"{objects} objects in image.tif" in capsys.readouterr().out
    assert len(list(out.iterdir())) == 4


def test_slow_precision_is_named(tmp_path, image, checkpoint, capsys):
    arguments = (image, "--checkpoint", checkpoint, "--output", tmp_path / "out", "--window", 64)
    assert segment(*arguments) == 0
    assert "bfloat16" not in capsys.readouterr().out
    assert segment(*arguments, "--precision", "bf16") == 0
    native = computes_bfloat16(torch.device("cpu"))
    assert ("emulates bfloat16" in capsys.readouterr().out) == (not native)


def test_a_folder_with_a_bad_image(tmp_path, image, checkpoint, capsys):
    images = tmp_path / "images"
    images.mkdir()
    image.rename(images / "good.tif")
    (images / "bad.tif").write_bytes(b"II*\0")
    out = tmp_path / "out"
    assert segment(images, "--checkpoint", checkpoint, "--output", out) == 2
    error = capsys.readouterr().err.strip()
    assert "bad.tif" in error
    assert "\n" not in error
    assert len(list(out.iterdir())) == 4


def test_the_threshold_decides_what_is_an_object(tmp_path, image, checkpoint):
    areas = []
    for threshold in ("0.2", "0.8"):
        out = tmp_path / threshold
        segment(image, "--checkpoint", checkpoint, "--output", out, "--threshold", threshold)
        areas.append(np.count_nonzero(read_label_map(out / "image_labels.tif")))
    assert areas[0] > areas[1] > 0


def test_a_threshold_for_a_watershed_is_refused(tmp_path, image, capsys):
    checkpoint = checkpoint_at(tmp_path / "last.ckpt", "BoundaryWatershed", 3)
    out = tmp_path / "out"
    status = segment(image, "--checkpoint", checkpoint, "--output", out, "--threshold", "0.5")
    assert status == 2
    assert "BoundaryWatershed" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": "nowhere.tif"}, "nowhere.tif"),
        ({"--checkpoint": "nowhere.ckpt"}, "nowhere.ckpt"),
        ({"--checkpoint": "image.tif"}, "image.tif"),
        ({"--output": "last.ckpt"}, "last.ckpt is a file"),
        ({"--output": "image.tif"}, "use `lotus segment IMAGE --output FOLDER`"),
        ({"--window": "100"}, "window is 100"),
        ({"--overlap": "1"}, "overlap is 1"),
        ({"--batch-size": "0"}, "batch size is 0"),
        ({"--pixel-size-um": "0"}, "pixel size is 0"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    tmp_path, image, checkpoint, capsys, monkeypatch, changes, words
):
    monkeypatch.chdir(tmp_path)
    settings = {"input": image, "--checkpoint": checkpoint, "--output": "out"} | changes
    source = settings.pop("input")
    assert segment(source, *(part for pair in settings.items() for part in pair)) == 2
    error = capsys.readouterr().err.strip()
    assert words in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


def cross_validation_at(folder: Path, thresholds: list[float]) -> list[Path]:
    """The checkpoints of a cross-validation whose folds' networks have unlike thresholds."""
    (folder / "splits").mkdir(parents=True)
    paths = []
    for fold, threshold in enumerate(thresholds):
        (folder / "splits" / f"fold{fold}.json").touch()
        path = folder / f"fold{fold}" / "checkpoints" / "best.ckpt"
        paths.append(checkpoint_at(path, "ConnectedComponents", 1, threshold))
    return paths


def test_folds_are_an_ensemble(tmp_path, image):
    cross_validation_at(tmp_path / "cv", [0.3, 0.4, 0.8])
    out = tmp_path / "out"
    assert segment(image, "--checkpoint", tmp_path / "cv", "--output", out, "--window", 64) == 0
    grey = read_image(image).array.squeeze() / 255
    expected = np.mean([1 / (1 + np.exp(-20 * (grey - t))) for t in (0.3, 0.4, 0.8)], axis=0)
    found = read_image(out / "image_probability.tif").array.squeeze()
    np.testing.assert_allclose(found, 255 * expected, atol=1)


def test_a_run_folder_stands_for_its_best_checkpoint(tmp_path, image):
    for name, threshold in (("best", 0.3), ("last", 0.7)):
        path = tmp_path / "run/checkpoints" / f"{name}.ckpt"
        checkpoint_at(path, "ConnectedComponents", 1, threshold)
    for given, out in (("run", "a"), ("run/checkpoints/best.ckpt", "b")):
        arguments = ("--checkpoint", tmp_path / given, "--output", tmp_path / out)
        assert segment(image, *arguments, "--window", 64) == 0
    a, b = (read_label_map(tmp_path / out / "image_labels.tif") for out in "ab")
    np.testing.assert_array_equal(a, b)


def test_what_makes_no_ensemble(tmp_path, image, capsys):
    paths = cross_validation_at(tmp_path / "cv", [0.3, 0.4])
    arguments = (image, "--checkpoint", tmp_path / "cv", "--output", tmp_path / "out")
    checkpoint_at(paths[1], "BoundaryWatershed", 3)
    assert segment(*arguments) == 2
    assert "make no ensemble: their" in capsys.readouterr().err
    paths[1].unlink()
    assert segment(*arguments) == 2
    assert f"no checkpoint at {paths[1]}: run the cross-validation" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert segment(image, "--checkpoint", empty, "--output", tmp_path / "out") == 2
    assert "neither a run nor a cross-validation" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
