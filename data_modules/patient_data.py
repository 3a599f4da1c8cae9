"""What data modules of one modality have in common, whatever they make batches of."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from data_modules.manifest import SPLIT_NAMES, Record, Split, read_manifest
from data_modules.sampler import LateLoader, SeededSampler, ShardSampler
from data_modules.splits import (
    ANNOTATED,
    DEFAULT_FRACTIONS,
    SplitNeeds,
    Splits,
    resolve_splits,
    write_splits,
)
from data_modules.transfer import TransferDataModule

Item = TypeVar("Item")
Source = TypeVar("Source")
Use = Split | Literal["predict"]
"""A split, or all images of the test patients, annotated or not."""

STAGES: dict[str, tuple[Use, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("predict",),
}


class PatientDataModule(TransferDataModule, ABC, Generic[Source]):
    """One modality of a manifest, split by patient over all modalities of it.

    Nothing is read before :meth:`setup`.

    Args:
        manifest: The manifest.
        modality: Which of its modalities.
        batch_size: Training samples per batch and process.
        samples_per_epoch: Training samples per epoch; None: each once.
        num_workers: Processes that load data; 0 loads in the training process.
        splits: Split file. If it exists it is authoritative and must fit the manifest;
            otherwise the split that is made is written there.
        split_fractions: Shares of patients in train, val and test.
        seed: Decides the split and everything random about training samples.
    """

    def __init__(
        self,
        manifest: Path,
        modality: str,
        *,
        batch_size: int = 16,
        samples_per_epoch: int | None = None,
        num_workers: int = 0,
        splits: Path | None = None,
        split_fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.manifest = Path(manifest)
        self.modality = modality
        self.batch_size = batch_size
        self.samples_per_epoch = samples_per_epoch
        self.num_workers = num_workers
        self.split_file = None if splits is None else Path(splits)
        self.split_fractions = split_fractions
        self.seed = seed
        self._splits: Splits | None = None
        self._groups: list[str] = []
        self._records: list[Record] = []
        self._sources: dict[Use, Source] = {}

    @abstractmethod
    def is_usable(self, record: Record, use: Use) -> bool:
        """Whether an image of the modality can serve a purpose.

        Args:
            record: The image; its patient is of the right split.
            use: The purpose.
        """

    @abstractmethod
    def usable_name(self) -> str:
        """What a split lacks if no image of it :meth:`is_usable`, such as ``annotated slice``."""

    @abstractmethod
    def make_source(self, use: Use) -> Source:
        """Prepare the images of :meth:`select` for a purpose; asked for once.

        Args:
            use: The purpose.
        """

    def setup(self, stage: str) -> None:
        """Read the manifest, split it and prepare the images of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: If manifest, split or a file cannot be used, or a needed split is empty.
        """
        for use in STAGES[stage]:
            self.source(use)

    def source(self, use: Use) -> Source:
        """Prepared images for a purpose; prepared on the first call.

        Args:
            use: The purpose.
        """
        if use not in self._sources:
            self._sources[use] = self.make_source(use)
        return self._sources[use]

    @property
    def records(self) -> list[Record]:
        """All records of the manifest, of every modality."""
        if not self._records:
            self._records = self.read_records()
        return self._records

    def read_records(self) -> list[Record]:
        """Read the manifest.

        Raises:
            ValueError: It cannot be used, or has no image of the modality.
        """
        records = read_manifest(self.manifest)
        modalities = sorted({record.modality for record in records})
        if self.modality not in modalities:
            raise ValueError(
                f"{self.manifest}: no image of modality '{self.modality}'; "
                f"found {', '.join(modalities)}"
            )
        self.check_records([record for record in records if record.modality == self.modality])
        return records

    def check_records(self, records: Sequence[Record]) -> None:
        """Refuse what no batches can be made of.

        Args:
            records: Those of the modality.

        Raises:
            ValueError: A volume, which is sliced by :class:`data_modules.SlabDataModule` alone.
        """
        for record in records:
            if record.depth is not None:
                raise ValueError(
                    f"{record.image} is a volume of {record.depth} slices; images are expected: "
                    "take data_modules.SlabDataModule, or save the slices as images of their own"
                )

    @property
    def groups(self) -> list[str]:
        """All groups of the study, in the order of their ``label``."""
        if not self._groups:
            self._groups = self.find_groups()
        return self._groups

    def find_groups(self) -> list[str]:
        """The groups of the manifest, sorted."""
        return sorted({record.group for record in self.records})

    @property
    def needs(self) -> SplitNeeds:
        """What the sets of a split, and folds, are to have where they are drawn."""
        return ANNOTATED

    @property
    def splits(self) -> Splits:
        """The split of the manifest: read from the split file, drawn, or handed over."""
        if self._splits is None:
            self._splits = resolve_splits(
                self.records,
                self.split_file,
                self.split_fractions,
                seed=self.seed,
                needs=self.needs,
            )
        return self._splits

    def use_split_file(self, path: Path) -> None:
        """Let a split file decide, as if it had been given as ``splits``.

        Args:
            path: The file; made if it is missing.
        """
        self.split_file = path
        self._splits = None
        self._sources.clear()

    def use_splits(self, splits: Splits, groups: Sequence[str]) -> None:
        """Take a split that was made over more than this manifest.

        Args:
            splits: The split.
            groups: All groups of the study, in the order of their ``label``.
        """
        self._splits = splits
        self._groups = list(groups)
        self._sources.clear()

    def check_splits(self, splits: Splits) -> None:
        """Make sure that a training could train, validate and test, without taking a split on.

        No image is read.

        Args:
            splits: A split of the manifest.

        Raises:
            ValueError: If a part has no image, or too few.
        """
        for name in SPLIT_NAMES:
            self.select(name, splits)

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """The records of this modality that a split uses.

        Args:
            split: ``train``, ``val`` or ``test``, or ``predict`` (of the test patients).
            of: Another split of the manifest; None: the module's own.

        Returns:
            The records that are usable, at least one.

        Raises:
            ValueError: If there is none.
        """
        splits = self.splits if of is None else of
        members = splits.select(self.records, "test" if split == "predict" else split)
        own = [record for record in members if record.modality == self.modality]
        found = [record for record in own if self.is_usable(record, split)]
        if not found:
            counts = ", ".join(f"{name} {len(getattr(splits, name))}" for name in SPLIT_NAMES)
            raise ValueError(
                f"{self.manifest}: split {split} has no {self.usable_name()} "
                f"(patients: {counts}); give more patients, a split column or split_fractions"
            )
        return found

    def origins(self) -> list[Path]:
        """The models behind whatever decides the weights: of training and validation patients.

        Returns:
            The files, each once, those of training first; nothing where no model had a say.
        """
        return []

    def seeded_loader(self, dataset: Dataset[Item], sampler: SeededSampler) -> DataLoader[Item]:
        """A loader whose batches are a function of seed and epoch.

        Args:
            dataset: Indexed as the sampler says.
            sampler: The order.
        """
        return LateLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # A generator of its own: iterating must not advance the global random state.
            generator=torch.Generator().manual_seed(self.seed),
        )

    def ordered_loader(
        self, dataset: Dataset[Item], size: int, batch_size: int
    ) -> DataLoader[Item]:
        """A loader of every sample once, in order.

        Args:
            dataset: Indexed by number.
            size: How many samples it has.
            batch_size: Of each process.
        """
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=ShardSampler(size),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),
        )

    def write_splits(self, path: Path) -> None:
        """Write the split as JSON, for the run folder.

        Args:
            path: The file.
        """
        write_splits(path, self.splits)

    def summary(self) -> dict[str, Any]:
        """What is in the data, for the report.

        Returns:
            Manifest and its hash, where the split comes from, the number of training images in
            use, and per split: images, annotated images and patients of this modality, and images
            per group and per modality.
        """
        return {
            "manifest": str(self.manifest.absolute()),
            "manifest_hash": self.splits.manifest_hash,
            "modality": self.modality,
            "split_source": self.splits.source,
            "training_images": len(self.select("train")),
            "splits": {name: self.summary_of(name) for name in SPLIT_NAMES},
        }

    def summary_of(self, split: Split) -> dict[str, Any]:
        """What a set has of this modality, and how many images of every modality.

        Args:
            split: ``train``, ``val`` or ``test``.
        """
        members = self.splits.select(self.records, split)
        own = [record for record in members if record.modality == self.modality]
        return {
            "images": len(own),
            "annotated": sum(record.mask is not None for record in own),
            "patients": len({record.patient for record in own}),
            "groups": dict(sorted(Counter(record.group for record in own).items())),
            "modalities": dict(sorted(Counter(record.modality for record in members).items())),
        }
