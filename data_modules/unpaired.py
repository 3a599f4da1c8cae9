"""Batches of several modalities whose images are not paired."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from data_modules.dataset import SegmentationDataset
from data_modules.joint import JointDataModule
from data_modules.manifest import Record
from data_modules.sample import SampleParts
from data_modules.sampler import SampleIndex
from data_modules.segmentation import SegmentationDataModule


class UnpairedDataset(Dataset[SampleParts]):
    """Each sample of one part together with a sample of the same group of every other part.

    Args:
        parts: Training crops of each part.
        leading: The part whose images are counted and indexed.

    Raises:
        ValueError: If a group of the leading part has no image in another; names the groups.
    """

    def __init__(self, parts: Mapping[str, SegmentationDataset], leading: str) -> None:
        self.parts = dict(parts)
        self.leading = leading
        records = {name: part.source.records for name, part in parts.items()}
        self._partners = partners_of_parts(records, leading)

    def __len__(self) -> int:
        """Number of images of the leading part."""
        return len(self.parts[self.leading])

    def __getitem__(self, index: SampleIndex) -> SampleParts:
        """``{name of part: sample}``; the seed decides all of them."""
        record, seed = index
        generator = np.random.default_rng([seed, 1])
        samples = {self.leading: self.parts[self.leading][index]}
        for name, partners in self._partners.items():
            partner = int(generator.choice(partners[record]))
            samples[name] = self.parts[name][partner, int(generator.integers(2**31))]
        return samples


class UnpairedPartsDataModule(JointDataModule):
    """Trains with images of the same group of every part, whoever they are of."""

    paired = False

    def check_partners(self, records: Mapping[str, Sequence[Record]]) -> None:
        """Every group of the evaluated part is in all others; see :func:`partners_by_group`."""
        partners_of_parts(records, self.evaluated)

    def training_dataset(self) -> UnpairedDataset:
        """Crops of the evaluated part, each with one of the same group of every other part.

        Raises:
            ValueError: If a group of the evaluated part has no image in another.
        """
        datasets = {name: part.training_dataset() for name, part in self.parts.items()}
        return UnpairedDataset(datasets, self.evaluated)


class UnpairedDataModule(UnpairedPartsDataModule):
    """Trains with teacher images of the same group as the student's, whoever they are of.

    Args:
        student: The modality to be learnt; its split file, fractions and seed are used.
        teacher: The modality of the teacher.

    Raises:
        ValueError: If both name a split file and the files differ.
    """

    def __init__(self, student: SegmentationDataModule, teacher: SegmentationDataModule) -> None:
        super().__init__({"student": student, "teacher": teacher}, evaluated="student")


def partners_of_parts(
    records: Mapping[str, Sequence[Record]], leading: str
) -> dict[str, list[list[int]]]:
    """The images of the same group in every other part, for every image of the leading one.

    Args:
        records: Training records of each part.
        leading: Name of one part.

    Returns:
        :func:`partners_by_group` for every other part.

    Raises:
        ValueError: If a group of the leading part has no image in another; names the groups.
    """
    return {
        name: partners_by_group(records[leading], others)
        for name, others in records.items()
        if name != leading
    }


def partners_by_group(own: Sequence[Record], others: Sequence[Record]) -> list[list[int]]:
    """The images of the same group in another part, for every image of a part.

    Args:
        own: Training records of a part.
        others: Training records of another.

    Returns:
        Indices into ``others``, one list per record of ``own``, none of them empty.

    Raises:
        ValueError: If a group of ``own`` has no image in ``others``; names the groups.
    """
    of_group: dict[str, list[int]] = {}
    for index, record in enumerate(others):
        of_group.setdefault(record.group, []).append(index)
    alone = sorted({record.group for record in own} - of_group.keys())
    if alone:
        raise ValueError(
            f"no {others[0].modality} training image of group {', '.join(alone)}, which "
            f"{own[0].modality} has; the {others[0].modality} training images are of group "
            f"{', '.join(sorted(of_group))}"
        )
    return [of_group[record.group] for record in own]
