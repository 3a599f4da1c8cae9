"""A ROI through a network of several domains: tiles, their blending, and the vote on the domain.

Validation, test, prediction and `lotus segment` all go this way.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lotus.batch import RoiPrediction
from lotus.networks.domain_router import Routing, vote
from lotus.networks.routed_segmenter import RoutedSegmenter
from lotus.windows import OVERLAP, WindowGrid, blend_windows, network_input, read_bands, window_grid

Tiling = Literal["overlapped", "quadrants"]
OVERLAPS: dict[Tiling, float] = {"overlapped": OVERLAP, "quadrants": 0.0}
"""Quadrants lie side by side, without blending; only the last of a row or a column, which ends at
the edge of the ROI, overlaps the one before."""


def roi_grid(size: tuple[int, int], tile: int, tiling: Tiling) -> WindowGrid:
    """Where the tiles of a ROI lie.

    Args:
        size: (Y, X) of the ROI in pixels, as the network sees it.
        tile: Side of a tile in pixels, a multiple of 32.
        tiling: Overlapped and blended by Gaussian weights, or quadrants side by side.

    Raises:
        ValueError: The ROI is smaller than a tile.
    """
    if min(size) < tile:
        raise ValueError(
            f"the ROI is {size[0]} x {size[1]} px as the network sees it; expected at least a tile "
            f"of {tile} x {tile} px"
        )
    return window_grid(size, tile, OVERLAPS[tiling])


def segment_roi(
    network: RoutedSegmenter,
    pixels: NDArray[np.float32],
    grid: WindowGrid,
    *,
    in_channels: int,
    batch_size: int,
    bfloat16: bool = False,
    back: Callable[[NDArray[np.float32]], NDArray[np.float32]] = np.asarray,
) -> RoiPrediction:
    """Segment a ROI by the head of the domain that its tiles vote for.

    Args:
        network: In evaluation mode.
        pixels: (C, Y, X) in [0, 1].
        grid: The tiles.
        in_channels: Channels that the network takes; grey pixels are repeated.
        batch_size: Most tiles at once.
        bfloat16: Whether to compute in it where that is usual.
        back: From probabilities (K, Y, X) as the network sees the ROI to those of its own pixels.
    """
    device = next(network.parameters()).device
    routings: list[Routing] = []

    def predict(windows: NDArray[Any]) -> Tensor:
        # The contexts hold for one thread only.
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=bfloat16),
        ):
            probabilities, routing = network(network_input(windows, in_channels, device))
        routings.append(routing)
        return torch.as_tensor(probabilities)

    bands = read_bands(lambda start, stop: pixels[:, start:stop], grid)
    blended = np.concatenate(list(blend_windows(predict, bands, grid, batch_size)), axis=1)
    voted = vote(routings)
    domain = network.domains[voted.domain]
    return {
        "classes": back(blended[network.channels[domain]]).argmax(axis=0).astype(np.uint8),
        "domain": domain,
        "certainty": voted.certainty,
        "uncertain_tiles": voted.uncertain_tiles,
        "tiles": voted.tiles,
        "uncertain": voted.uncertain,
        "distances": torch.cat([each.distances for each in routings]).cpu().numpy(),
    }
