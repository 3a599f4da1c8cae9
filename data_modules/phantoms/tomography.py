"""Parallel-beam projections of slices and their filtered back projection, many slices at once.

How much of a pixel each detector pixel sees is the same for every slice, so that the projection of
a block of slices is one product with a sparse matrix. Projected are whole pixels (the shadow of a
square is a trapezium), which leaves no pattern of the grid; back projection reads the detector
between two of its pixels, as scikit-image's ``iradon`` does, and gives its values. The time is in
``benchmarks/zernike_phantom.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

# Angles that share a matrix: more need more memory, with fewer the slices are read more often.
_ANGLES_PER_MATRIX = 16


def scan_angles(size: int) -> NDArray[np.float64]:
    """Angles over half a turn, as many as slices of that size need (Crowther et al. 1970).

    Args:
        size: Edge of the slices in pixels.

    Returns:
        Float64 (A,) in radians from 0 to below π, A = ⌈π/2 · size⌉.
    """
    count = int(np.ceil(np.pi / 2 * size))
    return np.arange(count) * np.pi / count


def in_circle(size: int) -> NDArray[np.bool_]:
    """Pixels of a slice that every projection sees.

    Args:
        size: Edge of the slice in pixels.

    Returns:
        Bool (size, size).
    """
    offset = np.arange(size) - (size - 1) / 2
    return np.asarray(np.hypot(offset[:, None], offset[None, :]) <= (size - 1) / 2)


def project(slices: NDArray[np.float32], angles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sum slices along parallel rays.

    Args:
        slices: (Z, Y, X) with Y = X; what lies outside the circle of :func:`in_circle` is not seen.
        angles: (A,) in radians; at 0 the rays run along y.

    Returns:
        Float32 (A, Z, X), in units of the slices times pixels.
    """
    depth, _, size = slices.shape
    columns = np.ascontiguousarray(slices[:, in_circle(size)].T)
    projections = np.empty((len(angles), depth, size), np.float32)
    for part in _parts(len(angles)):
        summed = _shadows(size, angles[part]).T @ columns
        projections[part] = summed.reshape(-1, size, depth).transpose(0, 2, 1)
    return projections


def filtered_back_projection(
    projections: NDArray[np.float32], angles: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Reconstruct slices from projections over half a turn (Kak and Slaney 1988, chapter 3).

    Args:
        projections: (A, Z, X).
        angles: (A,) in radians, evenly spaced over π.

    Returns:
        Float32 (Z, X, X) in units of the projections per pixel; 0 outside the circle.
    """
    _, depth, size = projections.shape
    seen = in_circle(size)
    columns = np.zeros((np.count_nonzero(seen), depth), np.float32)
    for part in _parts(len(angles)):
        filtered = _ramp_filtered(projections[part]).transpose(0, 2, 1).reshape(-1, depth)
        columns += _readings(size, angles[part]) @ np.ascontiguousarray(filtered)
    slices = np.zeros((depth, size, size), np.float32)
    slices[:, seen] = columns.T * np.float32(np.pi / len(angles))
    return slices


def _parts(count: int) -> list[slice]:
    return [
        slice(first, first + _ANGLES_PER_MATRIX) for first in range(0, count, _ANGLES_PER_MATRIX)
    ]


def _shadows(size: int, angles: NDArray[np.float64]) -> sparse.csr_array:
    """Share of every pixel of the circle that each detector pixel sees, (pixels, angles · size)."""
    position = _positions(size, angles)
    middle = np.rint(position)
    # Sides of the square, seen along the rays; where one vanishes the trapezium is a rectangle.
    wide = np.maximum(np.abs([np.cos(angles), np.sin(angles)]), 0.001).astype(np.float32)

    def left_of(edge: NDArray[np.float32]) -> NDArray[np.float32]:
        """Share of the shadow to the left of an edge, by the edge's distance from its middle."""
        half_sum, half_difference = wide.sum(axis=0) / 2, (wide[0] - wide[1]) / 2
        ends = (half_sum, half_difference, -half_difference, -half_sum)
        squares = [np.maximum(edge + end, 0.0) ** 2 for end in ends]
        total = squares[0] - squares[1] - squares[2] + squares[3]
        return np.asarray(total / (2 * wide.prod(axis=0)), np.float32)

    first, second = left_of(middle - position - 0.5), left_of(middle - position + 0.5)
    return _matrix(size, middle.astype(np.int32) - 1, [first, second - first, 1.0 - second])


def _readings(size: int, angles: NDArray[np.float64]) -> sparse.csr_array:
    """Weights of the two detector pixels beside every pixel, (pixels, angles · size)."""
    position = _positions(size, angles)
    # Rounding may bring the outermost pixel a hair beyond the detector.
    left = np.clip(position.astype(np.int32), 0, size - 2)
    share = position - left.astype(np.float32)
    return _matrix(size, left, [1.0 - share, share])


def _positions(size: int, angles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Where the centres of the circle's pixels meet the detector, (pixels, A) in its pixels."""
    offset = (np.arange(size) - (size - 1) / 2).astype(np.float32)
    seen = in_circle(size)
    y, x = (np.broadcast_to(axis, seen.shape)[seen] for axis in (offset[:, None], offset[None, :]))
    cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    return np.asarray(np.outer(x, cosine) + np.outer(y, sine) + np.float32((size - 1) / 2))


def _matrix(
    size: int, first: NDArray[np.int32], shares: Sequence[NDArray[np.float32]]
) -> sparse.csr_array:
    """Float32 (pixels, angles · size) with ``shares`` in detector pixels from ``first`` on."""
    pixels, angles = first.shape
    steps = np.arange(len(shares), dtype=np.int32)
    # The shadows of the outermost pixels end on the last detector pixel.
    detector = np.clip(first[..., None] + steps, 0, size - 1)
    detector += (np.arange(angles, dtype=np.int32) * size)[:, None]
    row = angles * len(shares)
    starts = np.arange(0, row * pixels + 1, row, dtype=np.int32)
    values = np.stack(shares, axis=-1, dtype=np.float32)
    return sparse.csr_array(
        (values.ravel(), detector.ravel(), starts), shape=(pixels, size * angles)
    )


def _ramp_filtered(projections: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolve projections (A, Z, X) with the band-limited ramp, |f| up to Nyquist."""
    size = projections.shape[-1]
    length = fft.next_fast_len(2 * size, real=True)
    # The ramp's inverse transform, sampled: the sampled ramp itself would lose the mean.
    distance = np.minimum(np.arange(length), length - np.arange(length))
    kernel = np.zeros(length)
    kernel[0] = 0.25
    odd = distance % 2 == 1
    kernel[odd] = -1.0 / (np.pi * distance[odd]) ** 2
    ramp = fft.rfft(kernel).real.astype(np.float32)
    spectrum = fft.rfft(projections, length, axis=-1) * ramp
    return np.asarray(fft.irfft(spectrum, length, axis=-1)[..., :size], np.float32)
