"""Segmentation learnt from the tiles of ROI images."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info
from torch.utils.data import DataLoader

from data_modules.dataset import ImageSource
from data_modules.manifest import Record, Split
from data_modules.patch_segmentation import PatchSegmentationDataset
from data_modules.patches import SlicePatches, read_patches, with_patches
from data_modules.patient_data import Use
from data_modules.pixel_sizes import resampling_of
from data_modules.sample import Sample
from data_modules.segmentation import SegmentationDataModule, nested_choice
from data_modules.splits import Splits
from data_modules.tiles import MINIMUM_TISSUE, REGION, choose_tiles
from lotus.imaging.raster import read_size


class TileDataModule(SegmentationDataModule):
    """Training batches are tiles of the ROIs of one domain; whole ROIs validate and test.

    Every region of a ROI gives its four quadrants and a crop of its centre
    (:func:`lotus.transforms.tiles.tile_corners`); tiles that are nearly empty are left out. Splits
    are by patient, so that no two tiles that overlap are on two sides.

    Args:
        manifest: The manifest.
        modality: Which of its modalities, the domain.
        tiles: Table that ``lotus tile`` wrote for this modality; None: tiles are found in the
            images as the network sees them, preprocessed and resampled.
        region: Side in pixels of a region, even, where there is no table; tiles have half of it.
        minimum_tissue: Least share of tissue in a tile, in [0, 1], where there is no table.
        training_share: Share in (0, 1] of the annotated training ROIs to use, at least one, from as
            many patients as possible. Smaller shares are part of larger ones.
        **kwargs: Of :class:`SegmentationDataModule`.

    Raises:
        ValueError: A share is out of its range.
    """

    def __init__(
        self,
        manifest: Path,
        modality: str,
        *,
        tiles: Path | None = None,
        region: int = REGION,
        minimum_tissue: float = MINIMUM_TISSUE,
        training_share: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(manifest, modality, patch_size=region // 2, training_images=None, **kwargs)
        if not 0.0 <= minimum_tissue <= 1.0:
            raise ValueError(f"minimum_tissue is {minimum_tissue:g}; expected a share from 0 to 1")
        if not 0.0 < training_share <= 1.0:
            raise ValueError(
                f"training_share is {training_share:g}; expected more than 0 and at most 1"
            )
        self.tiles = None if tiles is None else Path(tiles)
        self.region = region
        self.minimum_tissue = minimum_tissue
        self.training_share = training_share

    @cached_property
    def table(self) -> dict[str, SlicePatches] | None:
        """The tiles of the table by the name of their ROI; None without a table."""
        if self.tiles is None:
            return None
        own = [record for record in self.records if record.modality == self.modality]
        return read_patches(self.tiles, own)

    @property
    def tile(self) -> int:
        """Side of a tile in pixels."""
        return self.region // 2 if self.table is None else next(iter(self.table.values())).size

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """As for :class:`SegmentationDataModule`; of training ROIs the share that is used.

        Raises:
            ValueError: Also if a training ROI has no tile in the table.
        """
        found = super().select(split, of)
        if split != "train":
            return found
        if self.training_share < 1.0:
            count = max(1, round(self.training_share * len(found)))
            found = nested_choice(found, count, seed=self.seed)
        if self.table is not None:
            with_patches(found, self.table)
        return found

    def make_source(self, use: Use) -> ImageSource:
        """Prepared ROIs of a split.

        Raises:
            ValueError: One is smaller than a tile, or is resampled although tiles of a table lie in
                its own pixels; names it.
        """
        for record in self.select(use):
            self._check_size(record, use)
        return super().make_source(use)

    def training_tiles(self) -> PatchSegmentationDataset:
        """The tiles of the training ROIs; an index is (tile, seed)."""
        source = self.source("train")
        return PatchSegmentationDataset(
            source, self._tiles_of(source), self.tile, self.augmentation
        )

    def members(self, split: Split, of: Splits | None = None) -> list[Record]:
        """All ROIs of a set, annotated or not, whatever share of them trains; perhaps none.

        Args:
            split: ``train``, ``val`` or ``test``.
            of: Another split of the manifest; None: the module's own.
        """
        found = (self.splits if of is None else of).select(self.records, split)
        return [record for record in found if record.modality == self.modality]

    def unlabelled_tiles(self, split: Split) -> tuple[ImageSource, list[SlicePatches]]:
        """The ROIs of :meth:`members` without their masks, and the tiles of each.

        Args:
            split: ``train``, ``val`` or ``test``.

        Raises:
            ValueError: A file cannot be used, or a ROI is smaller than a tile.
        """
        members = self.members(split)
        return self._cut([replace(each, mask=None, mask_kind="semantic") for each in members])

    def annotated_tiles(self, split: Split) -> PatchSegmentationDataset | None:
        """The tiles of annotated ROIs of a set with their masks, as they are; None without any.

        Those of training ROIs are of the share that is used.

        Args:
            split: ``train``, ``val`` or ``test``.

        Raises:
            ValueError: As :meth:`unlabelled_tiles`.
        """
        if all(record.mask is None for record in self.members(split)):
            return None
        source, tiles = self._cut(self.select(split))
        return PatchSegmentationDataset(source, tiles, self.tile, [])

    def train_dataloader(self) -> DataLoader[Sample]:
        """Tiles in batches; says how many there are."""
        dataset = self.training_tiles()
        rank_zero_info(
            f"{self.modality}: {len(dataset)} tiles of {self.tile} px in {len(dataset.source)} "
            "training ROIs"
        )
        return self.training_loader(dataset, len(dataset))

    def summary(self) -> dict[str, Any]:
        """What is in the data, for the report.

        Returns:
            That of :class:`SegmentationDataModule`, the side of tiles in pixels, and the share of
            training ROIs in use.
        """
        return {
            **super().summary(),
            "tile": self.tile,
            "training_share": self.training_share,
        }

    def _cut(self, records: list[Record]) -> tuple[ImageSource, list[SlicePatches]]:
        """ROIs in the pixel size of the network, whatever they are used for, and their tiles."""
        for record in records:
            self._check_size(record, "train")
        source = ImageSource(
            records,
            self._patches,
            groups=self.groups,
            class_names=self.class_names,
            in_channels=self.in_channels,
            spacing_um=self.network_spacing_um,
        )
        return source, self._tiles_of(source)

    def _tiles_of(self, source: ImageSource) -> list[SlicePatches]:
        """Those of the table, or found in the images as they are prepared."""
        if self.table is not None:
            return with_patches(source.records, self.table)
        images = (source.prepared(index).image for index in range(len(source)))
        return [
            choose_tiles(image, region=self.region, minimum_tissue=self.minimum_tissue)
            for image in images
        ]

    def _check_size(self, record: Record, use: Use) -> None:
        grids = resampling_of(record, self.network_spacing_um)
        if use == "train" and self.table is not None and grids is not None:
            raise ValueError(
                f"{record.image}: is resampled to another pixel size, and the tiles of "
                f"{self.tiles} lie in its own pixels; give spacing_um: native, or no tiles"
            )
        height, width = read_size(record.image) if grids is None else grids.network
        if min(height, width) < self.tile:
            resampled = "" if grids is None else ", resampled"
            raise ValueError(
                f"{record.image}: the ROI is {height} x {width} px{resampled}; expected at least a "
                f"tile of {self.tile} x {self.tile} px: give a smaller region, or leave it out"
            )
