"""Enhancement of SR-microCT slices: stretched contrast inside bone, nothing outside.

Poles et al., "On How to Unravel Bone Microscale Phenomena", BHI 2023.
"""

import logging
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_multiotsu, threshold_otsu

from lotus.masks import close_with_disk, fill_voids, open_with_square
from lotus.transforms.intensity_range import PercentileRange, rescale
from lotus.transforms.padding import PaddingValue, without_padding
from lotus.transforms.preprocessing import Preprocessing

Cluster = Literal["brightest", "smallest"]
Route = Literal["otsu", "kmeans"]
"""How bone is found: by Otsu where most grey values are positive, by k-means where negative."""

# The paper's settings; the lengths are in pixels of its 3300x3300 slices.
SATURATED_PERCENT = 1.0
SMOOTHING_SIGMA = 2.0
OPENING_SIDE = 20
CLOSING_RADIUS = 25
# Fine enough that a threshold is exact to a thousandth of the grey range.
HISTOGRAM_BINS = 1024

_log = logging.getLogger(__name__)


class EnhancedSlice(NamedTuple):
    """One slice, and how it was enhanced.

    Attributes:
        image: The enhanced slice, float32 ``(Y, X)`` in [0, 1].
        bone: The bone mask, bool ``(Y, X)``.
        route: How bone was found.
        grey_low: The raw grey value that became 0, the 1st percentile.
        grey_high: The raw grey value that became 1, the 99th percentile.
    """

    image: NDArray[np.float32]
    bone: NDArray[np.bool_]
    route: Route
    grey_low: float
    grey_high: float


class SRMicroCTEnhancement(Preprocessing):
    """Stretches a microCT slice between its 1st and 99th percentile and blanks what is not bone.

    See :func:`enhance_slice` for the steps. The defaults are the paper's.

    Args:
        cluster: Which of the three k-means clusters is bone where most grey values are
            negative: the brightest, or the one of fewest pixels (the original authors').
        opening_px: Side of the opening's square. Bone thinner than this is lost, so larger
            pixels than the paper's need a smaller square; 1 keeps everything.
        closing_px: Radius of the closing's disk.
        padding_value: What the image holds outside the field of view, where there are no data; see
            :func:`~lotus.transforms.padding.without_padding`.

    Raises:
        ValueError: If the cluster is neither, a size not positive, or the padding no number.
    """

    def __init__(
        self,
        cluster: Cluster = "brightest",
        *,
        opening_px: int = OPENING_SIDE,
        closing_px: int = CLOSING_RADIUS,
        padding_value: PaddingValue = "auto",
    ) -> None:
        if cluster not in _CHOOSE_CLUSTER:
            raise ValueError(f"cluster is {cluster!r}; expected one of {list(_CHOOSE_CLUSTER)}")
        if isinstance(padding_value, str) and padding_value not in ("auto", "none"):
            raise ValueError(f"padding_value is {padding_value!r}; expected a number, auto or none")
        if opening_px < 1 or closing_px < 1:
            raise ValueError(
                f"opening is {opening_px} and closing {closing_px}; expected at least 1 pixel"
            )
        self.cluster: Cluster = cluster
        self.opening_px = opening_px
        self.closing_px = closing_px
        self.padding_value: PaddingValue = padding_value

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Enhance a ``(1, Y, X)`` slice; see :class:`Preprocessing`.

        Raises:
            ValueError: Also if the image has more than one channel.
        """
        if image.shape[0] != 1:
            raise ValueError(f"image has {image.shape[0]} channels; a microCT slice has 1")
        slice_, padding = without_padding(image[0], self.padding_value)
        if padding is not None:
            _say_once(padding)
        return self.enhance(slice_).image[None]

    def enhance(self, image: NDArray[Any]) -> EnhancedSlice:
        """Enhance a ``(Y, X)`` slice with these settings; see :func:`enhance_slice`.

        Args:
            image: Raw grey values, NaN where :func:`~lotus.transforms.padding.without_padding` has
                found padding: it is not looked for again.

        Raises:
            ValueError: If the slice is constant or holds no finite value.
        """
        return _enhance(image, self.cluster, self.opening_px, self.closing_px)


@cache
def _say_once(padding: float) -> None:
    _log.warning(
        "the border of images is constant (%g): taken for padding around the field of view, and "
        "left out; padding_value says otherwise",
        padding,
    )


def bone_mask(image: NDArray[Any], cluster: Cluster = "brightest") -> NDArray[np.bool_]:
    """Bone tissue of a slice, its pores included; see :func:`enhance_slice`.

    Args:
        image: ``(Y, X)`` raw grey values.
        cluster: See :class:`SRMicroCTEnhancement`.

    Returns:
        bool ``(Y, X)``.

    Raises:
        ValueError: If the slice is constant or holds no finite value.
    """
    return enhance_slice(image, cluster)[1]


def enhance_slice(
    image: NDArray[Any],
    cluster: Cluster = "brightest",
    *,
    opening_px: int = OPENING_SIDE,
    closing_px: int = CLOSING_RADIUS,
    padding_value: PaddingValue = "auto",
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Enhance one slice and find its bone.

    1. Saturate the lowest and highest 1 % of the grey values and stretch the rest to [0, 1].
    2. Smooth (Gaussian, sigma 2 px) and threshold: Otsu where most raw grey values are positive
       (slices in [0, 1]), k-means with k = 3 where most are negative (the acquisition error that
       leaves slices in [-1, 0]).
    3. Open with a square of 20 px, close with a disk of radius 25 px, fill the voids.
    4. Keep the stretched values inside bone, 0 outside.

    Pixels that are not finite, and padding around the field of view, are no data: they count in no
    percentile and no threshold and are never bone.

    Args:
        image: ``(Y, X)`` raw grey values.
        cluster: See :class:`SRMicroCTEnhancement`, as for the sizes.
        opening_px: Side of the opening's square.
        closing_px: Radius of the closing's disk.
        padding_value: What the image holds outside the field of view.

    Returns:
        The enhanced slice, float32 ``(Y, X)`` in [0, 1], and the bone mask, bool ``(Y, X)``,
        which is empty where nothing is as large as the square.

    Raises:
        ValueError: If the slice is constant or holds no finite value.
    """
    image, _ = without_padding(image, padding_value)
    found = _enhance(image, cluster, opening_px, closing_px)
    return found.image, found.bone


