"""Patches of slices with the group of their patient as the class."""

from collections import Counter
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import Transform
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from data_modules.classified_patches import ClassifiedPatches, RandomPatches, SlicePatchSource
from data_modules.diagnoses import UNKNOWN, group_of_patients, shuffled
from data_modules.guides import GuideStore, Predict
from data_modules.manifest import SPLIT_NAMES, Record
from data_modules.patch_cache import PatchCache
from data_modules.patches import SlicePatches, read_patches
from data_modules.patient_data import PatientDataModule, Use
from data_modules.pixel_sizes import median_spacing
from data_modules.sample import PatchSample
from data_modules.sampler import BalancedSampler
from data_modules.splits import DEFAULT_FRACTIONS, SplitNeeds, Splits, is_annotated
from lotus.imaging.mask_files import read_mask
from lotus.masks import MaskValues
from lotus.transforms.intensity_range import PercentileRange
from lotus.transforms.preprocessing import Preprocessing


class PatchClassificationDataModule(PatientDataModule[SlicePatchSource]):
    """Patches of one modality, each with the group of its patient.

    Training batches are drawn so that groups, patients of a group and patches of a patient take
    turns, the same for the same ``seed`` and epoch. Validation, test and prediction go through all
    patches in order. Slices whose group is ``unknown``, and those without a patch in the table, are
    not used. The split is drawn over all modalities of the manifest by patient, and each set must
    have a patient of every group.

    Patches keep the pixel size of their slice and are not resampled to another; then they are
    resized. Where slices differ in pixel size, patches differ in what they cover.

    Nothing is read before :meth:`setup`.

    Args:
        manifest: The manifest; ``group`` is the class.
        modality: Which of its modalities.
        patches: Table that ``lotus patches`` wrote for it.
        resize: Side in pixels that patches are resized to, bilinearly.
        in_channels: Channels of the network; one-channel images are repeated.
        preprocessing: From pixels of a whole slice to [0, 1]; None: ``PercentileRange()``.
        augmentation: MONAI dictionary transforms over ``image``, and over ``guide`` where the task
            attaches one (``allow_missing_keys`` where it may not), over ``mask`` and ``ignored``
            where they are ``annotated``, all channel first, before patches are resized.
        batch_size: Patches per batch and process.
        samples_per_epoch: Training patches per epoch; None: as many as there are.
        patches_per_slice: Use at most so many patches of a slice, drawn by ``seed``, in all splits;
            smaller choices are part of larger ones. None: all.
        annotated: Whether samples also have the ``mask`` of their slice, 0 where there is none,
            and what is ``ignored``, which is everything there; for tasks that learn to segment
            beside.
        shuffled_groups: Deal the groups out anew to the patients, by this seed, before anything is
            split: a negative control, see :func:`data_modules.diagnoses.shuffled`. None: the
            groups of the manifest.
        num_workers: Processes that load data; 0 loads in the training process.
        splits: Split file. If it exists it is authoritative and must fit the manifest;
            otherwise the split that is made is written there.
        split_fractions: Shares of patients in train, val and test.
        cache: Folder of preprocessed slices and of guides; None keeps them in memory.
        seed: Decides the split, the order, the choice of patches and the augmentation.
    """

    def __init__(
        self,
        manifest: Path,
        modality: str,
        patches: Path,
        *,
        resize: int = 224,
        in_channels: int = 3,
        preprocessing: Preprocessing | None = None,
        augmentation: list[Transform] | None = None,
        batch_size: int = 30,
        samples_per_epoch: int | None = None,
        patches_per_slice: int | None = None,
        annotated: bool = False,
        shuffled_groups: int | None = None,
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
        if patches_per_slice is not None and patches_per_slice < 1:
            raise ValueError(f"patches_per_slice is {patches_per_slice}; expected at least 1")
        self.patches = Path(patches)
        self.resize = resize
        self.in_channels = in_channels
        self.preprocessing = PercentileRange() if preprocessing is None else preprocessing
        self.augmentation = list(augmentation or [])
        self.patches_per_slice = patches_per_slice
        self.annotated = annotated
        self.shuffled_groups = shuffled_groups
        self._cache = PatchCache(self.preprocessing, cache)
        self._guides = GuideStore(cache)
        self._guide: tuple[str, Predict] | None = None

    def read_records(self) -> list[Record]:
        """Read the manifest; with other groups where they are to be shuffled.

        Raises:
            ValueError: It cannot be used, or a patient of the modality is in two groups.
        """
        records = super().read_records()
        try:
            group_of_patients([r for r in records if r.modality == self.modality])
            if self.shuffled_groups is not None:
                records = shuffled(records, self.shuffled_groups)
        except ValueError as error:
            raise ValueError(f"{self.manifest}: {error}") from error
        return records

    @cached_property
    def table(self) -> dict[str, SlicePatches]:
        """The patches in use, by the name of their slice."""
        own = [record for record in self.records if record.modality == self.modality]
        table = read_patches(self.patches, own)
        if self.patches_per_slice is None:
            return table
        generators = np.random.default_rng(self.seed).spawn(len(table))
        return {
            name: table[name].at_most(self.patches_per_slice, generator)
            for name, generator in zip(sorted(table), generators, strict=True)
        }

    def is_usable(self, record: Record, use: Use) -> bool:
        """Whether a slice has patches and a group."""
        return record.name in self.table and record.group != UNKNOWN

    def usable_name(self) -> str:
        """``MODALITY slice with patches``."""
        return f"{self.modality} slice with patches and a group"

    @property
    def needs(self) -> SplitNeeds:
        """Slices with patches, and patients of every group in every set."""
        return SplitNeeds(self._can_be_split, every_group=True)

    def _can_be_split(self, record: Record) -> bool:
        own = record.modality == self.modality
        return self.is_usable(record, "train") if own else is_annotated(record)

    def find_groups(self) -> list[str]:
        """The groups of the slices with patches, sorted.

        Raises:
            ValueError: There are fewer than two.
        """
        own = [record for record in self.records if record.modality == self.modality]
        groups = sorted({record.group for record in own if self.is_usable(record, "train")})
        if len(groups) < 2:
            found = groups[0] if groups else "none"
            raise ValueError(
                f"{self.manifest}: {self.modality} slices with patches have the groups: {found}; "
                "expected at least two to tell apart"
            )
        return groups

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """The slices of this modality that a split uses.

        Args:
            split: ``train``, ``val``, ``test``, or ``predict`` (of the test patients).
            of: Another split of the manifest; None: the module's own.

        Returns:
            The records, at least one, and one at least of every group unless predicting.

        Raises:
            ValueError: There is none, or none of some group; names it.
        """
        found = super().select(split, of)
        lacking = [g for g in self.groups if g not in {record.group for record in found}]
        if lacking and split != "predict":
            patients = ", ".join(dict.fromkeys(record.patient for record in found))
            raise ValueError(
                f"{self.manifest}: split {split} has no patient of group {', '.join(lacking)} "
                f"(its patients: {patients}); give more patients, fewer folds, a split column or "
                "split_fractions"
            )
        return found

    @property
    def spacing_um(self) -> tuple[float, float] | None:
        """Median pixel size (Y, X) in µm of the slices; None where none has one."""
        return median_spacing([r for r in self.records if r.modality == self.modality])

    def origins(self) -> list[Path]:
        """The models that drew the masks of training and validation slices, where masks are used.

        Returns:
            The files, each once, those of training first.
        """
        if not self.annotated:
            return []
        used = self.select("train") + self.select("val")
        found = [r.origin for r in used if r.mask is not None and r.origin is not None]
        return list(dict.fromkeys(found))

    def use_guide(self, key: str, predict: Predict) -> None:
        """Give every sample a ``guide``: what a network draws on its slice, cut like its image.

        Maps are drawn once per slice, when a loader is made, in this process.

        Args:
            key: Says which network it is and how it is used, such as the hash of its checkpoint;
                maps are kept under it and the hash of the slice's file.
            predict: From a slice (C, Y, X) with the values and the type of its file, not
                preprocessed, to what is to be looked at, (Y, X) in [0, 1].
        """
        self._guide = key, predict

    def make_source(self, use: Use) -> SlicePatchSource:
        """Prepared slices of a split with their patches."""
        records = self.select(use)
        return SlicePatchSource(
            records,
            [self.table[record.name] for record in records],
            self._cache,
            self._guides,
            groups=self.groups,
            in_channels=self.in_channels,
            resize=self.resize,
            annotated=self.annotated,
        )

    def train_dataloader(self) -> DataLoader[PatchSample]:
        """Random patches in batches, balanced over groups and patients."""
        source = self._guided("train")
        members = source.by_group_and_patient()
        samples = self.samples_per_epoch or len(source)
        sampler = BalancedSampler(members, samples, seed=self.seed)
        return self.seeded_loader(RandomPatches(source, self.augmentation), sampler)

    def val_dataloader(self) -> DataLoader[PatchSample]:
        """All validation patches in order."""
        return self._all("val")

    def test_dataloader(self) -> DataLoader[PatchSample]:
        """All test patches in order."""
        return self._all("test")

    def predict_dataloader(self) -> DataLoader[PatchSample]:
        """All patches of the test patients in order."""
        return self._all("predict")

    def sample_mask(self, name: str) -> NDArray[np.bool_] | None:
        """Where the annotated objects of a patch are.

        Args:
            name: ``slice@y,x``, as in batches.

        Returns:
            Bool (Y, X) in the pixels of the slice; None where the slice has no mask.

        Raises:
            ValueError: There is no such patch.
        """
        slice_name, _, place = name.rpartition("@")
        record = self._by_name.get(slice_name)
        corners = [] if record is None else self.table[slice_name].corners.tolist()
        if record is None or place not in [f"{y},{x}" for y, x in corners]:
            raise ValueError(f"{self.patches}: no patch '{name}'; expected one of its slices@y,x")
        if record.mask is None:
            return None
        number = [f"{y},{x}" for y, x in corners].index(place)
        return _objects(record.mask, record.mask_values)[self.table[slice_name].window(number)]

    def summary(self) -> dict[str, Any]:
        """What is in the data, for the report.

        Returns:
            That of :class:`~data_modules.patient_data.PatientDataModule`, the groups in the order
            of their labels, side and resized side of patches in pixels, the pixel size, the seed of
            shuffled groups, and per split the patches and patients of each group.
        """
        summary = super().summary()
        for name in SPLIT_NAMES:
            records = self.select(name)
            patches: Counter[str] = Counter()
            for record in records:
                patches[record.group] += len(self.table[record.name])
            people = Counter(group for _, group in {(r.patient, r.group) for r in records})
            summary["splits"][name] |= {
                "patches": dict(sorted(patches.items())),
                "patients_of_group": dict(sorted(people.items())),
            }
        size = next(iter(self.table.values())).size
        return {
            **summary,
            "classes": self.groups,
            "patch_size": size,
            "resize": self.resize,
            "spacing_um": None if self.spacing_um is None else list(self.spacing_um),
            "resampled": False,
            "shuffled_groups": self.shuffled_groups,
        }

    @cached_property
    def _by_name(self) -> dict[str, Record]:
        own = [record for record in self.records if record.modality == self.modality]
        return {record.name: record for record in own if record.name in self.table}

    def _guided(self, use: Use) -> SlicePatchSource:
        source = self.source(use)
        if self._guide is not None:
            source.draw_guides(*self._guide)
        return source

    def _all(self, use: Use) -> DataLoader[PatchSample]:
        source = self._guided(use)
        return self.ordered_loader(ClassifiedPatches(source), len(source), self.batch_size)


@lru_cache(maxsize=2)
def _objects(mask: Path, values: MaskValues) -> NDArray[np.bool_]:
    """Where a mask has objects; patches of one slice are asked for one after another."""
    found: NDArray[np.bool_] = read_mask(mask, values).values > 0
    return found
