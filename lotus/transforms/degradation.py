"""Worse images on purpose: less contrast, less sharpness, more noise."""

from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_numpy
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lotus.transforms.preprocessing import Preprocessing


def degrade(
    image: NDArray[np.float32],
    contrast: float,
    blur: float,
    noise: float,
    random: np.random.RandomState,
) -> NDArray[np.float32]:
    """Blur an image, pull it towards mid-grey and add Gaussian noise.

    The pivot of the contrast is 0.5, not the image's mean, so that the dark background of a
    fluorescence image leaves zero and its noise is not cut in half by the clipping.

    Args:
        image: float32 ``(C, Y, X)`` in [0, 1].
        contrast: Factor of the distance to 0.5; 1 keeps it.
        blur: Standard deviation of the Gaussian blur in pixels; 0 keeps the image sharp.
        noise: Standard deviation of the noise, in units of the full grey range.
        random: Where the noise comes from; channels get noise of their own.

    Returns:
        float32 ``(C, Y, X)`` in [0, 1].

    Raises:
        ValueError: If the image has other axes.
    """
    if image.ndim != 3:
        raise ValueError(f"image has the shape {image.shape}; expected (C, Y, X)")
    blurred = gaussian_filter(image, (0.0, blur, blur)) if blur > 0.0 else image
    degraded = 0.5 + contrast * (blurred - 0.5)
    degraded = degraded + noise * random.standard_normal(image.shape)
    return np.asarray(np.clip(degraded, 0.0, 1.0), np.float32)


class Degraded(Preprocessing):
    """Another preprocessing followed by a fixed degradation, to make a data set harder.

    The noise is seeded by the image's content: one image is degraded the same way every time,
    in every process, and two images differently. See :func:`degrade` for the steps.

    Args:
        inner: Turns the file's pixels into [0, 1] first.
        contrast: Factor of the contrast, in (0, 1].
        blur: Standard deviation of the blur in pixels.
        noise: Standard deviation of the noise, 1 is the full grey range.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(
        self, inner: Preprocessing, contrast: float = 1.0, blur: float = 0.0, noise: float = 0.0
    ) -> None:
        _check_ranges(contrast=(contrast, contrast), blur=(blur, blur), noise=(noise, noise))
        self.inner = inner
        self.contrast = contrast
        self.blur = blur
        self.noise = noise

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Preprocess and degrade; see :class:`Preprocessing`."""
        digest = blake2b(np.ascontiguousarray(image).tobytes(), digest_size=4).digest()
        random = np.random.RandomState(int.from_bytes(digest, "little"))
        return degrade(self.inner(image), self.contrast, self.blur, self.noise, random)


class RandDegradationd(RandomizableTransform, MapTransform):  # type: ignore[misc]
    """Random contrast, blur and noise; everything random follows from MONAI's ``self.R``.

    The settings of :func:`degrade` are drawn uniformly from these ranges.

    Args:
        keys: Images of the dictionary, float32 ``(C, Y, X)`` in [0, 1].
        prob: Probability that an image is degraded.
        contrast: Range of the contrast factor, within (0, 1].
        blur: Range of the blur's standard deviation in pixels.
        noise: Range of the noise's standard deviation.

    Raises:
        ValueError: If a range is reversed or leaves its bounds.
    """

    def __init__(
        self,
        keys: str | Sequence[str] = "image",
        prob: float = 0.5,
        contrast: tuple[float, float] = (0.5, 1.0),
        blur: tuple[float, float] = (0.0, 1.0),
        noise: tuple[float, float] = (0.0, 0.1),
    ) -> None:
        _check_ranges(contrast=contrast, blur=blur, noise=noise)
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.contrast = contrast
        self.blur = blur
        self.noise = noise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Degrade the images of ``keys``, all with the same settings."""
        changed = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return changed
        contrast, blur, noise = (
            self.R.uniform(*limits) for limits in (self.contrast, self.blur, self.noise)
        )
        for key in self.key_iterator(changed):
            degraded = degrade(convert_to_numpy(changed[key]), contrast, blur, noise, self.R)
            changed[key] = convert_to_dst_type(degraded, dst=changed[key])[0]
        return changed


def _check_ranges(
    contrast: tuple[float, float], blur: tuple[float, float], noise: tuple[float, float]
) -> None:
    if not 0.0 < contrast[0] <= contrast[1] <= 1.0:
        raise ValueError(f"contrast is {contrast}; expected values in (0, 1], the smaller first")
    for name, limits in (("blur", blur), ("noise", noise)):
        if not 0.0 <= limits[0] <= limits[1]:
            raise ValueError(f"{name} is {limits}; expected values >= 0, the smaller first")
