"""Which slices of volumes a person labels next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_modules.blocks import rows_range, select_blocks
from data_modules.manifest import Record
from data_modules.splits import Splits
from lotus.masks import USUAL_VALUES


class VolumeSlice(NamedTuple):
    """A slice of a row of the manifest.

    Attributes:
        record: The row.
        z: Number of the slice in the volume, from 0.
    """

    record: Record
    z: int


def slices_without_mask(
    records: Sequence[Record], splits: Splits | None, *, gap: int
) -> list[VolumeSlice]:
    """The slices of rows without a mask that may train.

    Slices that a row with a mask has are labelled already. Slices that validate or test, by the
    rows' own split or by that of a training, are never labelled by what was trained beside them,
    nor are those that are too near.

    Args:
        records: Rows of one modality.
        splits: Of a training; None where there was none.
        gap: Slices that lie between a slice to label and one that validates or tests.

    Returns:
        In the order of the rows, and along z.
    """
    held_out = [(r.image, *rows_range(r)) for r in records if r.split in ("val", "test")]
    if splits is not None:
        blocks = select_blocks(records, [*splits.val, *splits.test])
        held_out += [(block.record.image, block.start, block.stop) for block in blocks]
    labelled = [(r.image, *rows_range(r)) for r in records if r.mask is not None]
    taken = _by_image(records)
    for image, start, stop in held_out:
        taken[image][max(start - gap, 0) : stop + gap] = True
    for image, start, stop in labelled:
        taken[image][start:stop] = True
    return [
        VolumeSlice(record, z)
        for record in records
        if record.mask is None
        for z in range(*rows_range(record))
        if not taken[record.image][z]
    ]


def evenly_spread(slices: Sequence[VolumeSlice], count: int) -> list[VolumeSlice]:
    """So many slices at equal distances, where nothing says which are worth more.

    Args:
        slices: In the order of volumes and along z.
        count: How many.

    Raises:
        ValueError: There are fewer, or ``count`` is not positive.
    """
    _check(count, len(slices))
    # In the middle of so many equal parts.
    places = (np.arange(count) + 0.5) * len(slices) / count
    return [slices[int(place)] for place in places]


def most_uncertain(
    slices: Sequence[VolumeSlice], uncertainty: Sequence[float], count: int, *, apart: int
) -> list[VolumeSlice]:
    """The slices that a network is least sure of, the least sure first.

    Neighbours look alike, so that a slice is taken only if it lies ``apart`` from those that were
    taken before; where too few are left that do, nearer ones follow.

    Args:
        slices: In any order.
        uncertainty: Of each; equal ones in the order of the slices.
        count: How many.
        apart: Least difference of the numbers of two slices of a volume.

    Raises:
        ValueError: There are fewer, or ``count`` is not positive.
    """
    _check(count, len(slices))
    order = np.argsort(-np.asarray(uncertainty), kind="stable").tolist()
    chosen: list[VolumeSlice] = []
    for distance in range(apart, 0, -1):
        for index in order:
            each = slices[index]
            if len(chosen) < count and all(_is_apart(each, other, distance) for other in chosen):
                chosen.append(each)
    return chosen


def forgetting_masks(records: Iterable[Record], truth: Iterable[Record]) -> list[Record]:
    """The rows of a manifest without the masks of another one, but for those held out.

    To rehearse the labelling on volumes that are labelled already: the other manifest has what a
    person would draw.

    Args:
        records: The rows.
        truth: Those of the other manifest.
    """
    known = {(row.image, row.mask, rows_range(row)) for row in truth}
    return [
        replace(record, mask=None)
        if record.split not in ("val", "test")
        and (record.image, record.mask, rows_range(record)) in known
        else record
        for record in records
    ]


def with_labels(
    records: Iterable[Record],
    labels: Mapping[VolumeSlice, Path],
    origin: Path | None,
) -> list[Record]:
    """The rows of a manifest, of which labelled slices become rows of their own.

    Args:
        records: The rows.
        labels: Label file of each slice, of that slice alone.
        origin: What says whom the network knows that drafted the labels; None of none.
    """
    return [row for record in records for row in _divided(record, labels, origin)]


def _divided(
    record: Record, labels: Mapping[VolumeSlice, Path], origin: Path | None
) -> Iterator[Record]:
    """A row, or along z its labelled slices and what is between them."""
    own = {each.z: file for each, file in labels.items() if each.record == record}
    if not own:
        yield record
        return
    start, stop = rows_range(record)
    for z in sorted(own):
        if start < z:
            yield replace(record, z_start=start, z_stop=z)
        yield replace(
            record,
            mask=own[z],
            mask_kind="semantic",
            mask_values=USUAL_VALUES,
            z_start=z,
            z_stop=z + 1,
            origin=origin,
        )
        start = z + 1
    if start < stop:
        yield replace(record, z_start=start, z_stop=stop)


def _by_image(records: Iterable[Record]) -> dict[Path, NDArray[np.bool_]]:
    depths: dict[Path, int] = {}
    for record in records:
        depths[record.image] = max(depths.get(record.image, 0), rows_range(record)[1])
    return {image: np.zeros(depth, np.bool_) for image, depth in depths.items()}


def _is_apart(one: VolumeSlice, other: VolumeSlice, distance: int) -> bool:
    return one.record.image != other.record.image or abs(one.z - other.z) >= distance


def _check(count: int, available: int) -> None:
    if not 1 <= count <= available:
        raise ValueError(
            f"{count} slices are to be labelled; there are {available} that have no mask, may "
            "train, and lie apart from those that validate and test"
        )
