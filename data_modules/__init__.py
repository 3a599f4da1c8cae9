"""Data: manifests, splits, LightningDataModules, phantoms and adapters of public data sets.

The data modules are imported when first used, because they bring torch, Lightning and MONAI,
which reading or writing a manifest does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_modules.multi_domain import MultiDomainDataModule
    from data_modules.paired import PairedDataModule
    from data_modules.patch_classification import PatchClassificationDataModule
    from data_modules.patch_segmentation import PatchSegmentationDataModule
    from data_modules.segmentation import SegmentationDataModule
    from data_modules.slabs import SlabDataModule
    from data_modules.tile_segmentation import TileDataModule
    from data_modules.unpaired import UnpairedDataModule, UnpairedPartsDataModule
    from data_modules.views import ViewsDataModule

__all__ = [
    "MultiDomainDataModule",
    "PairedDataModule",
    "PatchClassificationDataModule",
    "PatchSegmentationDataModule",
    "SegmentationDataModule",
    "SlabDataModule",
    "TileDataModule",
    "UnpairedDataModule",
    "UnpairedPartsDataModule",
    "ViewsDataModule",
]

_HOMES = {
    "MultiDomainDataModule": "data_modules.multi_domain",
    "PairedDataModule": "data_modules.paired",
    "PatchClassificationDataModule": "data_modules.patch_classification",
    "PatchSegmentationDataModule": "data_modules.patch_segmentation",
    "SegmentationDataModule": "data_modules.segmentation",
    "SlabDataModule": "data_modules.slabs",
    "TileDataModule": "data_modules.tile_segmentation",
    "UnpairedDataModule": "data_modules.unpaired",
    "UnpairedPartsDataModule": "data_modules.unpaired",
    "ViewsDataModule": "data_modules.views",
}


def __getattr__(name: str) -> Any:
    """Import a data module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
