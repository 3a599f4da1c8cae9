"""Random colour of stained tissue, by albumentations."""

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_numpy

# Without this, importing albumentations asks a server for its latest version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations


class RandStaind(RandomizableTransform, MapTransform):  # type: ignore[misc]
    """Random brightness, contrast, saturation and hue, and random haematoxylin and eosin.

    The H&E step separates the stains in optical density (Ruifrok and Johnston, 2001, with a
    random one of albumentations' stain matrices) and changes the strength of each. Everything
    random follows from MONAI's ``self.R``.

    A setting of 0 switches a change off.

    Args:
        keys: Images of the dictionary, float32 ``(3, Y, X)`` in [0, 1]; all get the same
            change.
        prob: Probability that an image is changed at all.
        brightness: Factor drawn from ``1 - brightness`` to ``1 + brightness``.
        contrast: Factor about the mean grey value, drawn likewise.
        saturation: Factor of the colour saturation, drawn likewise.
        hue: Shift drawn from ``-hue`` to ``hue``, in turns of the colour circle (max 0.5).
        stain_prob: Probability of the H&E step in a changed image.
        stain_scale: Factor of each stain's density, drawn from 1 ± ``stain_scale``.
        stain_shift: Added to each stain's density, drawn from ± ``stain_shift``.
    """

    def __init__(
        self,
        keys: str | Sequence[str] = "image",
        prob: float = 0.8,
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.25,
        hue: float = 0.03,
        stain_prob: float = 0.5,
        stain_scale: float = 0.2,
        stain_shift: float = 0.1,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        jitter = albumentations.ColorJitter(
            brightness=(1.0 - brightness, 1.0 + brightness),
            contrast=(1.0 - contrast, 1.0 + contrast),
            saturation=(1.0 - saturation, 1.0 + saturation),
            hue=(-hue, hue),
            p=1.0,
        )
        stain = albumentations.HEStain(
            method="random_preset",
            intensity_scale_range=(1.0 - stain_scale, 1.0 + stain_scale),
            intensity_shift_range=(-stain_shift, stain_shift),
            augment_background=True,
            p=stain_prob,
        )
        self.colour = albumentations.Compose([stain, jitter])

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Change the colours of the images of ``keys``.

        Raises:
            ValueError: If an image is not ``(3, Y, X)``.
        """
        changed = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return changed
        seed = int(self.R.randint(2**31 - 1))
        for key in self.key_iterator(changed):
            image = convert_to_numpy(changed[key])
            if image.ndim != 3 or image.shape[0] != 3:
                raise ValueError(
                    f"{key} has {image.shape[0]} channels of {image.shape[1:]}; stain colour needs "
                    "3 of (Y, X)"
                )
            self.colour.set_random_seed(seed)
            colour = self.colour(image=np.ascontiguousarray(image.transpose(1, 2, 0)))["image"]
            colour = np.ascontiguousarray(np.clip(colour, 0.0, 1.0).transpose(2, 0, 1))
            changed[key] = convert_to_dst_type(colour, dst=changed[key])[0]
        return changed
