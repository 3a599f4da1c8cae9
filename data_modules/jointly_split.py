"""A split over several modalities, from one manifest or from several."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_modules.manifest import Record, joined
from data_modules.patients import identity
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import SplitNeeds, Splits, resolve_splits
from data_modules.transfer import TransferDataModule


class JointlySplitDataModule(TransferDataModule):
    """Several parts, each a modality, that are split jointly by patient.

    Nobody whose images validate or test is among those that any part shows in training. The split's
    file is that of whichever part names one; its fractions, its seed and what its sets are to have
    are those of the leading part.

    Args:
        parts: The modalities by name.
        leading: Name of one of them.

    Raises:
        ValueError: If parts name different split files.
    """

    def __init__(self, parts: Mapping[str, SegmentationDataModule], leading: str) -> None:
        super().__init__()
        self.parts = dict(parts)
        self._leading_part = self.parts[leading]
        files = {
            name: part.split_file for name, part in parts.items() if part.split_file is not None
        }
        if len(set(files.values())) > 1:
            found = ", ".join(f"{name} {file}" for name, file in files.items())
            raise ValueError(f"different split files: {found}; expected one, made for all parts")
        self._split_file = next(iter(files.values()), None)
        self._joint: Splits | None = None

    @property
    def needs(self) -> SplitNeeds:
        """What the sets of a split are to have: that of the leading part."""
        return self._leading_part.needs

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

    def origins(self) -> list[Path]:
        """Where the masks of all parts come from; see :meth:`SegmentationDataModule.origins`."""
        self.join()
        return list(dict.fromkeys(path for part in self.parts.values() for path in part.origins()))

    def join(self) -> Splits:
        """Make the joint split and hand it to all parts; once."""
        if self._joint is None:
            records = self.records
            fractions, seed = self._leading_part.split_fractions, self._leading_part.seed
            self._joint = resolve_splits(
                records, self._split_file, fractions, seed=seed, needs=self.needs
            )
            groups = sorted({record.group for record in records})
            for part in self.parts.values():
                part.use_splits(self._joint, groups)
        return self._joint

    def write_splits(self, path: Path) -> None:
        """Write the joint split as JSON, for the run folder.

        Args:
            path: The file.
        """
        self.join()
        self._leading_part.write_splits(path)


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
