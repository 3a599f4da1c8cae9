"""Random grey, inversion and gamma, for features that do not depend on the modality."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_numpy
from numpy.typing import NDArray

# ITU-R BT.601 luma, the usual grey of an RGB image.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Grey = Literal["luma", "random"]


class RandAppearanced(RandomizableTransform, MapTransform):  # type: ignore[misc]
    """Makes a stained section now and then look like another modality.

    Dark nuclei on a bright ground and bright nuclei on a dark one differ by an inversion. A
    teacher that has seen both, in colour and in grey, has features that a student of the other
    modality can share. Everything random follows from MONAI's ``self.R``.

    Args:
        keys: Images of the dictionary, float32 ``(3, Y, X)`` or ``(1, Y, X)`` in [0, 1].
        prob: Probability that any of the three steps is considered.
        grey_prob: Probability that all channels become one grey.
        grey: ``luma``, the usual grey of an RGB image, or ``random``, a convex mix of the channels
            whose weights are uniform on the simplex: any stain, or none, may be what is bright.
        inversion_prob: Probability that x becomes 1 - x.
        gamma: Range of the exponent, drawn uniformly on a logarithmic scale.

    Raises:
        ValueError: If the gamma range is reversed or not positive, or the grey is another.
    """

    def __init__(
        self,
        keys: str | Sequence[str] = "image",
        *,
        prob: float = 1.0,
        grey_prob: float = 0.5,
        grey: Grey = "luma",
        inversion_prob: float = 0.5,
        gamma: tuple[float, float] = (0.7, 1.5),
    ) -> None:
        if not 0.0 < gamma[0] <= gamma[1]:
            raise ValueError(f"gamma is {gamma}; expected values > 0, the smaller first")
        if grey not in get_args(Grey):
            raise ValueError(f"grey is {grey!r}; expected one of {', '.join(get_args(Grey))}")
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.grey_prob = grey_prob
        self.grey = grey
        self.inversion_prob = inversion_prob
        self.gamma = gamma

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Change the images of ``keys``, all in the same way.

        Raises:
            ValueError: If an image is not ``(C, Y, X)``.
        """
        changed = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return changed
        becomes_grey = self.R.random_sample() < self.grey_prob
        inverted = self.R.random_sample() < self.inversion_prob
        exponent = np.float32(np.exp(self.R.uniform(*np.log(self.gamma))))
        weights = LUMA if self.grey == "luma" else self.R.dirichlet(np.ones(3)).astype(np.float32)
        for key in self.key_iterator(changed):
            image = convert_to_numpy(changed[key])
            if image.ndim != 3:
                raise ValueError(f"{key} has the shape {image.shape}; expected (C, Y, X)")
            if becomes_grey:
                image = _mixed(image, weights)
            if inverted:
                image = 1.0 - image
            image = np.power(np.clip(image, 0.0, 1.0), exponent)
            changed[key] = convert_to_dst_type(image, dst=changed[key])[0]
        return changed


def _mixed(image: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    if image.shape[0] == 1:
        return image
    return np.repeat(np.tensordot(weights, image, axes=1)[None], 3, axis=0)
