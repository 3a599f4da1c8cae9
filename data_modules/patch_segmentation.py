"""Segmentation learnt from the patches of slices that lie in tissue."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from monai.transforms import Compose, Transform
from torch.utils.data import DataLoader, Dataset

from data_modules.dataset import ImageSource, augmented, crop
from data_modules.diagnoses import shuffled
from data_modules.manifest import Record
from data_modules.patches import SlicePatches, read_patches, with_patches
from data_modules.patient_data import Use
from data_modules.sample import Sample
from data_modules.sampler import SampleIndex
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import DEFAULT_FRACTIONS, SplitNeeds, Splits
from lotus.transforms.preprocessing import Preprocessing


class PatchSegmentationDataset(Dataset[Sample]):
    """Patches at their places; an index is (patch, seed), and the seed decides the augmentation.

    Patches smaller than ``patch_size`` are mirrored at their borders up to it, with their masks.
    The margin counts in the loss: a network that never learns what lies at the border of its input
    says anything there, and whole slices have a border too. Patches of which nothing is known,
    such as those that a person rejected, are left out.

    Args:
        source: Annotated slices.
        patches: Of each slice.
        patch_size: Edge of what the network sees, in pixels; at least that of the patches.
        augmentation: MONAI dictionary transforms over ``image``, ``mask`` and ``instances``, all
            channel first.

    Raises:
        ValueError: Patches are larger than ``patch_size``, or nothing is known of any.
    """

    def __init__(
        self,
        source: ImageSource,
        patches: Sequence[SlicePatches],
        patch_size: int,
        augmentation: Sequence[Transform],
    ) -> None:
        size = max(own.size for own in patches)
        if size > patch_size:
            raise ValueError(f"patch_size is {patch_size}; expected at least the patches' {size}")
        self.source = source
        self.patch_size = patch_size
        self._augment = Compose(list(augmentation)) if augmentation else None
        self._windows = [
            (index, own.window(number))
            for index, own in enumerate(patches)
            for number in range(len(own))
            if _is_known(source, index, own.window(number))
        ]
        if not self._windows:
            raise ValueError(
                "every patch lies where masks are to be ignored; expected some to learn"
            )

    def __len__(self) -> int:
        """Number of patches."""
        return len(self._windows)

    def __getitem__(self, index: SampleIndex) -> Sample:
        """The sample of a patch and a seed."""
        patch, seed = index
        record, window = self._windows[patch]
        pixels = crop(self.source.prepared(record), window, self.patch_size)
        if self._augment is not None:
            pixels = augmented(self._augment, pixels, seed)
        return self.source.sample(record, pixels)


class PatchSegmentationDataModule(SegmentationDataModule):
    """Training batches are patches of a table; whole slices validate, test and are predicted.

    Slices keep their pixel size. Each set of a drawn split has patients of every group, so that
    folds serve a classifier of the same patients as well.

    Args:
        manifest: The manifest.
        modality: Which of its modalities.
        patches: Table that ``lotus patches`` wrote for the slices.
        class_names: Foreground classes in the order of their indices 1, 2, ...
        in_channels: Channels of the network; one-channel images are repeated.
        preprocessing: From pixels to [0, 1]; None: ``PercentileRange()``.
        augmentation: MONAI dictionary transforms for training patches.
        patch_size: Edge of what the network sees, in pixels; smaller patches get a mirrored margin.
        batch_size: Training patches per batch and process.
        samples_per_epoch: Training patches per epoch; None: each once.
        training_images: Use only this many annotated training slices, from as many patients as
            possible. Smaller choices are part of larger ones.
        shuffled_groups: See :class:`PatchClassificationDataModule`, whose folds these are then;
            segmentation itself knows no groups.
        num_workers: Processes that load data; 0 loads in the training process.
        splits: Split file. If it exists it is authoritative and must fit the manifest;
            otherwise the split that is made is written there.
        split_fractions: Shares of patients in train, val and test.
        cache: Folder of preprocessed slices; None keeps them in memory.
        seed: Decides the split, the order and the augmentation.
    """

    def __init__(
        self,
        manifest: Path,
        modality: str,
        patches: Path,
        *,
        class_names: Sequence[str] = ("foreground",),
        in_channels: int = 3,
        preprocessing: Preprocessing | None = None,
        augmentation: list[Transform] | None = None,
        patch_size: int = 64,
        batch_size: int = 30,
        samples_per_epoch: int | None = None,
        training_images: int | None = None,
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
            class_names=class_names,
            in_channels=in_channels,
            preprocessing=preprocessing,
            spacing_um="native",
            augmentation=augmentation,
            patch_size=patch_size,
            batch_size=batch_size,
            samples_per_epoch=samples_per_epoch,
            training_images=training_images,
            num_workers=num_workers,
            splits=splits,
            split_fractions=split_fractions,
            cache=cache,
            seed=seed,
        )
        self.patches = Path(patches)
        self.shuffled_groups = shuffled_groups

    def read_records(self) -> list[Record]:
        """Read the manifest; with other groups where they are to be shuffled."""
        records = super().read_records()
        return records if self.shuffled_groups is None else shuffled(records, self.shuffled_groups)

    @property
    def needs(self) -> SplitNeeds:
        """Annotated slices, and patients of every group in every set."""
        return SplitNeeds(every_group=True)

    @cached_property
    def table(self) -> dict[str, SlicePatches]:
        """All patches, by the name of their slice."""
        own = [record for record in self.records if record.modality == self.modality]
        return read_patches(self.patches, own)

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """As for :class:`SegmentationDataModule`.

        Raises:
            ValueError: Also if a training slice has no patch.
        """
        found = super().select(split, of)
        if split == "train":
            self._patches_of(found)
        return found

    def train_dataloader(self) -> DataLoader[Sample]:
        """Patches in batches."""
        source = self.source("train")
        dataset = PatchSegmentationDataset(
            source, self._patches_of(source.records), self.patch_size, self.augmentation
        )
        return self.training_loader(dataset, len(dataset))

    def _patches_of(self, records: Sequence[Record]) -> list[SlicePatches]:
        try:
            return with_patches(records, self.table)
        except ValueError as error:
            raise ValueError(f"{self.patches}: {error}") from error


def _is_known(source: ImageSource, index: int, window: tuple[slice, slice]) -> bool:
    ignored = source.prepared(index).ignored
    return ignored is None or not bool(ignored[window].all())
