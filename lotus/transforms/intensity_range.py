"""Linear rescaling of grey values to [0, 1] between two limits."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.transforms.preprocessing import Preprocessing, finite_range

Limits = tuple[NDArray[np.float32], NDArray[np.float32]]


def rescale(
    image: NDArray[Any], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Map ``[low, high]`` linearly to [0, 1] and clip; non-finite pixels become 0.

    Args:
        image: ``(C, Y, X)`` of any real dtype; may be one window of a larger image.
        low: Value that becomes 0, broadcastable to the image, e.g. ``(C, 1, 1)``.
        high: Value that becomes 1, same shape as ``low``.

    Returns:
        float32 ``(C, Y, X)`` in [0, 1].
    """
    scaled = image.astype(np.float32)
    scaled -= low
    scaled /= high - low
    np.clip(scaled, 0.0, 1.0, out=scaled)
    if np.issubdtype(image.dtype, np.floating):
        scaled[~np.isfinite(image)] = 0.0
    return scaled


class IntensityRange(Preprocessing):
    """Rescales an image between two limits that a subclass finds.

    Images larger than memory are handled by calling :meth:`limits` once on a sub-sample and
    :func:`rescale` on every window.
    """

    @abstractmethod
    def limits(self, image: NDArray[Any]) -> Limits:
        """Values that become 0 and 1.

        Args:
            image: ``(C, Y, X)`` or ``(C, Z, Y, X)``, dtype as in the file.

        Returns:
            ``(low, high)``, each float32 ``(C, 1, 1)`` or ``(C, 1, 1, 1)``.

        Raises:
            ValueError: If the image is constant or holds no finite value.
        """

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Rescale between this image's own limits; see :class:`Preprocessing`."""
        low, high = self.limits(image)
        return rescale(image, low, high)


def _per_channel(image: NDArray[Any], low: float, high: float) -> Limits:
    shape = (image.shape[0], *(1,) * (image.ndim - 1))
    return np.full(shape, low, np.float32), np.full(shape, high, np.float32)


class DtypeRange(IntensityRange):
    """Divides unsigned integers by the largest value of their type; floats stay as they are."""

    def limits(self, image: NDArray[Any]) -> Limits:
        """0 and the dtype's maximum (1 for floats); see :meth:`IntensityRange.limits`.

        Raises:
            ValueError: Also if the dtype is signed, or a float image leaves [0, 1].
        """
        low, high = finite_range(image)
        if np.issubdtype(image.dtype, np.unsignedinteger):
            return _per_channel(image, 0.0, float(np.iinfo(image.dtype).max))
        if not np.issubdtype(image.dtype, np.floating):
            raise ValueError(
                f"image is {image.dtype}; expected an unsigned integer or float type "
                "(PercentileRange takes any)"
            )
        if low < 0.0 or high > 1.0:
            raise ValueError(
                f"float image has values in [{low:g}, {high:g}]; expected [0, 1] "
                "(PercentileRange takes any)"
            )
        return _per_channel(image, 0.0, 1.0)


class PercentileRange(IntensityRange):
    """Rescales between two percentiles of the finite pixels, jointly over the channels.

    Where both percentiles coincide although the image is not constant (a few bright objects on
    an empty background) the full range of the image is used.

    Args:
        lower: Percentile that becomes 0, in [0, 100).
        upper: Percentile that becomes 1, in (``lower``, 100].

    Raises:
        ValueError: If the percentiles are not ``0 <= lower < upper <= 100``.
    """

    def __init__(self, lower: float = 0.1, upper: float = 99.9) -> None:
        if not 0.0 <= lower < upper <= 100.0:
            raise ValueError(
                f"percentiles are lower={lower:g}, upper={upper:g}; "
                "expected 0 <= lower < upper <= 100"
            )
        self.lower = lower
        self.upper = upper

    def limits(self, image: NDArray[Any]) -> Limits:
        """The two percentiles of this image; see :meth:`IntensityRange.limits`."""
        full = finite_range(image)
        finite = image
        if np.issubdtype(image.dtype, np.floating):
            finite = image[np.isfinite(image)]
        low, high = (float(v) for v in np.percentile(finite, (self.lower, self.upper)))
        if low == high:
            low, high = full
        return _per_channel(image, low, high)
