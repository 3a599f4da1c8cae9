"""From the grey values of a volume to network input, slices at a time.

Training, validation and `lotus segment` all go this way, so that a network sees the same values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.imaging import Volume
from lotus.transforms.intensity_range import IntensityRange, Limits, rescale
from lotus.transforms.preprocessing import Preprocessing

SAMPLE_VOXELS = 2**22
"""Voxels that the limits of a larger volume are taken from."""


def limits_of(volume: Volume, preprocessing: Preprocessing) -> Limits | None:
    """The grey values that become 0 and 1, the same all over a volume.

    Args:
        volume: An open volume.
        preprocessing: How its values are mapped.

    Returns:
        Of an :class:`~lotus.transforms.IntensityRange`, found on voxels from all over the volume:
        float32, each (1, 1, 1). None of any other, which works slice by slice.

    Raises:
        ValueError: The volume is constant or holds no finite value.
    """
    if not isinstance(preprocessing, IntensityRange):
        return None
    low, high = preprocessing.limits(volume.sample(SAMPLE_VOXELS)[None])
    return low[0], high[0]


class VolumeInput:
    """Slices of a volume in [0, 1]; values that are not finite become 0.

    It keeps what it read last, since slabs of neighbouring slices overlap and chunks of a file
    hold many slices.

    Args:
        volume: An open volume.
        preprocessing: How its values are mapped.
        limits: Of :func:`limits_of`, where they are known already.
        ahead: Slices that are read at a time, those of a chunk if possible.

    Raises:
        ValueError: The volume is constant or holds no finite value.
    """

    def __init__(
        self,
        volume: Volume,
        preprocessing: Preprocessing,
        limits: Limits | None = None,
        ahead: int = 1,
    ) -> None:
        self._volume, self._preprocessing, self._ahead = volume, preprocessing, ahead
        self._limits = limits_of(volume, preprocessing) if limits is None else limits
        self._start = 0
        self._kept = np.empty((0, *volume.shape[1:]))

    def __call__(self, start: int, stop: int) -> NDArray[np.float32]:
        """Slices as a network takes them.

        Args:
            start: The first, from 0.
            stop: After the last.

        Returns:
            float32 (stop - start, Y, X) in [0, 1].
        """
        raw = self.raw(start, stop)
        if self._limits is not None:
            return rescale(raw, *self._limits)
        return np.stack([self._slice(plane) for plane in raw])

    def raw(self, start: int, stop: int) -> NDArray[Any]:
        """Slices as they are in the file; not to be changed.

        Args:
            start: The first, from 0.
            stop: After the last.

        Returns:
            (stop - start, Y, X).
        """
        end = self._start + len(self._kept)
        if start < self._start or stop > end:
            # A multiple, so that the next time begins with a chunk.
            last = min(-(-stop // self._ahead) * self._ahead, self._volume.shape[0])
            first = end if self._start <= start < end else start
            read = self._volume.window((slice(first, last), slice(None), slice(None)))
            kept = self._kept[start - self._start :] if first == end else self._kept[:0]
            self._kept = np.concatenate((kept, read)) if len(kept) else read
            self._start = start
        return self._kept[start - self._start : stop - self._start]

    def _slice(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        """A slice by itself; volumes often begin and end with some that hold nothing."""
        is_finite = np.isfinite(plane)
        finite = plane[is_finite]
        if finite.size == 0 or finite.min() == finite.max():
            return np.zeros(plane.shape, np.float32)
        return np.asarray(np.where(is_finite, self._preprocessing(plane[None])[0], np.float32(0)))
