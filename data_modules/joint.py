"""What data modules of a student's and a teacher's modality have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from data_modules.dataset import Sample
from data_modules.manifest import Record
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import Splits, resolve_splits
from lotus.transforms.preprocessing import Preprocessing


class JointDataModule(LightningDataModule, ABC):
    """Trains on two modalities, evaluates on the student's.

    Both are split jointly by patient, whether they come from one manifest or from two: nobody
    whose student images validate or test is among those the teacher batches show. Train batches
    are ``{"student": batch, "teacher": batch}``; which teacher image goes with which student image
    is what the classes below differ in. Batch size, order and length of an epoch are the
    student's. Validation, test and prediction batches are the student's.

    Attributes:
        paired: Whether a student image and its teacher image show the same field, pixel by pixel.
    """

    paired: ClassVar[bool]

    def __init__(self, student: SegmentationDataModule, teacher: SegmentationDataModule) -> None:
        """Join two data modules.

        Args:
            student: The modality to be learnt; its split file, fractions and seed are used.
            teacher: The modality of the teacher.

        Raises:
            ValueError: If both name a split file and the files differ.
        """
        super().__init__()
        self.student = student
        self.teacher = teacher
        files = {module.split_file for module in (student, teacher)} - {None}
        if len(files) > 1:
            raise ValueError(
                f"student and teacher have different split files: {', '.join(map(str, files))}; "
                "expected one, made for both"
            )
        self._split_file = next(iter(files), None)
        self._joint: Splits | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """How the student's images are preprocessed."""
        return self.student.preprocessing

    @property
    def spacing_um(self) -> tuple[float, float] | None:
        """Median (Y, X) pixel size of the student's images; None where none has one."""
        return self.student.spacing_um

    @property
    def splits(self) -> Splits:
        """The joint split of both modalities."""
        return self.join()

    @property
    def records(self) -> list[Record]:
        """All records of both manifests, each image once."""
        return joint_records(self.student.records, self.teacher.records)

    def use_split_file(self, path: Path) -> None:
        """Let a split file decide for both modalities.

        Args:
            path: The file; made if it is missing.
        """
        self._split_file = path
        self._joint = None

    def check_splits(self, splits: Splits) -> None:
        """Make sure that a training could train, validate and test, without taking a split on.

        No image is read.

        Args:
            splits: A split of both manifests.

        Raises:
            ValueError: If a part has no image, or too few, or a student image has no partner.
        """
        self.student.check_splits(splits)
        self.check_partners(
            self.student.select("train", splits), self.teacher.select("train", splits)
        )

    def select(self, split: str, of: Splits | None = None) -> list[Record]:
        """The student's records that a split uses; see :class:`SegmentationDataModule`."""
        return self.student.select(split, of)

    def setup(self, stage: str) -> None:
        """Split both modalities jointly and prepare the images of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: As :meth:`SegmentationDataModule.setup` and :meth:`training_pairs`.
        """
        self.join()
        self.student.setup(stage)
        if stage == "fit":
            self.training_pairs()

    @abstractmethod
    def check_partners(self, student: Sequence[Record], teacher: Sequence[Record]) -> None:
        """Make sure that every training image of the student has a partner.

        Args:
            student: Training records of the student.
            teacher: Training records of the teacher.

        Raises:
            ValueError: If one has none.
        """

    @abstractmethod
    def training_pairs(self) -> Dataset[Sample]:
        """``{"student": sample, "teacher": sample}`` of every training image of the student.

        Raises:
            ValueError: If a student image has no partner.
        """

    def join(self) -> Splits:
        """Make the joint split and hand it to both modules; once."""
        if self._joint is None:
            records = self.records
            self._joint = resolve_splits(
                records, self._split_file, self.student.split_fractions, self.student.seed
            )
            groups = sorted({record.group for record in records})
            self.student.use_splits(self._joint, groups)
            self.teacher.use_splits(self._joint, groups)
        return self._joint

    def train_dataloader(self) -> DataLoader[Sample]:
        """Batches of student crops, each with as many teacher crops."""
        self.join()
        return self.student.training_loader(
            self.training_pairs(), len(self.student.select("train"))
        )

    def val_dataloader(self) -> DataLoader[Sample]:
        """The student's validation images."""
        return self.student.val_dataloader()

    def test_dataloader(self) -> DataLoader[Sample]:
        """The student's test images."""
        return self.student.test_dataloader()

    def predict_dataloader(self) -> DataLoader[Sample]:
        """The student's images of the test patients."""
        return self.student.predict_dataloader()

    def write_splits(self, path: Path) -> None:
        """Write the joint split as JSON, for the run folder.

        Args:
            path: The file.
        """
        self.join()
        self.student.write_splits(path)

    def summary(self) -> dict[str, Any]:
        """Whether the images are pairs, and summaries of both modalities; for the report."""
        self.join()
        parts = {"student": self.student.summary(), "teacher": self.teacher.summary()}
        return {"paired": self.paired, **parts}


def joint_records(first: Sequence[Record], second: Sequence[Record]) -> list[Record]:
    """All records of two manifests, each image once.

    Args:
        first: Records of one manifest.
        second: Records of the other, or of the same.

    Returns:
        The union, in the order of first appearance.

    Raises:
        ValueError: If one image belongs to two patients.
    """
    union: dict[Path, Record] = {}
    for record in (*first, *second):
        other = union.setdefault(record.image, record)
        if other.patient != record.patient:
            raise ValueError(
                f"{record.image}: belongs to patient '{other.patient}' in one manifest and to "
                f"'{record.patient}' in the other; expected one patient per file"
            )
    return list(union.values())
