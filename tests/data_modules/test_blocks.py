"""Volumes divided along z."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.blocks import divide_slices, select_blocks
from data_modules.manifest import Record
from data_modules.patients import Member, sharing_tissue

OPTIONS = {"validation_share": 0.2, "gap": 3, "seed": 0}


def row(volume="v", depth=50, patient="P", mask="m", **options):
    files = {"image": Path(f"/d/{volume}.tif"), "mask": mask and Path(f"/d/{volume}_{mask}.tif")}
    facts = {"mask_kind": "semantic", "modality": "ct", "group": "g", "pixel_size_um": None}
    return Record(**files, **facts, patient=patient, depth=depth, **options)


def slices(records, splits):
    """Number of the slices of each split."""
    return {
        name: [
            z for b in select_blocks(records, getattr(splits, name)) for z in range(b.start, b.stop)
        ]
        for name in ("train", "val", "test")
    }


def divided(records, how="blocks", **options):
    splits = divide_slices(records, how, **(OPTIONS | options))
    return splits, slices(records, splits)


def test_the_last_slices_validate_and_a_gap_is_left_out():
    splits, found = divided([row()])
    assert splits.train == ("P/v[0:37]",)
    assert splits.val == ("P/v[40:50]",)
    assert found == {"train": [*range(37)], "val": [*range(40, 50)], "test": []}
    assert splits.source == "drawn"


def test_a_test_block_keeps_its_slices_and_its_distance():
    records = [row(z_stop=40), row(z_start=40, z_stop=50, split="test")]
    splits, found = divided(records)
    assert found["test"] == [*range(40, 50)]
    # 3 of 40 slices are too near to the test, and 7 of the 37 others validate.
    assert found["val"] == [*range(30, 37)]
    assert found["train"] == [*range(27)]
    assert splits.source == "manifest and drawn"


def test_drawn_slices_lie_anywhere_but_near_the_test():
    records = [row(z_stop=40), row(z_start=40, z_stop=50, split="test")]
    _, found = divided(records, "random")
    assert set(found["train"]) | set(found["val"]) == set(range(37))
    assert len(found["val"]) == 7
    assert max(np.diff(found["val"])) > 1
    assert found == divided(records, "random")[1]
    assert found != divided(records, "random", seed=1)[1]


def test_single_labelled_slices_are_divided_as_well():
    records = [row(mask=f"m{z}", z_start=z, z_stop=z + 1) for z in range(0, 50, 5)]
    _, found = divided(records)
    assert found == {"train": [*range(0, 40, 5)], "val": [40, 45], "test": []}
    names = [b.record.mask.name for b in select_blocks(records, ("P/v[6:16]",))]
    assert names == ["v_m10.tif", "v_m15.tif"]


def test_prescribed_validation_leaves_the_rest_for_training():
    _, found = divided([row(z_stop=30), row(z_start=35, split="val")])
    assert found["train"] == [*range(30)]
    assert found["val"] == [*range(35, 50)]


def test_whole_patients_go_by_name_and_volumes_are_divided_each():
    records = [
        row("a", 20, "A", split="train"),
        row("b", 10, "B", split="test"),
        row("c", 10, "C"),
        row("d", 20, "C"),
    ]
    splits, _ = divided(records, gap=1)
    assert splits.train == ("A", "C/c[0:7]", "C/d[0:15]")
    assert splits.val == ("C/c[8:10]", "C/d[16:20]")
    assert splits.test == ("B",)
    assert [(b.record.name, b.start, b.stop) for b in select_blocks(records, splits.train)] == [
        ("a", 0, 20),
        ("c", 0, 7),
        ("d", 0, 15),
    ]


def test_volumes_without_masks_neither_train_nor_validate():
    splits, _ = divided([row(), row("u", 30, "U", mask=None)])
    assert not any("U" in name for name in splits.train + splits.val)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 60),
    st.floats(0, 0.9),
    st.integers(0, 5),
    st.lists(st.integers(0, 60), max_size=2),
    st.sampled_from(["blocks", "random"]),
)
def test_splits_are_apart(depth, share, gap, cuts, how):
    first, *others = sorted({0, *(min(cut, depth - 1) for cut in cuts)})
    records = [row(depth=depth, z_start=first, z_stop=others[0] if others else None)]
    records += [row(depth=depth, z_start=others[-1], split="test")] if others else []
    _, found = divided(records, how, validation_share=share, gap=gap)
    test, val, train = (np.array(found[name]) for name in ("test", "val", "train"))
    pairs = [(test, val), (test, train)] + ([(val, train)] if how == "blocks" else [])
    for one, other in pairs:
        if len(one) and len(other):
            assert np.abs(one[:, None] - other[None]).min() > gap
    assert set(found["train"]).isdisjoint(found["val"])


@pytest.mark.parametrize("wrong", [{"validation_share": 1.0}, {"gap": -1}])
def test_shares_and_gaps_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="validation_share is"):
        divided([row()], **wrong)


def test_names_of_blocks_are_read_back():
    for member in (Member("P/1 [x]"), Member("P/1", "scan", 3, 40)):
        assert Member.of(str(member)) == member


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ("P", True),
        ("p", True),
        ("Q", False),
        ("P/v[0:10]", False),
        ("P/v[0:11]", True),
        ("P/v[20:30]", False),
        ("P/w[0:5]", True),
        ("Q/v[0:50]", False),
    ],
)
def test_who_shares_tissue_with_slices_10_to_19(other, shared):
    assert sharing_tissue(["P/v[10:20]"], [other]) == ({"P/v[10:20]"} if shared else set())
    assert sharing_tissue([other], ["P/v[10:20]"]) == ({other} if shared else set())
