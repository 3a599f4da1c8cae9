"""Images of one modality with their masks, split by patient."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from monai.transforms import Transform
from torch.utils.data import DataLoader, Dataset

from data_modules.dataset import ImageSource, SegmentationDataset, WholeImageDataset
from data_modules.manifest import SPLIT_NAMES, Record, Split, read_manifest
from data_modules.patch_cache import PatchCache
from data_modules.pixel_sizes import (
    SpacingChoice,
    checked_choice,
    median_spacing,
    said_of_sizes,
)
from data_modules.sample import Sample
from data_modules.sampler import LateLoader, SeededSampler, ShardSampler
from data_modules.splits import DEFAULT_FRACTIONS, Splits, resolve_splits, write_splits
from data_modules.transfer import TransferDataModule
from lotus.transforms.intensity_range import PercentileRange
from lotus.transforms.preprocessing import Preprocessing

Item = TypeVar("Item")
Use = Split | Literal["predict"]
"""A split, or all images of the test patients, annotated or not."""


class SegmentationDataModule(TransferDataModule):
    """Batches of one modality of a manifest.

    Training batches are random crops, the same for the same ``seed`` and epoch; validation,
    test and prediction batches are single images at their native size. The split is drawn over
    all modalities of the manifest, so that a patient is on one side for all of them.

    Nothing is read before :meth:`setup`.

    Args:
        manifest: The manifest.
        modality: Which of its modalities.
        class_names: Foreground classes in the order of their indices 1, 2, ...
        in_channels: Channels of the network; one-channel images are repeated.
        preprocessing: From pixels to [0, 1]; None: ``PercentileRange()``.
        spacing_um: Pixel size in µm in which the network sees images, a number or (Y, X). Those of
            another are resampled once they are preprocessed, those of none are not. ``median``:
            that of this modality's images in the manifest, whatever the split, so that all folds
            have one. ``native``: every image as it is. Whole images stay as they are, as scores
            are taken at native size; the task resamples them and brings back what it finds.
        augmentation: MONAI dictionary transforms for training crops.
        patch_size: Edge of training crops in pixels.
        batch_size: Training crops per batch and process.
        samples_per_epoch: Training crops per epoch; None: one per training image.
        training_images: Use only this many annotated training images, from as many
            patients as possible. Smaller choices are part of larger ones.
        num_workers: Processes that load data; 0 loads in the training process.
        splits: Split file. If it exists it is authoritative and must fit the manifest;
            otherwise the split that is made is written there.
        split_fractions: Shares of patients in train, val and test.
        cache: Folder of preprocessed images; None keeps them in memory.
        seed: Decides the split, the order, the crops and the augmentation.
    """

    def __init__(
        self,
        manifest: Path,
        modality: str,
        *,
        class_names: Sequence[str] = ("foreground",),
        in_channels: int = 3,
        preprocessing: Preprocessing | None = None,
        spacing_um: SpacingChoice = "median",
        augmentation: list[Transform] | None = None,
        patch_size: int = 256,
        batch_size: int = 16,
        samples_per_epoch: int | None = None,
        training_images: int | None = None,
        num_workers: int = 0,
        splits: Path | None = None,
        split_fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
        cache: Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.manifest = Path(manifest)
        self.modality = modality
        self.class_names = list(class_names)
        self.in_channels = in_channels
        self.preprocessing = PercentileRange() if preprocessing is None else preprocessing
        self._spacing = checked_choice(spacing_um)
        self.augmentation = list(augmentation or [])
        self.patch_size = patch_size
        self.batch_size = batch_size
        self.samples_per_epoch = samples_per_epoch
        self.training_images = training_images
        self.num_workers = num_workers
        self.split_file = None if splits is None else Path(splits)
        self.split_fractions = split_fractions
        self.cache = cache
        self.seed = seed
        self.groups: list[str] = []
        self._splits: Splits | None = None
        self._records: list[Record] = []
        self._sources: dict[Use, ImageSource] = {}
        self._patches = PatchCache(self.preprocessing, cache)

    def setup(self, stage: str) -> None:
        """Read the manifest, split it and prepare the images of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: If manifest, split or a file cannot be used, or a needed split is empty.
        """
        needed: dict[str, tuple[Use, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("predict",),
        }
        for name in needed[stage]:
            self._source(name)
        if stage == "fit" and self.network_spacing_um is not None:
            said = said_of_sizes(self.select("train"), self.network_spacing_um)
            if said is not None:
                rank_zero_info(f"{self.modality}: {said}")

    @property
    def records(self) -> list[Record]:
        """All records of the manifest, of every modality."""
        if not self._records:
            records = read_manifest(self.manifest)
            modalities = sorted({record.modality for record in records})
            if self.modality not in modalities:
                raise ValueError(
                    f"{self.manifest}: no image of modality '{self.modality}'; "
                    f"found {', '.join(modalities)}"
                )
            self._records = records
        return self._records

    @property
    def spacing_um(self) -> tuple[float, float] | None:
        """Pixel size (Y, X) in µm that images are resampled to; None where none has one.

        Of images that are taken as they are, the median.
        """
        if not isinstance(self._spacing, str):
            y, x = np.broadcast_to(self._spacing, 2).tolist()
            return y, x
        return self._median_um

    @property
    def resamples(self) -> bool:
        """Whether images of another pixel size than ``spacing_um`` are resampled to it."""
        return self._spacing != "native"

    @property
    def network_spacing_um(self) -> tuple[float, float] | None:
        """Pixel size (Y, X) in µm that images are resampled to; None takes them as they are."""
        return self.spacing_um if self.resamples else None

    def use_spacing(self, spacing_um: tuple[float, float] | None) -> None:
        """Resample to a pixel size that was decided elsewhere.

        Args:
            spacing_um: (Y, X) in µm; None takes images as they are.
        """
        self._spacing = "native" if spacing_um is None else spacing_um
        self._sources.clear()

    @cached_property
    def _median_um(self) -> tuple[float, float] | None:
        return median_spacing([r for r in self.records if r.modality == self.modality])

    @property
    def splits(self) -> Splits:
        """The split of the manifest: read from the split file, drawn, or handed over."""
        if self._splits is None:
            self.groups = sorted({record.group for record in self.records})
            self._splits = resolve_splits(
                self.records, self.split_file, self.split_fractions, seed=self.seed
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
        self.groups = list(groups)
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
            split: ``train``, ``val`` or ``test`` (annotated images), or ``predict`` (all
                images of the test patients, annotated or not).
            of: Another split of the manifest; None: the module's own.

        Returns:
            The records, at least one.

        Raises:
            ValueError: If there is none, or fewer than ``training_images``.
        """
        splits = self.splits if of is None else of
        members = splits.select(self.records, "test" if split == "predict" else split)
        own = [record for record in members if record.modality == self.modality]
        found = [record for record in own if record.mask is not None or split == "predict"]
        if not found:
            counts = ", ".join(f"{name} {len(getattr(splits, name))}" for name in SPLIT_NAMES)
            raise ValueError(
                f"{self.manifest}: split {split} has no annotated {self.modality} image "
                f"(patients: {counts}); give more patients, a split column or split_fractions"
            )
        if split == "train" and self.training_images is not None:
            found = nested_choice(found, self.training_images, seed=self.seed)
        return found

    def origins(self) -> list[Path]:
        """Where the masks come from that decide the weights: of training and validation patients.

        Returns:
            The ``origin`` of this modality's annotated records, each file once, those of training
            first; nothing for masks that were drawn by hand.
        """
        splits = self.splits
        used = splits.select(self.records, "train") + splits.select(self.records, "val")
        found = [
            record.origin
            for record in used
            if record.modality == self.modality
            and record.mask is not None
            and record.origin is not None
        ]
        return list(dict.fromkeys(found))

    def training_dataset(self) -> SegmentationDataset:
        """Random crops of the training images."""
        return SegmentationDataset(self._source("train"), self.patch_size, self.augmentation)

    def training_loader(self, dataset: Dataset[Item], n_records: int) -> DataLoader[Item]:
        """A loader whose batches are a function of seed and epoch.

        Args:
            dataset: Indexed by (record, seed).
            n_records: Number of its records.

        Returns:
            The loader.
        """
        samples = n_records if self.samples_per_epoch is None else self.samples_per_epoch
        return LateLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=SeededSampler(n_records, samples, seed=self.seed),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # A generator of its own: iterating must not advance the global random state.
            generator=torch.Generator().manual_seed(self.seed),
        )

    def train_dataloader(self) -> DataLoader[Sample]:
        """Random crops in batches."""
        dataset = self.training_dataset()
        return self.training_loader(dataset, len(dataset))

    def val_dataloader(self) -> DataLoader[Sample]:
        """Whole validation images, one by one."""
        return self._whole_images("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Whole test images, one by one."""
        return self._whole_images("test")

    def predict_dataloader(self) -> DataLoader[Sample]:
        """Whole images of the test patients, annotated or not, one by one."""
        return self._whole_images("predict")

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
            use, the pixel size and whether images of others are resampled to it, and per split:
            images, annotated images and patients of this modality, and images per group and per
            modality.
        """
        per_split = {}
        for name in SPLIT_NAMES:
            members = self.splits.select(self.records, name)
            own = [record for record in members if record.modality == self.modality]
            per_split[name] = {
                "images": len(own),
                "annotated": sum(record.mask is not None for record in own),
                "patients": len({record.patient for record in own}),
                "groups": dict(sorted(Counter(record.group for record in own).items())),
                "modalities": dict(sorted(Counter(record.modality for record in members).items())),
            }
        return {
            "manifest": str(self.manifest.absolute()),
            "manifest_hash": self.splits.manifest_hash,
            "modality": self.modality,
            "class_names": self.class_names,
            "split_source": self.splits.source,
            "training_images": len(self.select("train")),
            "spacing_um": None if self.spacing_um is None else list(self.spacing_um),
            "resampled": self.resamples,
            "splits": per_split,
        }

    def _source(self, name: Use) -> ImageSource:
        """Prepared images of a split; prepared on the first call."""
        if name not in self._sources:
            records = self.select(name)
            self._sources[name] = ImageSource(
                records,
                self._patches,
                groups=self.groups,
                class_names=self.class_names,
                in_channels=self.in_channels,
                spacing_um=self.network_spacing_um if name == "train" else None,
            )
        return self._sources[name]

    def _whole_images(self, name: Use) -> DataLoader[Sample]:
        images = WholeImageDataset(self._source(name), self.network_spacing_um)
        return DataLoader(
            images,
            batch_size=1,
            sampler=ShardSampler(len(images)),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),
        )


def nested_choice(records: Sequence[Record], count: int, *, seed: int) -> list[Record]:
    """The first ``count`` records of a seeded order that visits every patient in turn.

    Args:
        records: Candidates.
        count: How many; the choice of a smaller count is part of that of a larger one.
        seed: Seed of the order of patients and of the images of each.

    Returns:
        The chosen records, in the order of the draw.

    Raises:
        ValueError: If there are fewer candidates, or ``count`` is not positive.
    """
    if not 1 <= count <= len(records):
        raise ValueError(
            f"training_images is {count}; expected 1 ... {len(records)}, the annotated "
            f"{records[0].modality} images of the training patients"
        )
    by_patient: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.name):
        by_patient.setdefault(record.patient, []).append(record)
    generator = np.random.default_rng(seed)
    order = generator.permutation(sorted(by_patient)).tolist()
    queues = [
        [by_patient[patient][i] for i in generator.permutation(len(by_patient[patient]))]
        for patient in order
    ]
    rounds = max(len(queue) for queue in queues)
    turns = [queue[turn] for turn in range(rounds) for queue in queues if turn < len(queue)]
    return turns[:count]
