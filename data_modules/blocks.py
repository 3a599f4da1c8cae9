"""Volumes divided along z: which slices train, validate and test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from data_modules.manifest import SPLIT_NAMES, Record, Split
from data_modules.patients import Member, identity
from data_modules.splits import Splits, records_hash

SliceSplit = Literal["blocks", "random"]
"""How slices that no row assigns are divided: in contiguous blocks along z, or drawn one by one."""

_NONE, _FREE = -1, len(SPLIT_NAMES)
_TRAIN, _VAL, _TEST = range(len(SPLIT_NAMES))
Assigned = NDArray[np.int8]
"""(Z,), which split each slice of a volume is in; ``_FREE`` where no row says, else ``_NONE``."""


@dataclass(frozen=True)
class Block:
    """Neighbouring slices of a volume.

    Attributes:
        record: The row of the manifest that speaks of them.
        start: The first slice.
        stop: The slice after the last.
    """

    record: Record
    start: int
    stop: int

    def __len__(self) -> int:
        """Number of slices."""
        return self.stop - self.start


def rows_range(record: Record) -> tuple[int, int]:
    """First slice of a row, and the one after its last."""
    depth = record.depth or 1
    return record.z_start or 0, depth if record.z_stop is None else record.z_stop


def divide_slices(
    records: Sequence[Record],
    how: SliceSplit,
    *,
    validation_share: float,
    gap: int,
    seed: int,
) -> Splits:
    """Divide volumes into slices that train, validate and test.

    Rows with a split keep it, but slices that are too near to test slices are left out. Of the
    other annotated slices of each volume, ``blocks`` takes the last ones along z for validation,
    and ``random`` any; none where a row prescribes validation slices. Then, under ``blocks``,
    training slices that are too near to validation slices are left out.

    Args:
        records: Volumes of one modality.
        how: See above.
        validation_share: Of the slices that no row assigns, in [0, 1).
        gap: Slices that lie between two splits of one volume.
        seed: Of the draw.

    Returns:
        The splits; a patient whose rows are whole volumes with a split goes by name, others by
        blocks of slices.

    Raises:
        ValueError: A share or a gap out of range.
    """
    if not 0 <= validation_share < 1 or gap < 0:
        raise ValueError(
            f"validation_share is {validation_share:g}, gap {gap}; expected [0, 1) and 0 or more"
        )
    whole = _whole_patients(records)
    divided = [record for record in records if record.patient not in whole]
    share = 0.0 if any(record.split == "val" for record in records) else validation_share
    members: dict[Split, list[Member]] = {name: [] for name in SPLIT_NAMES}
    for patient, split in whole.items():
        members[split].append(Member(patient))
    for number, (record, assigned) in enumerate(_assigned(divided).items()):
        assigned[_near(assigned == _TEST, gap) & (assigned != _TEST)] = _NONE
        free = np.flatnonzero(assigned == _FREE)
        count = round(share * len(free))
        generator = np.random.default_rng([seed, number])
        drawn = (
            free[len(free) - count :] if how == "blocks" else generator.permutation(free)[:count]
        )
        assigned[free], assigned[drawn] = _TRAIN, _VAL
        if how == "blocks":
            assigned[_near(assigned == _VAL, gap) & (assigned == _TRAIN)] = _NONE
        for code, split in enumerate(SPLIT_NAMES):
            for start, stop in _runs(assigned == code):
                members[split].append(Member(record.patient, record.name, start, stop))
    source = "manifest" if all(record.split for record in records) else "manifest and drawn"
    source = source if any(record.split for record in records) else "drawn"
    train, val, test = (tuple(map(str, members[name])) for name in SPLIT_NAMES)
    return Splits(train, val, test, seed, records_hash(records), source)


def select_blocks(records: Iterable[Record], names: Iterable[str]) -> list[Block]:
    """The slices that a split names.

    Args:
        records: Volumes.
        names: Patients and blocks, as a :class:`~data_modules.splits.Splits` has them.

    Returns:
        In the order of the records, and along z.
    """
    members: dict[str, list[Member]] = defaultdict(list)
    for member in map(Member.of, names):
        members[identity(member.patient)].append(member)
    return [
        block
        for record in records
        for block in _within(record, members.get(identity(record.patient), ()))
    ]


def _within(record: Record, members: Iterable[Member]) -> Iterator[Block]:
    first, last = rows_range(record)
    for member in sorted(members, key=lambda one: one.start):
        if member.volume is None:
            yield Block(record, first, last)
        elif member.volume == record.name:
            start, stop = max(first, member.start), min(last, member.stop)
            if start < stop:
                yield Block(record, start, stop)


def _whole_patients(records: Sequence[Record]) -> Mapping[str, Split]:
    """Patients all of whose rows are whole volumes with a split, which is one of the patient."""
    found: dict[str, Split] = {}
    divided = set()
    for record in records:
        if record.split is None or (record.z_start, record.z_stop) != (None, None):
            divided.add(record.patient)
        else:
            found[record.patient] = record.split
    return {patient: split for patient, split in found.items() if patient not in divided}


def _assigned(records: Sequence[Record]) -> dict[Record, Assigned]:
    """What the rows say of the slices of each volume, which goes by its first row."""
    rows: dict[Path, list[Record]] = defaultdict(list)
    for record in records:
        rows[record.image].append(record)
    found = {}
    for own in rows.values():
        assigned = np.full(own[0].depth or 1, _NONE, np.int8)
        for record in own:
            split = _FREE if record.split is None else SPLIT_NAMES.index(record.split)
            if record.mask is not None or record.split is not None:
                assigned[slice(*rows_range(record))] = split
        found[own[0]] = assigned
    return found


def _near(chosen: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Slices with at most ``gap`` - 1 others between them and a chosen one, itself included."""
    near: NDArray[Any] = maximum_filter1d(chosen.astype(np.uint8), 2 * gap + 1)
    return near > 0


def _runs(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of each run of chosen slices."""
    edges = np.flatnonzero(np.diff(np.pad(chosen.astype(np.int8), 1)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
