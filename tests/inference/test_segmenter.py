"""Segmenters from checkpoints."""

import pytest
import torch

from lotus.inference.options import SegmentOptions
from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.schemes import ConnectedComponents
from lotus.tasks.description import describe
from lotus.transforms import DtypeRange


def write_checkpoint(path, spacing_um, **record):
    network = UNet(filters=(4, 8))
    record = {
        "network": describe(network),
        "class_names": ["lacuna"],
        "in_channels": 3,
        "instances": describe(ConnectedComponents()),
        "preprocessing": describe(DtypeRange()),
        "spacing_um": spacing_um,
        **record,
    }
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights, "segmenter": record}, path)


@pytest.mark.parametrize("spacing", [None, (0.5, 0.25)])
def test_pixel_size_of_the_training_images_is_known(tmp_path, spacing):
    write_checkpoint(tmp_path / "a.ckpt", spacing)
    assert load_segmenter(tmp_path / "a.ckpt", "cpu").spacing_um == spacing


def test_windows_and_precision_are_those_of_the_checkpoint(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "old.ckpt", None)
    old = load_segmenter(tmp_path / "old.ckpt", "cpu")
    assert (old.window, old.overlap, old.precision) == (512, 0.25, "32"), "as version 0.1 did"
    write_checkpoint(tmp_path / "new.ckpt", None, window=96, overlap=0.5, precision="bf16")
    for native, precision in ((True, "bf16"), (False, "32")):
        monkeypatch.setattr(
            "lotus.inference.segmenter.computes_bfloat16", lambda _, native=native: native
        )
        new = load_segmenter(tmp_path / "new.ckpt", "cpu")
        assert (new.window, new.overlap, new.precision) == (96, 0.5, precision)


@pytest.mark.parametrize(
    ("options", "window", "precision"),
    [
        (SegmentOptions(), 96, "bf16"),
        (SegmentOptions(window=64), 64, "bf16"),
        (SegmentOptions(precision="32"), 96, "32"),
    ],
)
def test_options_go_before_the_checkpoint(grey_threshold, options, window, precision):
    segmenter = grey_threshold(window=96, overlap=0.5, precision="bf16")
    assert options.grid((300, 300), segmenter).window == (window, window)
    assert options.grid((300, 300), segmenter).columns[1] == window // 2
    assert options.precision_of(segmenter) == precision


def test_a_network_of_volumes_is_refused(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", (2.0, 0.5, 0.25))
    with pytest.raises(ValueError, match=r"a\.ckpt .* voxel size \(2.0, 0.5, 0.25\) µm"):
        load_segmenter(tmp_path / "a.ckpt", "cpu")
