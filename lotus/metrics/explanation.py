"""How good a map is that explains a classification: plausible, and faithful to the network.

Plausible is a map that lies where people look: its peak and its energy on annotated objects, beside
what chance gives, the share of area that these cover. Faithful is one that lies where the network
looks: the probability of the class falls when the pixels with the highest values are taken away.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter

STRAIGHT, DIAGONAL = 1 / 6, 1 / 12
"""Weights of the neighbours of a pixel in the imputation of ROAD."""

NOISE = 0.01
"""Standard deviation of the noise of ROAD, as a share of the range of the image."""

BLUR = 0.1
"""Standard deviation of the blur that insertion starts from, as a share of the longer side."""


def peak_hits(heat: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """The pointing game: whether the peak of a map falls on an object (Zhang et al., IJCV 2018).

    There is no tolerance around objects, so that chance is the share of area that they cover.

    Args:
        heat: (Y, X), at least 0.
        mask: (Y, X), where objects are.

    Returns:
        1 or 0, between them where several pixels share the maximum; NaN for a map that is 0
        everywhere, and where there is no object.
    """
    if not heat.any() or not mask.any():
        return float("nan")
    return float(mask[heat == heat.max()].mean())


def energy_inside(heat: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """The share of a map that lies on objects (Wang et al., Score-CAM, 2020).

    Args:
        heat: (Y, X), at least 0.
        mask: (Y, X), where objects are.

    Returns:
        In [0, 1]; NaN for a map that is 0 everywhere, and where there is no object.
    """
    if not heat.any() or not mask.any():
        return float("nan")
    return float(heat[mask].sum(dtype=np.float64) / heat.sum(dtype=np.float64))


def removal_order(
    heat: NDArray[np.floating], generator: np.random.Generator
) -> NDArray[np.integer]:
    """When each pixel is taken away, the highest value first.

    Args:
        heat: (Y, X).
        generator: Decides between equal values: in the order of rows, the many zeros of a map
            would be taken away from top to bottom.

    Returns:
        int64 (Y, X), 0 for the first pixel.
    """
    order = np.lexsort((generator.random(heat.size), -heat.ravel()))
    places = np.empty(heat.size, np.int64)
    places[order] = np.arange(heat.size)
    return places.reshape(heat.shape)


def first_pixels(order: NDArray[np.integer], fraction: float) -> NDArray[np.bool_]:
    """The pixels (Y, X) that are gone once a fraction in [0, 1] of them is.

    Args:
        order: Of :func:`removal_order`.
        fraction: Of the pixels.
    """
    return order < round(fraction * order.size)


def area_under(probabilities: ArrayLike) -> float:
    """The area under a deletion or insertion curve (Petsiuk et al., RISE, BMVC 2018).

    Args:
        probabilities: (N,) of the class, at N >= 2 fractions of pixels at equal distances from none
            to all.

    Returns:
        In [0, 1]. Of a faithful map it is low for deletion and high for insertion.

    Raises:
        ValueError: Fewer than two.
    """
    values = np.asarray(probabilities, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"found probabilities of shape {values.shape}; expected at least two")
    return float(np.trapezoid(values) / (len(values) - 1))


def blurred(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """What insertion starts from: an image (C, Y, X) without its objects, as float32."""
    sigma = BLUR * max(image.shape[1:])
    return gaussian_filter(image.astype(np.float32), (0, sigma, sigma), mode="reflect")


def linear_imputation(
    image: NDArray[np.floating],
    removed: NDArray[np.bool_],
    noise: NDArray[np.floating] | float = 0.0,
) -> NDArray[np.float64]:
    """An image whose removed pixels are solved for from the others (Rong et al., ROAD, ICML 2022).

    Each becomes the weighted mean of its neighbours, removed ones among them: 1/6 for the four
    beside, 1/12 for the four across, relative to the sum over those inside the image; then noise is
    added. What was there is less easily told from such an image than from one with holes. But the
    imputation is smooth: where large pieces are gone, their outline still shows, and with it
    something of the class, if the outline is that of the objects.

    The equations are symmetric and reach no further than one row, so that their Cholesky factor is
    a band: faster by far than a factorisation for any sparse matrix.

    Args:
        image: (C, Y, X).
        removed: (Y, X).
        noise: Added to removed pixels; (Y, X), the same for all channels.

    Returns:
        (C, Y, X); kept pixels as they were.

    Raises:
        ValueError: No pixel is kept, or mask and image differ in size.
    """
    if removed.shape != image.shape[1:]:
        raise ValueError(f"mask of {removed.shape} pixels on an image of {image.shape[1:]}")
    if removed.all():
        raise ValueError("all pixels are removed; at least one is needed to impute from")
    filled = np.array(image, np.float64)
    if removed.any():
        bands, known = _equations(filled, removed)
        filled[:, removed] = solveh_banded(bands, known, lower=True).T
        filled[:, removed] += np.broadcast_to(noise, removed.shape)[removed]
    return filled


def _equations(
    image: NDArray[np.float64], removed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bands (W, N) of the symmetric matrix, as LAPACK has its lower half, and right side (N, C)."""
    rows, columns = np.nonzero(removed)
    count = len(rows)
    own = np.arange(count)
    number = np.pad(np.full(removed.shape, -1), 1, constant_values=-1)
    number[rows + 1, columns + 1] = own
    inside = np.pad(np.ones(removed.shape), 1)
    kept = np.pad(np.where(removed, 0.0, image), ((0, 0), (1, 1), (1, 1)))
    bands = np.zeros((removed.shape[1] + 2, count))
    known = np.zeros((count, len(image)))
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down == right == 0:
                continue
            weight = DIAGONAL if down and right else STRAIGHT
            place = (rows + 1 + down, columns + 1 + right)
            bands[0] += weight * inside[place]
            known += weight * kept[:, *place].T
            later = number[place] > own
            bands[(number[place] - own)[later], own[later]] = -weight
    used = np.flatnonzero(bands.any(axis=1))
    return bands[: used[-1] + 1], known
