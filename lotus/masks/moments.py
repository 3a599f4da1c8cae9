"""Exact sums over the voxels of objects: how many, where from and to, first and second moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

Integers = NDArray[np.int64]
_NOWHERE = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Moments:
    """Sums over the voxels of the objects 1 to N of a volume; row 0 is object 1.

    They are integers, so that sums over parts of a volume add up to those of the whole to the
    last digit. An object without voxels has the count 0 and a box that holds nothing.

    Attributes:
        count: int64 (N,), voxels.
        lower: int64 (N, 3), first slice, row and column.
        upper: int64 (N, 3), last slice, row and column, plus 1.
        first: int64 (N, 3), sums of z, y and x.
        second: int64 (N, 3, 3), sums of the products of each two of z, y and x.
    """

    count: Integers
    lower: Integers
    upper: Integers
    first: Integers
    second: Integers

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.count)

    @property
    def centroids(self) -> NDArray[np.float64]:
        """Mean of the voxels' indices (N, 3); NaN of an object without voxels."""
        return self.lower + self._mean_from_corner

    @property
    def covariances(self) -> NDArray[np.float64]:
        """Mean products of the distances to the centroid (N, 3, 3) in voxels².

        Voxels are points here, as in scikit-image: a single one has none, and a row of n the
        variance (n² − 1) / 12.
        """
        corner = self.lower
        # About a corner of the object, not of the volume: there the difference of two large
        # numbers would lose the digits that matter.
        mixed = corner[:, :, None] * self.first[:, None, :]
        squares = corner[:, :, None] * corner[:, None, :] * self.count[:, None, None]
        about_corner = self.second - mixed - mixed.swapaxes(1, 2) + squares
        mean = self._mean_from_corner
        return _per(about_corner, self.count) - mean[:, :, None] * mean[:, None, :]

    def renumbered(self, numbers: NDArray[np.integer], count: int) -> Moments:
        """Sums of the objects that get the same new number.

        Args:
            numbers: (N,) new number of each object, from 1; objects with 0 are left out.
            count: The greatest of them.

        Returns:
            Moments of the objects 1 to ``count``.
        """
        sums = _none(count + 1)
        np.add.at(sums.count, numbers, self.count)
        np.add.at(sums.first, numbers, self.first)
        np.add.at(sums.second, numbers, self.second)
        np.minimum.at(sums.lower, numbers, self.lower)
        np.maximum.at(sums.upper, numbers, self.upper)
        return Moments(*(values[1:] for values in vars(sums).values()))

    @property
    def _mean_from_corner(self) -> NDArray[np.float64]:
        return _per(self.first - self.lower * self.count[:, None], self.count)


def object_moments(labels: NDArray[np.integer], count: int, first_slice: int = 0) -> Moments:
    """Sum over the voxels of each object of a label map, or of some slices of one.

    Args:
        labels: (Z, Y, X) integers from 0, 0 = background.
        count: The greatest label that there may be.
        first_slice: Place of the first slice in the whole volume.

    Returns:
        Moments of the objects 1 to ``count``.

    Raises:
        ValueError: Not three axes of integers.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import object_moments
        >>> moments = object_moments(np.array([[[1, 1, 1], [0, 0, 2]]]), count=2, first_slice=4)
        >>> moments.count.tolist(), moments.centroids.tolist()
        ([3, 1], [[4.0, 0.0, 1.0], [4.0, 1.0, 2.0]])
        >>> moments.covariances[0, 2, 2].round(4).item()  # of three voxels in a row
        0.6667
    """
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise ValueError(f"a label volume is (Z, Y, X) integers, not {labels.dtype} {labels.shape}")
    sums = _none(count + 1)
    for z, plane in enumerate(labels, start=first_slice):
        pixel = np.flatnonzero(plane)
        owner = plane.ravel()[pixel].astype(np.intp)
        y, x = np.divmod(pixel, plane.shape[1])
        # In one slice, sums are below 2^53, up to where real numbers count exactly.
        n, sy, sx, syy, syx, sxx = (
            np.bincount(owner, weights, count + 1).astype(np.int64)
            for weights in (None, y, x, y * y, y * x, x * x)
        )
        sums.count[:] += n
        sums.first[:] += np.stack([z * n, sy, sx], axis=1)
        rows = [[z * z * n, z * sy, z * sx], [z * sy, syy, syx], [z * sx, syx, sxx]]
        sums.second[:] += np.array(rows).transpose(2, 0, 1)
    for number, box in enumerate(find_objects(labels, max_label=count), start=1):
        if box is not None:
            sums.lower[number] = [side.start for side in box]
            sums.upper[number] = [side.stop for side in box]
            sums.lower[number, 0] += first_slice
            sums.upper[number, 0] += first_slice
    return Moments(*(values[1:] for values in vars(sums).values()))


def joined_moments(parts: Sequence[Moments]) -> Moments:
    """The objects of all parts, one part after another.

    Args:
        parts: Moments of N1, N2, ... objects.

    Returns:
        Moments of N1 + N2 + ... objects.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import joined_moments, object_moments
        >>> row = object_moments(np.array([[[1, 1]]]), count=1)
        >>> len(joined_moments([row, row, row]))
        3
    """
    columns = zip(*(vars(part).values() for part in (_none(0), *parts)), strict=True)
    return Moments(*(np.concatenate(column) for column in columns))


def _none(count: int) -> Moments:
    """Objects without voxels."""
    return Moments(
        count=np.zeros(count, np.int64),
        lower=np.full((count, 3), _NOWHERE),
        upper=np.zeros((count, 3), np.int64),
        first=np.zeros((count, 3), np.int64),
        second=np.zeros((count, 3, 3), np.int64),
    )


def _per(sums: Integers, count: Integers) -> NDArray[np.float64]:
    """Divide the sums of each object by its count; NaN where that is 0."""
    divisor = np.where(count > 0, count, np.nan)
    return sums / divisor.reshape(-1, *(1,) * (sums.ndim - 1))
