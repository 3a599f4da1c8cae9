"""Student and teacher batches of two modalities that show the same fields, pixel by pixel."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from monai.transforms import Compose, Transform
from torch.utils.data import Dataset

from data_modules.dataset import SegmentationDataset, augmented
from data_modules.joint import JointDataModule
from data_modules.manifest import Record
from data_modules.sample import Pixels, SampleParts
from data_modules.sampler import SampleIndex
from data_modules.segmentation import SegmentationDataModule

MOVING_TRANSFORMS = ("monai.transforms.spatial", "monai.transforms.croppad")


class PairedDataset(Dataset[SampleParts]):
    """Each student crop together with the teacher's crop of the same pixels.

    The partner of an image is the teacher's image of the same patient and the same file name
    (without suffix). What moves pixels is applied once to both crops, stacked as channels of one
    image, so that it cannot differ between them; each modality's own augmentation follows.

    Args:
        student: Training crops of the student's modality.
        teacher: Training crops of the teacher's modality, of the same patch size.
        augmentation: Spatial MONAI dictionary transforms over ``image``, ``mask`` and
            ``instances``, applied to both alike.

    Raises:
        ValueError: If student images have no partner or one of another size; names them.
    """

    def __init__(
        self,
        student: SegmentationDataset,
        teacher: SegmentationDataset,
        augmentation: Sequence[Transform] = (),
    ) -> None:
        self.student = student
        self.teacher = teacher
        self._augment = Compose(list(augmentation)) if augmentation else None
        records = student.source.records
        self._partners = partners_by_field(records, teacher.source.records)
        for own, other in enumerate(self._partners):
            sizes = [
                source.prepared(index).image.shape[1:]
                for source, index in ((student.source, own), (teacher.source, other))
            ]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f"{records[own].image} is {sizes[0][0]} x {sizes[0][1]} and its partner "
                    f"{teacher.source.records[other].image} {sizes[1][0]} x {sizes[1][1]}; "
                    "expected one size"
                )

    def __len__(self) -> int:
        """Number of student images."""
        return len(self.student)

    def __getitem__(self, index: SampleIndex) -> SampleParts:
        """``{"student": sample, "teacher": sample}`` of the same pixels; the seed decides all."""
        record, seed = index
        partner = self._partners[record]
        own, other = self.student.cut(record, seed), self.teacher.cut(partner, seed)
        # Seeds of their own: with one seed a flip would always come with the same brightness.
        shared_seed, *seeds = np.random.default_rng([seed, 1]).integers(2**31, size=3).tolist()
        if self._augment is not None:
            own, other = _moved_together(self._augment, own, other, shared_seed)
        return {
            "student": self.student.finish(own, record, seeds[0]),
            "teacher": self.teacher.finish(other, partner, seeds[1]),
        }


class PairedDataModule(JointDataModule):
    """Trains with the teacher's image of the very field that the student sees.

    Args:
        student: The modality to be learnt; its split file, fractions and seed are used. Its own
            augmentation changes grey values only.
        teacher: The modality of the teacher, likewise.
        augmentation: What moves pixels, for both modalities alike.

    Raises:
        ValueError: If both name a split file and the files differ, if patch sizes differ, or if
            one modality's own augmentation would move its pixels.
    """

    paired = True

    def __init__(
        self,
        student: SegmentationDataModule,
        teacher: SegmentationDataModule,
        augmentation: list[Transform] | None = None,
    ) -> None:
        super().__init__({"student": student, "teacher": teacher}, evaluated="student")
        self.augmentation = list(augmentation or [])
        if student.patch_size != teacher.patch_size:
            raise ValueError(
                f"patch_size is {student.patch_size} for the student and {teacher.patch_size} for "
                "the teacher; expected one size, since both see the same pixels"
            )
        moving = [
            type(transform).__name__
            for transform in (*student.augmentation, *teacher.augmentation)
            if type(transform).__module__.startswith(MOVING_TRANSFORMS)
        ]
        if moving:
            raise ValueError(
                f"{moving[0]} moves the pixels of one modality alone; expected it in the "
                "augmentation of PairedDataModule, which moves both"
            )

    def check_partners(self, records: Mapping[str, Sequence[Record]]) -> None:
        """Every student image has its partner; see :func:`partners_by_field`."""
        partners_by_field(records["student"], records["teacher"])

    def training_dataset(self) -> PairedDataset:
        """Student crops, each with the teacher's crop of the same pixels.

        Raises:
            ValueError: If a student image has no partner or one of another size.
        """
        student, teacher = self.parts["student"], self.parts["teacher"]
        # Both see the same pixels, whatever else is in their manifests.
        teacher.use_spacing(student.network_spacing_um)
        return PairedDataset(
            student.training_dataset(), teacher.training_dataset(), self.augmentation
        )


def partners_by_field(student: Sequence[Record], teacher: Sequence[Record]) -> list[int]:
    """The teacher image of the same patient and file name, for every student image.

    Args:
        student: Training records of the student.
        teacher: Training records of the teacher.

    Returns:
        An index into ``teacher`` per student record.

    Raises:
        ValueError: If student images have no partner; names the first.
    """
    index_of = {record.field: index for index, record in enumerate(teacher)}
    alone = [record for record in student if record.field not in index_of]
    if alone:
        more = f" (and {len(alone) - 1} more)" if alone[1:] else ""
        raise ValueError(
            f"no {teacher[0].modality} training image is the partner of {alone[0].image}{more}: "
            f"expected an annotated one named '{alone[0].name}' of patient '{alone[0].patient}'"
        )
    return [index_of[record.field] for record in student]


def _moved_together(
    transforms: Compose, own: Pixels, other: Pixels, seed: int
) -> tuple[Pixels, Pixels]:
    """Apply transforms once to both crops, stacked along their channels."""
    stacked = {key: torch.cat([own[key], other[key]]) for key in own}
    moved = augmented(transforms, stacked, seed)
    first = {key: moved[key][: len(own[key])] for key in own}
    second = {key: moved[key][len(own[key]) :] for key in own}
    return first, second
