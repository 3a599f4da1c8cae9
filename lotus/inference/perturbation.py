"""Images of which a part is taken away, to see whether a classifier needed it.

Pixels go in cells of a grid, about one for each pixel of the slice, since patches are enlarged for
a network.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from lotus.metrics.explanation import NOISE, blurred, first_pixels, linear_imputation

CELLS = 56
"""Longest side of the grid; patches of 55 px are enlarged to 224."""


def grid_of(image: Tensor) -> tuple[int, int]:
    """The sides (H, W) of the grid of an image (C, Y, X)."""
    return min(image.shape[1], CELLS), min(image.shape[2], CELLS)


def deleted(image: Tensor, order: NDArray[np.integer], steps: int) -> Tensor:
    """The images of the deletion curve: the mean of the image in place of its pixels.

    Args:
        image: (C, Y, X).
        order: (H, W) on its grid, see :func:`lotus.metrics.explanation.removal_order`.
        steps: Number S of points.

    Returns:
        (S, C, Y, X), from 1/S of the pixels to all of them.
    """
    mean = image.mean(dim=(1, 2), keepdim=True)
    gone = [_cells(image, first_pixels(order, step / steps)) for step in range(1, steps + 1)]
    return torch.where(torch.stack(gone), mean, image)


def inserted(image: Tensor, order: NDArray[np.integer], steps: int) -> Tensor:
    """The images of the insertion curve: pixels in a blurred image.

    Args:
        image: (C, Y, X).
        order: (H, W) on its grid.
        steps: Number S of points.

    Returns:
        (S, C, Y, X), from the blurred image to all but 1/S of the pixels.
    """
    start = _as_large_as(image, torch.from_numpy(blurred(_small(image, order)))[None])
    shown = [_cells(image, first_pixels(order, step / steps)) for step in range(steps)]
    return torch.where(torch.stack(shown), image, start)


def imputed(
    image: Tensor,
    order: NDArray[np.integer],
    percentages: tuple[int, ...],
    generator: np.random.Generator,
) -> Tensor:
    """The images of ROAD, see :func:`lotus.metrics.explanation.linear_imputation`.

    Args:
        image: (C, Y, X).
        order: (H, W) on its grid.
        percentages: P shares of pixels to remove.
        generator: Of the noise.

    Returns:
        (P, C, Y, X).
    """
    small = _small(image, order)
    masks = [first_pixels(order, share / 100) for share in percentages]
    filled = [
        linear_imputation(small, mask, generator.normal(0.0, NOISE, mask.shape)) for mask in masks
    ]
    large = _as_large_as(image, torch.from_numpy(np.stack(filled).astype(np.float32)))
    return torch.where(torch.stack([_cells(image, mask) for mask in masks]), large, image)


def _small(image: Tensor, order: NDArray[np.integer]) -> NDArray[np.float32]:
    """The means (C, H, W) of an image in the cells of a grid."""
    sides = (order.shape[0], order.shape[1])
    return np.asarray(adaptive_avg_pool2d(image[None], sides)[0].cpu().numpy(), np.float32)


def _as_large_as(image: Tensor, small: Tensor) -> Tensor:
    """Images (N, C, H, W) on a grid in the pixels of an image (C, Y, X), where that is."""
    sides = (image.shape[1], image.shape[2])
    return interpolate(small.to(image.device), sides, mode="bilinear", align_corners=False)


def _cells(image: Tensor, mask: NDArray[np.bool_]) -> Tensor:
    """Cells of a grid as bool (1, Y, X) in the pixels of an image, where that is."""
    cells = torch.from_numpy(mask)[None, None].to(image.device, torch.float32)
    return interpolate(cells, (image.shape[1], image.shape[2]), mode="nearest")[0] > 0
