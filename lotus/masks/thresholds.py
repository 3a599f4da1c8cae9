"""Classes by grey value alone: what a segmentation has to be better than."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_multiotsu

ZERNIKE_RANGES = {1: (0.05, 0.42), 2: (0.43, 0.53), 3: (0.54, 0.89)}
"""Grey values in [0, 1] of lacuna-canalicular network, shade-off and bone in Zernike nanoCT, as
Silveira et al. (J. Synchrotron Rad. 2024) took them by hand."""


def multi_otsu_classes(image: NDArray[Any], classes: int = 4) -> NDArray[np.uint8]:
    """Divide grey values where the variance between classes is largest (Liao et al. 2001).

    Args:
        image: Grey values of any shape; NaN is unknown.
        classes: How many, from 2 to 5: the time grows with the power of it.

    Returns:
        Uint8 of the same shape: 0 is the darkest class, ``classes - 1`` the brightest. NaN belongs
        to the darkest.

    Raises:
        ValueError: Another number of classes, or fewer different grey values than that,
            of 256 steps between the darkest and the brightest.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import multi_otsu_classes
        >>> multi_otsu_classes(np.array([[0, 9, 20], [21, 1, 10]]), classes=3)
        array([[0, 1, 2],
               [2, 0, 1]], dtype=uint8)
    """
    if not 2 <= classes <= 5:
        raise ValueError(f"found {classes} classes; expected 2 to 5")
    grey = np.asarray(image, np.float32)
    counts, edges = np.histogram(grey[~np.isnan(grey)], bins=256)
    if (found := np.count_nonzero(counts)) < classes:
        raise ValueError(
            f"found {found} different grey values; {classes} classes need as many or more"
        )
    # The last bin of a class is what scikit-image gives; the class ends where that bin does.
    last = threshold_multiotsu(classes=classes, hist=(counts, edges[:-1]))
    limits = edges[np.searchsorted(edges, last) + 1]
    return np.digitize(np.nan_to_num(grey, nan=-np.inf), limits).astype(np.uint8)


def classes_in_ranges(
    image: NDArray[Any], ranges: Mapping[int, tuple[float, float]] = ZERNIKE_RANGES
) -> NDArray[np.uint8]:
    """Give every grey value the class in whose range it lies.

    Args:
        image: Grey values of any shape, in the unit of the ranges.
        ranges: Class, from 1 to 255, and its lowest and highest grey value; both belong to it.

    Returns:
        Uint8 of the same shape; 0 where no range holds the value, as for NaN.

    Raises:
        ValueError: A class or range that cannot be, or two ranges that overlap.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import classes_in_ranges
        >>> classes_in_ranges(np.array([0.0, 0.42, 0.425, 0.5, 0.7]))
        array([0, 1, 0, 2, 3], dtype=uint8)
    """
    ordered = sorted((*limits, number) for number, limits in ranges.items())
    lowest, highest = ([row[k] for row in ordered] for k in (0, 1))
    is_apart = all(end < start for end, start in zip(highest, lowest[1:], strict=False))
    if not is_apart or any(low > high for low, high, _ in ordered):
        raise ValueError(f"found the ranges {dict(ranges)}; expected lowest to highest, all apart")
    if not all(1 <= number <= 255 for number in ranges):
        raise ValueError(f"found the classes {', '.join(map(str, ranges))}; expected 1 to 255")
    result = np.zeros(image.shape, np.uint8)
    for low, high, number in ordered:
        result[(image >= low) & (image <= high)] = number
    return result
