"""Checkpoints that label volumes, with networks whose result is known or that are tiny."""

from pathlib import Path

import torch
from torch import Tensor, nn

from lotus.networks import Sensor3D

CLASSES = ["lcn", "bone"]


def save(path: Path, network: dict, state: dict, **changes) -> Path:
    record = {
        "network": network,
        "class_names": CLASSES,
        "in_channels": 1,
        "preprocessing": {"class_path": "lotus.transforms.DtypeRange", "init_args": {}},
        "spacing_um": [0.1, 0.1, 0.1],
        "window": 32,
        "overlap": 0.25,
        "precision": "32",
    }
    weights = {f"network.{name}": value for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": weights, "volume_segmenter": record | changes}, path)
    return path


def thresholds(path: Path, **changes) -> Path:
    """Background below 0.3, lcn from 0.3 to 0.6, bone above: the upper envelope of three lines."""
    settings = {"in_channels": 1, "out_channels": 3, "kernel_size": 1}
    state = {
        "weight": torch.tensor([0.0, 10.0, 20.0]).reshape(3, 1, 1, 1),
        "bias": torch.tensor([0.0, -3.0, -9.0]),
    }
    return save(path, {"class_path": "torch.nn.Conv2d", "init_args": settings}, state, **changes)


def sensor3d(path: Path, seed: int = 0, **changes) -> Path:
    """A small Sensor3D with random weights, which looks at three slices."""
    settings = {"in_channels": 1, "out_channels": 3, "filters": [4, 8], "slices": 3}
    torch.manual_seed(seed)
    network = Sensor3D(1, 3, filters=[4, 8], slices=3).eval()
    description = {"class_path": "lotus.networks.Sensor3D", "init_args": settings}
    balance(network, torch.rand(4, 3, 1, 32, 32))
    return save(path, description, network.state_dict(), **changes)


def balance(network: nn.Module, image: Tensor) -> None:
    """Have a network of random weights find every class somewhere."""
    with torch.no_grad():
        network.head.bias -= network(image).mean(dim=(0, 2, 3))
