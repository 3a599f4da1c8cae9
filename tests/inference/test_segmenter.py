"""Segmenters from checkpoints."""

import pytest
import torch

from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.schemes import ConnectedComponents
from lotus.tasks.description import describe
from lotus.transforms import DtypeRange


def write_checkpoint(path, spacing_um):
    network = UNet(filters=(4, 8))
    record = {
        "network": describe(network),
        "class_names": ["lacuna"],
        "in_channels": 3,
        "instances": describe(ConnectedComponents()),
        "preprocessing": describe(DtypeRange()),
        "spacing_um": spacing_um,
    }
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights, "segmenter": record}, path)


@pytest.mark.parametrize("spacing", [None, (0.5, 0.25)])
def test_pixel_size_of_the_training_images_is_known(tmp_path, spacing):
    write_checkpoint(tmp_path / "a.ckpt", spacing)
    assert load_segmenter(tmp_path / "a.ckpt", "cpu").spacing_um == spacing


def test_a_network_of_volumes_is_refused(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", (2.0, 0.5, 0.25))
    with pytest.raises(ValueError, match=r"a\.ckpt .* voxel size \(2.0, 0.5, 0.25\) µm"):
        load_segmenter(tmp_path / "a.ckpt", "cpu")
