"""What data modules of several modalities at once have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import DataLoader, Dataset

from data_modules.manifest import Record, joined
from data_modules.patient_data import Use
from data_modules.patients import identity
from data_modules.sample import Sample, SampleParts
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import SplitNeeds, Splits, resolve_splits
from data_modules.transfer import TransferDataModule
from lotus.transforms.preprocessing import Preprocessing


class JointDataModule(TransferDataModule, ABC):
    """Trains on several parts at once, evaluates on one of them.

    A part is a modality. All are split jointly by patient, whether they come from one manifest or
    from several: nobody whose images validate or test is among those that any part shows in
    training. Train batches are ``{name of part: batch}``; which images go together is what the
    classes below differ in. Batch size, order and length of an epoch are those of the evaluated
    part. So are the split's file, fractions and seed, and the batches of validation, test and
    prediction.

    Args:
        parts: The modalities by name.
        evaluated: Name of the part that validates and tests.

    Attributes:
        paired: Whether the images of a sample show the same field, pixel by pixel.

    Raises:
        ValueError: If no part has the name ``evaluated``, or parts name different split files.
    """

    paired: ClassVar[bool]

    def __init__(self, parts: dict[str, SegmentationDataModule], evaluated: str) -> None:
        super().__init__()
        if evaluated not in parts:
            raise ValueError(f"evaluated is '{evaluated}'; expected one of {', '.join(parts)}")
        self.parts = dict(parts)
        self.evaluated = evaluated
        self._evaluated_part = self.parts[evaluated]
        files = {
            name: part.split_file for name, part in parts.items() if part.split_file is not None
        }
        if len(set(files.values())) > 1:
            found = ", ".join(f"{name} {file}" for name, file in files.items())
            raise ValueError(f"different split files: {found}; expected one, made for all parts")
        self._split_file = next(iter(files.values()), None)
        self._joint: Splits | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """How the evaluated images are preprocessed."""
        return self._evaluated_part.preprocessing

    @property
    def spacing_um(self) -> tuple[float, float] | None:
        """That of the evaluated part; see :attr:`SegmentationDataModule.spacing_um`."""
        return self._evaluated_part.spacing_um

    @property
    def resamples(self) -> bool:
        """Whether evaluated images of another pixel size than ``spacing_um`` are resampled."""
        return self._evaluated_part.resamples

    @property
    def needs(self) -> SplitNeeds:
        """What the sets of a split are to have: that of the evaluated part."""
        return self._evaluated_part.needs

    @property
    def splits(self) -> Splits:
        """The joint split of all parts."""
        return self.join()

    @property
    def records(self) -> list[Record]:
        """All records of all manifests, each image once."""
        return joint_records(*(part.records for part in self.parts.values()))

    def use_split_file(self, path: Path) -> None:
        """Let a split file decide for all parts.

        Args:
            path: The file; made if it is missing.
        """
        self._split_file = path
        self._joint = None

    def check_splits(self, splits: Splits) -> None:
        """Make sure that a training could train, validate and test, without taking a split on.

        No image is read.

        Args:
            splits: A split of all manifests.

        Raises:
            ValueError: If a set has no image, or too few, or a training image has no partner.
        """
        self._evaluated_part.check_splits(splits)
        self.check_partners(
            {name: part.select("train", splits) for name, part in self.parts.items()}
        )

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """The evaluated part's records in a split; see :class:`SegmentationDataModule`."""
        return self._evaluated_part.select(split, of)

    def origins(self) -> list[Path]:
        """Where the masks of all parts come from; see :meth:`SegmentationDataModule.origins`."""
        self.join()
        return list(dict.fromkeys(path for part in self.parts.values() for path in part.origins()))

    def setup(self, stage: str) -> None:
        """Split all parts jointly and prepare the images of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: As :meth:`SegmentationDataModule.setup` and :meth:`training_dataset`.
        """
        self.join()
        self._evaluated_part.setup(stage)
        if stage == "fit":
            self.training_dataset()

    @abstractmethod
    def check_partners(self, records: Mapping[str, Sequence[Record]]) -> None:
        """Make sure that every training image of the evaluated part has its partners.

        Args:
            records: Training records of each part.

        Raises:
            ValueError: If one has none.
        """

    @abstractmethod
    def training_dataset(self) -> Dataset[SampleParts]:
        """``{name of part: sample}`` of every training image of the evaluated part.

        Raises:
            ValueError: If an image has no partner.
        """

    def join(self) -> Splits:
        """Make the joint split and hand it to all parts; once."""
        if self._joint is None:
            records = self.records
            fractions, seed = self._evaluated_part.split_fractions, self._evaluated_part.seed
            self._joint = resolve_splits(
                records, self._split_file, fractions, seed=seed, needs=self.needs
            )
            groups = sorted({record.group for record in records})
            for part in self.parts.values():
                part.use_splits(self._joint, groups)
        return self._joint

    def train_dataloader(self) -> DataLoader[SampleParts]:
        """Batches of crops of the evaluated part, each with as many of every other part."""
        self.join()
        return self._evaluated_part.training_loader(
            self.training_dataset(), len(self.select("train"))
        )

    def val_dataloader(self) -> DataLoader[Sample]:
        """The validation images of the evaluated part."""
        return self._evaluated_part.val_dataloader()

    def test_dataloader(self) -> DataLoader[Sample]:
        """The test images of the evaluated part."""
        return self._evaluated_part.test_dataloader()

    def predict_dataloader(self) -> DataLoader[Sample]:
        """The evaluated part's images of the test patients."""
        return self._evaluated_part.predict_dataloader()

    def write_splits(self, path: Path) -> None:
        """Write the joint split as JSON, for the run folder.

        Args:
            path: The file.
        """
        self.join()
        self._evaluated_part.write_splits(path)

    def summary(self) -> dict[str, Any]:
        """Whether the images are pairs, and the summaries of all parts; for the report."""
        self.join()
        parts = {name: part.summary() for name, part in self.parts.items()}
        return {"paired": self.paired, "parts": parts}


def joint_records(*manifests: Sequence[Record]) -> list[Record]:
    """All records of several manifests, each image once.

    Args:
        manifests: Records of each manifest; two may be the same.

    Returns:
        The union, in the order of first appearance, with one name per person.

    Raises:
        ValueError: If one image belongs to two patients.
    """
    union: dict[Path, Record] = {}
    for records in manifests:
        for record in records:
            other = union.setdefault(record.image, record)
            if identity(other.patient) != identity(record.patient):
                raise ValueError(
                    f"{record.image}: belongs to patient '{other.patient}' in one manifest and to "
                    f"'{record.patient}' in another; expected one patient per file"
                )
    return joined([*union.values()])
