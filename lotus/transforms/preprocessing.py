"""What turns an image file's pixels into network input: float32 in [0, 1]."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Preprocessing(ABC):
    """Maps an image as it is in its file to float32 in [0, 1].

    A preprocessing is deterministic: the same image gives the same result on every call, so
    that results can be cached. ``repr`` names the class and every setting and thereby tells two
    differently configured preprocessings apart.
    """

    @abstractmethod
    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Preprocess one image.

        Args:
            image: ``(C, Y, X)``, dtype as in the file.

        Returns:
            float32 ``(C, Y, X)`` in [0, 1].

        Raises:
            ValueError: If the image is constant or holds no finite value.
        """

    def __repr__(self) -> str:
        """Class and settings, e.g. ``PercentileRange(lower=0.1, upper=99.9)``."""
        settings = ", ".join(f"{name}={value!r}" for name, value in sorted(vars(self).items()))
        return f"{type(self).__name__}({settings})"


def finite_range(image: NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest finite value of an image.

    Args:
        image: Any shape, integer or float dtype.

    Returns:
        ``(minimum, maximum)`` over finite pixels, ``minimum < maximum``.

    Raises:
        ValueError: If the image is constant or holds no finite value.
    """
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = image[np.isfinite(image)]
        if finite.size == 0:
            raise ValueError("image has no finite value; expected at least two different ones")
        low, high = float(finite.min()), float(finite.max())
    if low == high:
        raise ValueError(f"image is constant ({low:g}); expected at least two different values")
    return low, high
