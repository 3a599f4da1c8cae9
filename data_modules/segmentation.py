"""Images of one modality with their masks, split by patient."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_info
from monai.transforms import Transform
from torch.utils.data import DataLoader, Dataset

from data_modules.dataset import ImageSource, SegmentationDataset, WholeImageDataset
from data_modules.manifest import Record
from data_modules.patch_cache import PatchCache
from data_modules.patient_data import Item, PatientDataModule, Use
from data_modules.pixel_sizes import (
    SpacingChoice,
    checked_choice,
    median_spacing,
    said_of_sizes,
)
from data_modules.sample import Sample
from data_modules.sampler import SeededSampler
from data_modules.splits import DEFAULT_FRACTIONS, Splits
from lotus.transforms.intensity_range import PercentileRange
from lotus.transforms.preprocessing import Preprocessing


class SegmentationDataModule(PatientDataModule[ImageSource]):
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
        super().__init__(
            manifest,
            modality,
            batch_size=batch_size,
            samples_per_epoch=samples_per_epoch,
            num_workers=num_workers,
            splits=splits,
            split_fractions=split_fractions,
            seed=seed,
        )
        self.class_names = list(class_names)
        self.in_channels = in_channels
        self.preprocessing = PercentileRange() if preprocessing is None else preprocessing
        self._spacing = checked_choice(spacing_um)
        self.augmentation = list(augmentation or [])
        self.patch_size = patch_size
        self.training_images = training_images
        self.cache = cache
        self._patches = PatchCache(self.preprocessing, cache)

    def setup(self, stage: str) -> None:
        """Read the manifest, split it and prepare the images of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: If manifest, split or a file cannot be used, or a needed split is empty.
        """
        super().setup(stage)
        if stage == "fit" and self.network_spacing_um is not None:
            said = said_of_sizes(self.select("train"), self.network_spacing_um)
            if said is not None:
                rank_zero_info(f"{self.modality}: {said}")

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

    def is_usable(self, record: Record, use: Use) -> bool:
        """Whether an image is annotated, which predicting does not ask for."""
        return record.mask is not None or use == "predict"

    def usable_name(self) -> str:
        """``annotated MODALITY image``."""
        return f"annotated {self.modality} image"

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
        found = super().select(split, of)
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
        return SegmentationDataset(self.source("train"), self.patch_size, self.augmentation)

    def training_loader(self, dataset: Dataset[Item], n_records: int) -> DataLoader[Item]:
        """A loader whose batches are a function of seed and epoch.

        Args:
            dataset: Indexed by (record, seed).
            n_records: Number of its records.

        Returns:
            The loader.
        """
        samples = n_records if self.samples_per_epoch is None else self.samples_per_epoch
        return self.seeded_loader(dataset, SeededSampler(n_records, samples, seed=self.seed))

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

    def whole_images(self, use: Use) -> WholeImageDataset:
        """Every image for a purpose, as it is, in the order of the manifest.

        Args:
            use: The purpose.
        """
        return WholeImageDataset(self.source(use), self.network_spacing_um)

    def summary(self) -> dict[str, Any]:
        """What is in the data, for the report.

        Returns:
            That of :class:`~data_modules.patient_data.PatientDataModule`, the classes, the pixel
            size, and whether images of others are resampled to it.
        """
        return {
            **super().summary(),
            "class_names": self.class_names,
            "spacing_um": None if self.spacing_um is None else list(self.spacing_um),
            "resampled": self.resamples,
        }

    def make_source(self, use: Use) -> ImageSource:
        """Prepared images of a split."""
        return ImageSource(
            self.select(use),
            self._patches,
            groups=self.groups,
            class_names=self.class_names,
            in_channels=self.in_channels,
            spacing_um=self.network_spacing_um if use == "train" else None,
        )

    def _whole_images(self, name: Use) -> DataLoader[Sample]:
        images = self.whole_images(name)
        return self.ordered_loader(images, len(images), batch_size=1)


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
