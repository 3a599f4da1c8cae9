"""Which slices are labelled next, and which never are."""

from pathlib import Path

import numpy as np
import pytest

from data_modules.manifest import Record
from data_modules.slice_choice import (
    VolumeSlice,
    evenly_spread,
    forgetting_masks,
    most_uncertain,
    slices_without_mask,
    with_labels,
)
from data_modules.splits import Splits


def row(name="a", start=None, stop=None, *, mask=None, split=None, depth=40):
    return Record(
        image=Path(f"/d/{name}.tif"),
        mask=None if mask is None else Path(f"/d/{mask}.tif"),
        mask_kind="semantic",
        modality="ct",
        patient=f"P-{name}",
        group="unknown",
        pixel_size_um=None,
        z_start=start,
        z_stop=stop,
        split=split,
        depth=depth,
    )


def numbers(slices, name="a"):
    return [z for record, z in slices if record.name == name]


def test_slices_near_those_that_validate_or_test_are_left_out():
    rows = [
        row(stop=25),
        row(start=10, stop=12, mask="m"),
        row(start=30, mask="t", split="test"),
        row("b", depth=5),
        row("c", depth=5, split="val"),
    ]
    found = slices_without_mask(rows, None, gap=3)
    assert numbers(found) == [*range(10), *range(12, 25)]
    assert numbers(slices_without_mask(rows, None, gap=8)) == [*range(10), *range(12, 22)]
    assert numbers(found, "b") == [*range(5)]
    assert numbers(found, "c") == []


def test_the_split_of_a_training_holds_slices_out_too():
    rows = [row(), row("b")]
    splits = Splits(("P-a/a[0:20]",), ("P-a/a[25:30]",), ("P-b",), 0, "", "drawn")
    found = slices_without_mask(rows, splits, gap=2)
    assert numbers(found) == [*range(23), *range(32, 40)]
    assert numbers(found, "b") == []


def test_slices_at_equal_distances():
    slices = slices_without_mask([row(depth=20), row("b", depth=10)], None, gap=0)
    found = evenly_spread(slices, 6)
    assert numbers(found) == [2, 7, 12, 17]
    assert numbers(found, "b") == [2, 7]
    assert evenly_spread(slices, 30) == slices


def test_the_least_sure_come_first_and_apart():
    slices = [*[VolumeSlice(row(), z) for z in range(6)], VolumeSlice(row("b"), 1)]
    uncertainty = [0.1, 0.9, 0.8, 0.2, 0.7, 0.3, 0.85]
    found = most_uncertain(slices, uncertainty, 4, apart=3)
    assert [(record.name, z) for record, z in found] == [("a", 1), ("b", 1), ("a", 4), ("a", 2)]
    assert len({*most_uncertain(slices, uncertainty, 7, apart=3)}) == 7
    equal = most_uncertain(slices, np.zeros(7), 2, apart=1)
    assert numbers(equal) == [0, 1]


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_than_there_are(count):
    slices = [VolumeSlice(row(), z) for z in range(2)]
    with pytest.raises(ValueError, match=f"{count} slices are to be labelled; there are 2"):
        evenly_spread(slices, count)
    with pytest.raises(ValueError, match=f"{count} slices are to be labelled; there are 2"):
        most_uncertain(slices, [0, 1], count, apart=1)


def test_labelled_slices_are_rows_of_their_own():
    rows = [row(stop=20), row(start=30, mask="t", split="test")]
    origin = Path("/d/origin.json")
    labels = {VolumeSlice(rows[0], z): Path(f"/d/{z}.tif") for z in (19, 7, 8)}
    *found, test = with_labels(rows, labels, origin)
    assert test == rows[1]
    assert [(r.z_start, r.z_stop, r.mask and r.mask.stem) for r in found] == [
        *((0, 7, None), (7, 8, "7"), (8, 9, "8"), (9, 19, None), (19, 20, "19")),
    ]
    new = found[1]
    assert (new.image, new.mask_kind, new.split, new.origin) == (
        *(rows[0].image, "semantic", None, origin),
    )
    assert found[0].origin is None
    assert numbers(slices_without_mask([*found, test], None, gap=0)) == [*range(7), *range(9, 19)]


def test_a_rehearsal_forgets_what_is_labelled_but_not_what_is_held_out():
    rows = [row(stop=20, mask="m"), row(start=30, mask="m", split="test"), row("b", mask="b")]
    found = forgetting_masks([*rows, row(start=3, stop=4, mask="drawn")], rows[:2])
    assert [record.mask and record.mask.stem for record in found] == [None, "m", "b", "drawn"]
