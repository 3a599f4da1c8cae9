from typing import ClassVar

import numpy as np

from lotus.imaging.tiff_volumes import TiffSlices
from lotus.imaging.zarr_stores import ZarrLabelStore, ZarrStore
from tests.contracts.volume_stores import SHAPE, SPACING, VolumeStoreContract

UINT8 = np.dtype(np.uint8)


class TestTiffSlices(VolumeStoreContract):
    implementation = TiffSlices

    def stores(self, folder):
        hidden = folder / ".hidden/volume"
        return [TiffSlices(folder / "a.ome.tif", hidden, SHAPE, UINT8, SPACING)]


class TestTiffBlocks(VolumeStoreContract):
    implementation = TiffSlices

    def stores(self, folder):
        hidden = folder / ".hidden/volume"
        return [TiffSlices(folder / "a.ome.tif", hidden, SHAPE, UINT8, SPACING, 8)]


class TestZarrStore(VolumeStoreContract):
    implementation = ZarrStore
    version: ClassVar = "0.4"
    depth: ClassVar = 8

    def stores(self, folder):
        hidden = folder / ".hidden/volume"
        about = (SPACING, self.depth, self.version, ())
        return [ZarrStore(folder / "a.ome.zarr", hidden, SHAPE, UINT8, *about)]


class TestZarrStoreWithShards(TestZarrStore):
    version = "0.5"


class TestZarrStoreOfSlices(TestZarrStore):
    version = "0.5"
    depth = 1


class TestZarrLabelStore(VolumeStoreContract):
    implementation = ZarrLabelStore

    def stores(self, folder):
        about = (SHAPE, UINT8, SPACING, 8, "0.5", None)
        image = ZarrStore(folder / "a.ome.zarr", folder / ".hidden/volume", *about)
        return [image, ZarrLabelStore(image, "bone", UINT8)]
