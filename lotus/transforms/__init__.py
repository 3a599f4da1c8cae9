"""Preprocessing, augmentation and patches.

Each random transform lives in a module of its own and is named in YAML by its full path, e.g.
``lotus.transforms.stain.RandStaind``, so that its libraries load only where it is used.
"""

from lotus.transforms.enhancement import SRMicroCTEnhancement, bone_mask, enhance_slice
from lotus.transforms.intensity_range import (
    DtypeRange,
    IntensityRange,
    PercentileRange,
    rescale,
)
from lotus.transforms.patches import (
    bone_fractions,
    bone_patches,
    enough_bone,
    patch_grid,
    patches_per_axis,
)
from lotus.transforms.preprocessing import Preprocessing, finite_range

__all__ = [
    "DtypeRange",
    "IntensityRange",
    "PercentileRange",
    "Preprocessing",
    "SRMicroCTEnhancement",
    "bone_fractions",
    "bone_mask",
    "bone_patches",
    "enhance_slice",
    "enough_bone",
    "finite_range",
    "patch_grid",
    "patches_per_axis",
    "rescale",
]
