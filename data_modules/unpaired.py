"""Student and teacher batches of two modalities whose images are not paired."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from data_modules.dataset import Sample, SegmentationDataset
from data_modules.manifest import Record
from data_modules.sampler import SampleIndex
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import Splits, resolve_splits
from lotus.transforms.preprocessing import Preprocessing


class UnpairedDataset(Dataset[Sample]):
    """Each student sample together with a teacher sample of the same group."""

    def __init__(self, student: SegmentationDataset, teacher: SegmentationDataset) -> None:
        """Find the partners of every student image.

        Args:
            student: Training crops of the student's modality.
            teacher: Training crops of the teacher's modality.

        Raises:
            ValueError: If a group of the student has no teacher image; names the groups.
        """
        self.student = student
        self.teacher = teacher
        teacher_groups = [record.group for record in teacher.source.records]
        student_groups = [record.group for record in student.source.records]
        alone = sorted(set(student_groups) - set(teacher_groups))
        if alone:
            found = ", ".join(sorted(set(teacher_groups)))
            raise ValueError(
                f"no {teacher.source.records[0].modality} training image of group "
                f"{', '.join(alone)}, which {student.source.records[0].modality} has; "
                f"the teacher's training images are of group {found}"
            )
        self._partners = [
            [index for index, group in enumerate(teacher_groups) if group == own]
            for own in student_groups
        ]

    def __len__(self) -> int:
        """Number of student images."""
        return len(self.student)

    def __getitem__(self, index: SampleIndex) -> Sample:
        """``{"student": sample, "teacher": sample}``; the seed decides both."""
        record, seed = index
        generator = np.random.default_rng([seed, 1])
        partner = int(generator.choice(self._partners[record]))
        teacher_seed = int(generator.integers(2**31))
        return {"student": self.student[index], "teacher": self.teacher[partner, teacher_seed]}


class UnpairedDataModule(LightningDataModule):
    """Trains on two modalities, evaluates on the student's.

    Both are split jointly by patient, whether they come from one manifest or from two: nobody
    whose student images validate or test is among those the teacher batches show. Train batches
    are ``{"student": batch, "teacher": batch}`` with the teacher's images of the same groups;
    batch size, order and length of an epoch are the student's. Validation, test and prediction
    batches are the student's.
    """

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

    def test_records(self, splits: Splits) -> list[Record]:
        """The annotated student images that a split tests, without taking it on."""
        return self.student.test_records(splits)

    def setup(self, stage: str) -> None:
        """Split both modalities jointly and prepare the images of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: As :meth:`SegmentationDataModule.setup`, and if a group has no partner.
        """
        self.join()
        self.student.setup(stage)
        if stage == "fit":
            self._pairs()

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
        """Batches of student crops, each with as many teacher crops of the same groups."""
        pairs = self._pairs()
        return self.student.training_loader(pairs, len(pairs))

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
        """Summaries of both modalities, for the report."""
        self.join()
        return {"student": self.student.summary(), "teacher": self.teacher.summary()}

    def _pairs(self) -> UnpairedDataset:
        return UnpairedDataset(self.student.training_dataset(), self.teacher.training_dataset())


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