def _enhance(
    image: NDArray[Any], cluster: Cluster, opening_px: int, closing_px: int
) -> EnhancedSlice:
    """:func:`enhance_slice` of a slice whose padding is NaN."""
    stretch = PercentileRange(SATURATED_PERCENT, 100.0 - SATURATED_PERCENT)
    grey_low, grey_high = stretch.limits(image[None])
    enhanced = rescale(image[None], grey_low, grey_high)[0]
    valid = np.isfinite(image)
    smoothed = _smooth(enhanced, valid)
    grey = smoothed[valid]
    route: Route = "kmeans" if _is_mostly_negative(image[valid]) else "otsu"
    low, high = _kmeans_interval(grey, cluster) if route == "kmeans" else (_otsu(grey), np.inf)
    bright = (smoothed > low) & (smoothed <= high) & valid
    opened = open_with_square(bright, opening_px)
    bone = fill_voids(close_with_disk(opened, closing_px)) & valid
    enhanced[~bone] = 0.0
    return EnhancedSlice(enhanced, bone, route, grey_low.item(), grey_high.item())


def _smooth(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Gaussian mean over the valid pixels only, so that missing ones do not darken their rim."""
    smoothed = gaussian_filter(image, SMOOTHING_SIGMA)
    if not valid.all():
        weight = gaussian_filter(valid.astype(np.float32), SMOOTHING_SIGMA)
        smoothed /= np.maximum(weight, np.finfo(np.float32).tiny)
    return np.asarray(smoothed, np.float32)


def _is_mostly_negative(grey: NDArray[Any]) -> bool:
    return int(np.count_nonzero(grey < 0)) > int(np.count_nonzero(grey > 0))


def _otsu(grey: NDArray[np.float32]) -> float:
    return float(threshold_otsu(grey, nbins=HISTOGRAM_BINS))


def _brightest(population: NDArray[np.int64]) -> int:
    return len(population) - 1


def _smallest(population: NDArray[np.int64]) -> int:
    return int(population.argmin())


_CHOOSE_CLUSTER = {"brightest": _brightest, "smallest": _smallest}


def _kmeans_interval(grey: NDArray[np.float32], cluster: Cluster) -> tuple[float, float]:
    """Grey values ``(low, high]`` of the chosen k-means cluster, k = 3.

    In one dimension the k-means optimum is the pair of thresholds with the least variance within
    the classes, which is what multi-level Otsu finds exactly and without a random start.
    """
    thresholds = threshold_multiotsu(grey, classes=3, nbins=HISTOGRAM_BINS)
    population = np.bincount(np.searchsorted(thresholds, grey, side="left"), minlength=3)
    edges = (-np.inf, *(float(t) for t in thresholds), np.inf)
    chosen = _CHOOSE_CLUSTER[cluster](population)
    return edges[chosen], edges[chosen + 1]
