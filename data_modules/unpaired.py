"""Student and teacher batches of two modalities whose images are not paired."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from data_modules.dataset import Sample, SegmentationDataset
from data_modules.joint import JointDataModule
from data_modules.manifest import Record
from data_modules.sampler import SampleIndex


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
        self._partners = partners_by_group(student.source.records, teacher.source.records)

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


class UnpairedDataModule(JointDataModule):
    """Trains with teacher images of the same group as the student's, whoever they are of."""

    paired = False

    def check_partners(self, student: Sequence[Record], teacher: Sequence[Record]) -> None:
        """Every group of the student has a teacher image; see :func:`partners_by_group`."""
        partners_by_group(student, teacher)

    def training_pairs(self) -> UnpairedDataset:
        """Student crops, each with a teacher crop of the same group.

        Raises:
            ValueError: If a group of the student has no teacher image.
        """
        return UnpairedDataset(self.student.training_dataset(), self.teacher.training_dataset())


def partners_by_group(student: Sequence[Record], teacher: Sequence[Record]) -> list[list[int]]:
    """The teacher images of the same group, for every student image.

    Args:
        student: Training records of the student.
        teacher: Training records of the teacher.

    Returns:
        Indices into ``teacher``, one list per student record, none of them empty.

    Raises:
        ValueError: If a group of the student has no teacher image; names the groups.
    """
    of_group: dict[str, list[int]] = {}
    for index, record in enumerate(teacher):
        of_group.setdefault(record.group, []).append(index)
    alone = sorted({record.group for record in student} - of_group.keys())
    if alone:
        raise ValueError(
            f"no {teacher[0].modality} training image of group {', '.join(alone)}, which "
            f"{student[0].modality} has; the teacher's training images are of group "
            f"{', '.join(sorted(of_group))}"
        )
    return [of_group[record.group] for record in student]
