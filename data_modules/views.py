"""Tiles of any number of modalities without their masks, to learn from views of them."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from torch.utils.data import DataLoader, Dataset, Subset

from data_modules.dataset import ImageSource, crop
from data_modules.jointly_split import JointlySplitDataModule
from data_modules.manifest import SPLIT_NAMES, Record, Split
from data_modules.patch_segmentation import PatchSegmentationDataset
from data_modules.patches import SlicePatches
from data_modules.patient_data import Use
from data_modules.sample import Sample
from data_modules.sampler import LateLoader, SampleIndex, SeededSampler, ShardSampler
from data_modules.splits import Splits
from data_modules.tile_segmentation import TileDataModule

STAGES: dict[str, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
}


class UnlabelledTiles(Dataset[Sample]):
    """Tiles at their places, as they are; an index is the number of a tile, or (tile, seed).

    Args:
        sources: ROIs, each with its tiles.

    Raises:
        ValueError: Tiles are of different sizes, and would make no batch.
    """

    def __init__(self, sources: Sequence[tuple[ImageSource, Sequence[SlicePatches]]]) -> None:
        self._tiles = [
            (source, roi, own.window(number))
            for source, chosen in sources
            for roi, own in enumerate(chosen)
            for number in range(len(own))
        ]
        sizes = sorted({own.size for _, chosen in sources for own in chosen})
        if len(sizes) > 1:
            raise ValueError(
                f"tiles have sides of {', '.join(map(str, sizes))} px; expected one: give all "
                "domains the same region, or tables of tiles of one size"
            )

    def __len__(self) -> int:
        """Number of tiles."""
        return len(self._tiles)

    def __getitem__(self, index: int | SampleIndex) -> Sample:
        """The sample of a tile."""
        number = index if isinstance(index, int) else index[0]
        source, roi, window = self._tiles[number]
        return source.sample(roi, crop(source.prepared(roi), window, 0))


class ViewsDataModule(JointlySplitDataModule):
    """Tiles of all ROIs of the training patients, annotated or not, of all domains together.

    Batches are mixed, as tiles come; ``modality`` says of which domain each is. Masks are read for
    :meth:`probe_tiles` alone, which are of training and validation patients.
    All domains are split jointly by patient, in the way in which :class:`MultiDomainDataModule`
    splits the same manifests: nobody who validates or tests is seen. Validation and test batches
    are the tiles of those patients.

    The split's file is that of whichever domain names one; its fractions and its seed are those of
    the first. What a domain says of batches, augmentation and shares of annotated ROIs has no
    meaning here: the views of a tile are made by the task.

    Args:
        domains: Where the tiles come from, by any names; two may show the same modality.
        batch_size: Tiles per batch and process.
        samples_per_epoch: Training tiles per epoch, over all processes; None: each once. Batches
            that are not full are left out.
        num_workers: Processes that load data; 0 loads in the training process.
        seed: Decides the order of the tiles.

    Raises:
        ValueError: There is no domain, or an epoch has no full batch.
    """

    def __init__(
        self,
        domains: dict[str, TileDataModule],
        batch_size: int = 64,
        samples_per_epoch: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        if not domains:
            raise ValueError("found no domain; expected at least one, such as fluorescence")
        if samples_per_epoch is not None and samples_per_epoch < batch_size:
            raise ValueError(
                f"samples_per_epoch is {samples_per_epoch}; expected at least the {batch_size} of "
                "one batch"
            )
        super().__init__(domains, leading=next(iter(domains)))
        self.domains = dict(domains)
        self.batch_size = batch_size
        self.samples_per_epoch = samples_per_epoch
        self.num_workers = num_workers
        self.seed = seed
        self._tiles: dict[Split, UnlabelledTiles] = {}
        self._probes: dict[tuple[Split, int], list[DataLoader[Sample]]] = {}

    def setup(self, stage: str) -> None:
        """Split all domains jointly and prepare the ROIs of a stage.

        Args:
            stage: ``fit``, ``validate`` or ``test``.

        Raises:
            ValueError: A manifest, the split or a file cannot be used, or the stage is ``predict``.
        """
        if stage not in STAGES:
            raise ValueError("there is nothing to predict: these tiles serve a pretraining alone")
        for use in STAGES[stage]:
            self.tiles(use)

    def use_split_file(self, path: Any) -> None:
        """Let a split file decide for all domains."""
        super().use_split_file(path)
        self._tiles.clear()
        self._probes.clear()

    def check_splits(self, splits: Splits) -> None:
        """Make sure that a training could train, validate and test, without taking a split on.

        Args:
            splits: A split of all manifests.

        Raises:
            ValueError: A set has no ROI.
        """
        for name in SPLIT_NAMES:
            self.select(name, splits)

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """All ROIs of a set, domain by domain, annotated or not.

        Args:
            split: ``train``, ``val`` or ``test``; ``predict`` is the last.
            of: Another split of the manifests; None: the module's own.

        Raises:
            ValueError: There is none.
        """
        splits = self.join() if of is None else of
        name: Split = "test" if split == "predict" else split
        found = [r for domain in self.domains.values() for r in domain.members(name, splits)]
        if not found:
            raise ValueError(
                f"the split {name} has no ROI of {', '.join(self.domains)}; give more patients, a "
                "split column or split_fractions"
            )
        return found

    def tiles(self, use: Split) -> UnlabelledTiles:
        """The tiles of a set; found once.

        Args:
            use: The set.

        Raises:
            ValueError: The set has no ROI, or one cannot be used.
        """
        if use not in self._tiles:
            self.select(use)
            members = {name: domain.members(use) for name, domain in self.domains.items()}
            found = {
                name: self.domains[name].unlabelled_tiles(use)
                for name, records in members.items()
                if records
            }
            self._tiles[use] = UnlabelledTiles(list(found.values()))
            counts = ", ".join(
                f"{sum(map(len, chosen))} of {name} in {len(source)} ROIs"
                for name, (source, chosen) in found.items()
            )
            rank_zero_info(f"{use} tiles: {counts}")
        return self._tiles[use]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Tiles in full batches; everything random is a function of seed and epoch."""
        tiles = self.tiles("train")
        processes = 1 if self.trainer is None else self.trainer.world_size
        # A batch that is not full has other statistics, and a single tile has none.
        least = self.batch_size * processes
        samples = self.samples_per_epoch or max(len(tiles), least)
        sampler = SeededSampler(len(tiles), samples, seed=self.seed)
        return LateLoader(tiles, sampler=sampler, drop_last=True, **self._options())

    def val_dataloader(self) -> DataLoader[Sample]:
        """The tiles of the validation patients, always in the same order."""
        return self._mixed("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """The tiles of the test patients, always in the same order."""
        return self._mixed("test")

    def probe_tiles(self, use: Literal["train", "val"], most: int) -> list[DataLoader[Sample]]:
        """Tiles by which the encoder is scored while it is trained, the same ones every time.

        Of each domain those that are annotated, with their masks, or where it has none, the others;
        a domain without ROIs in the set is left out.

        Args:
            use: The set.
            most: Tiles of a domain, spread over all of its tiles.

        Returns:
            A loader of each domain's tiles.
        """
        if (use, most) not in self._probes:
            self.join()
            self._probes[use, most] = [
                DataLoader(tiles, self.batch_size, sampler=_spread(len(tiles), most))
                for domain in self.domains.values()
                if (tiles := _to_probe(domain, use)) is not None
            ]
        return self._probes[use, most]

    def summary(self) -> dict[str, Any]:
        """What is in the data, for the report: how many ROIs and tiles train, of each domain."""
        splits = self.join()
        parts = {
            name: {
                "manifest": str(domain.manifest.absolute()),
                "manifest_hash": splits.manifest_hash,
                "modality": domain.modality,
                "split_source": splits.source,
                "tile": domain.tile,
                "splits": {split: domain.summary_of(split) for split in SPLIT_NAMES},
            }
            for name, domain in self.domains.items()
        }
        return {"training_tiles": len(self.tiles("train")), "parts": parts}

    def _mixed(self, use: Split) -> DataLoader[Sample]:
        """Shuffled once: a batch of one ROI or one domain has another distribution than all."""
        tiles = self.tiles(use)
        order = np.random.default_rng(self.seed).permutation(len(tiles)).tolist()
        mixed = Subset(tiles, order)
        return DataLoader(mixed, sampler=ShardSampler(len(order)), **self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": torch.cuda.is_available(),
            # A generator of its own: iterating must not advance the global random state.
            "generator": torch.Generator().manual_seed(self.seed),
        }


def _to_probe(
    domain: TileDataModule, use: Split
) -> PatchSegmentationDataset | UnlabelledTiles | None:
    annotated = domain.annotated_tiles(use)
    if annotated is not None:
        return annotated
    return UnlabelledTiles([domain.unlabelled_tiles(use)]) if domain.members(use) else None


def _spread(count: int, most: int) -> list[SampleIndex]:
    """Indices at even distances, the first and the last among them; nothing is random in them."""
    return [(int(index), 0) for index in np.linspace(0, count - 1, min(count, most)).round()]
