"""Student and teacher batches of two modalities whose images are not paired."""

import numpy as np
from torch.utils.data import Dataset

from data_modules.dataset import Sample, SegmentationDataset
from data_modules.joint import JointDataModule
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


class UnpairedDataModule(JointDataModule):
    """Trains with teacher images of the same group as the student's, whoever they are of."""

    paired = False

    def training_pairs(self) -> UnpairedDataset:
        """Student crops, each with a teacher crop of the same group.

        Raises:
            ValueError: If a group of the student has no teacher image.
        """
        return UnpairedDataset(self.student.training_dataset(), self.teacher.training_dataset())
