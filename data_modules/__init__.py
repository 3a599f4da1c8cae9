"""Data: manifests, splits, LightningDataModules, phantoms and adapters of public data sets."""

from data_modules.segmentation import SegmentationDataModule
from data_modules.unpaired import UnpairedDataModule

__all__ = ["SegmentationDataModule", "UnpairedDataModule"]
