"""A volume of any depth through a network, slab by slab, in order of its slices.

Within a slice, windows and blending are those of images: the slices of a slab are the channels of
an image there. What a slice gets does not depend on which part of the volume is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lotus.windows.blending import Predict, blend_windows, read_bands
from lotus.windows.grid import WindowGrid, window_grid, window_starts

ReadSlices = Callable[[int, int], NDArray[Any]]


def slab_indices(start: int, slices: int, depth: int) -> NDArray[np.intp]:
    """Numbers of the slices in a slab; beyond an end of the volume its last slice is repeated.

    Args:
        start: First slice of the slab, which may lie before the volume.
        slices: T.
        depth: Slices of the volume.

    Returns:
        (T,), each in [0, depth).
    """
    return np.clip(np.arange(start, start + slices), 0, depth - 1)


def slab_reach(slices: int, output_slices: int) -> int:
    """How far from a slice a slab can reach that speaks of it.

    Args:
        slices: T, the slices of a slab.
        output_slices: D, of how many of them the network speaks: the D in the middle.
    """
    return (slices - output_slices) // 2 + output_slices - 1


def slab_input(windows: NDArray[np.float32], in_channels: int, device: torch.device) -> Tensor:
    """Windows (B, T, Y, X) in [0, 1] as networks take slabs: on their device, with C channels.

    Args:
        windows: As :func:`predict_slices` gives them.
        in_channels: Channels C of the network; grey values are repeated.
        device: Where the network is.

    Returns:
        (B, T, C, Y, X).
    """
    return torch.from_numpy(windows).to(device)[:, :, None].expand(-1, -1, in_channels, -1, -1)


def slab_starts(
    depth: int, z_range: tuple[int, int], output_slices: int, overlap: float
) -> list[int]:
    """Where the slabs lie that reach into a part of a volume.

    Args:
        depth: Slices of the volume.
        z_range: First slice of the part, and the one after its last.
        output_slices: Slices of a slab that are predicted.
        overlap: Share of them that the next slab predicts as well, in [0, 1).

    Returns:
        First predicted slice of each, ascending.
    """
    starts = window_starts(max(depth, output_slices), output_slices, overlap)
    return [start for start in starts if z_range[0] < start + output_slices and start < z_range[1]]


def predict_slices(
    predict: Predict,
    read: ReadSlices,
    shape: tuple[int, int, int],
    z_range: tuple[int, int],
    *,
    slices: int,
    output_slices: int = 1,
    window: int,
    overlap: float,
    batch_size: int,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Blend what a network says of each slice of a part of a volume.

    Slabs lie where the whole volume has them, so that a slice gets the same to the bit whatever
    part it is asked for in. Where the network speaks of several slices of a slab, slabs overlap
    along z by the same share as windows do within a slice, and are blended with the same weights.

    Args:
        predict: Gives the probabilities (B, K, Y, X) of the middle slice of windows (B, T, Y, X),
            or (B, K, D, Y, X) of their D middle slices.
        read: Gives the slices ``[start, stop)`` as network input (stop - start, Y, X) in [0, 1].
        shape: (Z, Y, X) of the volume in voxels.
        z_range: First slice that is asked for, and the one after the last.
        slices: T, the slices of a slab.
        output_slices: D, of how many of them the network speaks: the D in the middle.
        window: Side of the square windows in pixels, a multiple of 32.
        overlap: Share of a window that its neighbour covers as well, in [0, 1).
        batch_size: Most windows predicted at once.

    Yields:
        Number of the slice and its blended probabilities (K, Y, X), in order of z.

    Raises:
        ValueError: A range outside the volume, slabs whose middle is not defined, or windows as
            :func:`~lotus.windows.grid.window_grid` refuses them.
    """
    depth, first, stop = shape[0], *z_range
    if not 0 <= first < stop <= depth:
        raise ValueError(f"slices {first} ... {stop} were asked for of a volume with {depth}")
    if not 1 <= output_slices <= slices or (slices - output_slices) % 2:
        raise ValueError(
            f"a slab has {slices} slices of which {output_slices} are predicted; expected an odd "
            "number of slices with one in the middle, or as many predicted as there are"
        )
    grid = window_grid(shape[1:], window, overlap)
    margin = (slices - output_slices) // 2
    held = _HeldSlices(read, depth)
    blend = _SlabBlend(output_slices, first)
    starts = slab_starts(depth, z_range, output_slices, overlap)
    for start, following in zip(starts, [*starts[1:], stop], strict=True):
        slab = held.slab(slab_indices(start - margin, slices, depth))
        blend.add(_blended_slab(predict, slab, grid, batch_size, output_slices), start)
        yield from blend.finish(min(following, stop))


def _blended_slab(
    predict: Predict,
    slab: NDArray[np.float32],
    grid: WindowGrid,
    batch_size: int,
    output_slices: int,
) -> NDArray[np.float32]:
    """What a network says of a slab (T, Y, X), blended within its slices: (D, K, Y, X)."""
    bands = read_bands(lambda start, stop: slab[:, start:stop], grid)

    def flat(windows: NDArray[np.float32]) -> Tensor:
        found = predict(windows)
        return found.reshape(len(found), -1, *found.shape[-2:])

    blended = np.concatenate(list(blend_windows(flat, bands, grid, batch_size)), axis=1)
    return blended.reshape(-1, output_slices, *blended.shape[1:]).swapaxes(0, 1)


class _HeldSlices:
    """Slices of a volume that the next slabs share, so that each is read once."""

    def __init__(self, read: ReadSlices, depth: int) -> None:
        self._read = read
        self._depth = depth
        self._held: dict[int, NDArray[np.float32]] = {}

    def slab(self, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """The slices (T, Y, X) of ascending numbers."""
        wanted = sorted(set(indices.tolist()))
        missing = [index for index in wanted if index not in self._held]
        self._held = {index: self._held[index] for index in wanted if index in self._held}
        if missing:
            start, stop = missing[0], missing[-1] + 1
            read = np.asarray(self._read(start, stop), np.float32)
            self._held |= dict(zip(range(start, stop), read, strict=True))
        return np.stack([self._held[index] for index in indices.tolist()])


class _SlabBlend:
    """Weighted sums over the slabs that cover the slices from ``start`` on."""

    def __init__(self, output_slices: int, start: int) -> None:
        from monai.data.utils import compute_importance_map  # Trainings load MONAI late.

        self._weights = compute_importance_map((output_slices,), mode="gaussian").numpy()
        self._next = start
        self._sums: dict[int, tuple[NDArray[np.float32], np.float32]] = {}

    def add(self, predicted: NDArray[np.float32], start: int) -> None:
        """Add a slab (D, K, Y, X) whose first predicted slice has the number ``start``."""
        for index, values, weight in zip(
            range(start, start + len(predicted)), predicted, self._weights, strict=True
        ):
            if index >= self._next:
                total, weights = self._sums.get(index, (np.float32(0), np.float32(0)))
                self._sums[index] = (total + weight * values, weights + weight)

    def finish(self, stop: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The slices before ``stop`` that were not given yet."""
        for index in range(self._next, stop):
            total, weights = self._sums.pop(index)
            yield index, total / weights
        self._next = max(self._next, stop)
