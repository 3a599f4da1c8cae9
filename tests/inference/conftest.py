"""Segmenters whose result is known, because the network only blurs and thresholds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from lotus.inference.segmenter import Segmenter
from lotus.schemes import ConnectedComponents
from lotus.transforms import DtypeRange


@pytest.fixture
def grey_threshold() -> Callable[..., Segmenter]:
    """A segmenter with logit = slope * (grey value - 0.5), pixel by pixel."""

    def make(**changes) -> Segmenter:
        network = nn.Conv2d(changes.get("in_channels", 1), 1, kernel_size=1)
        with torch.no_grad():
            network.weight.fill_(20.0 / network.in_channels)
            network.bias.fill_(-10.0)
        settings = {
            "networks": [network.eval()],
            "preprocessing": DtypeRange(),
            "instances": ConnectedComponents(),
            "class_names": ["lacuna"],
            "in_channels": 1,
            "spacing_um": None,
            "device": torch.device("cpu"),
        }
        return Segmenter(**(settings | changes))

    return make


@pytest.fixture
def blobs() -> np.ndarray:
    """uint8 (300, 170): bright blobs of all sizes, many of them across any line."""
    noise = gaussian_filter(np.random.default_rng(5).normal(size=(300, 170)), 4.0)
    scaled = (noise - noise.min()) / np.ptp(noise)
    return (255 * scaled).astype(np.uint8)
