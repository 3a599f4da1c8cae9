"""Preprocessing, augmentation and patches.

Each random transform lives in a module of its own and is named in YAML by its full path, e.g.
``lotus.transforms.stain.RandStaind``, so that its libraries load only where it is used. Views are
imported when first used, because they bring torch.
"""

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from lotus.transforms.views import MultiCropViews, Views

__all__ = [
    "DtypeRange",
    "IntensityRange",
    "MultiCropViews",
    "PercentileRange",
    "Preprocessing",
    "SRMicroCTEnhancement",
    "Views",
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


def __getattr__(name: str) -> Any:
    """Import views on first use."""
    if name not in ("MultiCropViews", "Views"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lotus.transforms import views

    return getattr(views, name)
