"""Time of the SR-microCT enhancement on a 3300x3300 slice, and of its steps' alternatives.

Run with ``python benchmarks/enhancement.py``. The peers are scikit-image's closing with the same
disk, undecomposed as it is exact only then, on a crop (it takes minutes on the whole slice), and
the same closing through distances on the same crop.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.morphology import closing, disk

from lotus.masks import close_with_disk
from lotus.transforms.enhancement import CLOSING_RADIUS, enhance_slice

SIDE = 3300
CROP = 400
REPEATS = 3


def best_seconds(function: Callable[[], object]) -> float:
    """The fastest of a few calls."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def noisy_slice(random: np.random.Generator) -> NDArray[np.float32]:
    """Blobs of two grey values with noise, float32 in [0, 1]."""
    blobs = gaussian_filter(random.random((SIDE, SIDE), np.float32), 40.0)
    tissue = np.where(blobs > np.median(blobs), 0.7, 0.3)
    noisy = tissue + 0.05 * random.standard_normal((SIDE, SIDE), np.float32)
    return np.asarray(np.clip(noisy, 0.0, 1.0), np.float32)


def main() -> None:
    image = noisy_slice(np.random.default_rng(0))
    print(
        f"enhance_slice, Otsu    {SIDE}x{SIDE}: {best_seconds(lambda: enhance_slice(image)):.2f} s"
    )
    negative = image - np.float32(1.0)
    seconds = best_seconds(lambda: enhance_slice(negative))
    print(f"enhance_slice, k-means {SIDE}x{SIDE}: {seconds:.2f} s")

    crop = image[:CROP, :CROP] > 0.5
    footprint = disk(CLOSING_RADIUS)
    ours = best_seconds(lambda: close_with_disk(crop, CLOSING_RADIUS))
    peer = best_seconds(lambda: closing(crop, footprint))
    is_same = np.array_equal(close_with_disk(crop, CLOSING_RADIUS), closing(crop, footprint))
    print(
        f"closing, disk of {CLOSING_RADIUS} px, {CROP}x{CROP}: distances {ours * 1e3:.1f} ms, "
        f"scikit-image {peer * 1e3:.1f} ms, ratio {peer / ours:.0f}x, same result: {is_same}"
    )


if __name__ == "__main__":
    main()
