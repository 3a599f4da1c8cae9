import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.manifest import Record
from data_modules.splits import (
    SplitNeeds,
    coverage,
    load_splits,
    make_splits,
    patient_traits,
    records_hash,
    resolve_splits,
    write_splits,
)


def record(number, patient, modality="ct", group="healthy", split=None):
    image = Path(f"/data/{modality}/{number}.png")
    return Record(image, None, "binary", modality, patient, group, None, split=split)


def cohort(n, modality="ct", groups=("healthy",)):
    return [record(i, f"p{i}", modality, groups[i % len(groups)]) for i in range(n)]


studies = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from(["ct", "histology"]), st.sampled_from("abc")),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(studies, st.integers(0, 5))
def test_no_patient_is_in_two_splits_and_training_has_every_group(rows, seed):
    records = [record(i, f"p{p}", m, g) for i, (p, m, g) in enumerate(rows)]
    splits = make_splits(records, seed=seed)
    sets = [set(splits.train), set(splits.val), set(splits.test)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == len({r.patient for r in records})
    pairs = {(r.modality, r.group) for r in records}
    assert {(r.modality, r.group) for r in splits.select(records, "train")} == pairs
    for modality in ("ct", "histology"):
        by_split = [
            {r.image for r in splits.select(records, name) if r.modality == modality}
            for name in ("train", "val", "test")
        ]
        assert sum(map(len, by_split)) == sum(r.modality == modality for r in records)


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 80), st.integers(1, 3), st.integers(0, 5))
def test_shares_are_close_to_the_fractions(n, n_groups, seed):
    splits = make_splits(cohort(n, groups="abc"[:n_groups]), (0.8, 0.1, 0.1), seed=seed)
    for members, fraction in ((splits.train, 0.8), (splits.val, 0.1), (splits.test, 0.1)):
        assert abs(len(members) - fraction * n) <= 2


def test_every_modality_reaches_every_split_where_patients_suffice():
    few = [record(i, f"{m}{i}", m) for m in ("fluorescence", "histology") for i in range(3)]
    records = [*cohort(30), *few, record(0, "only", "xray")]
    splits = make_splits(records)
    for name in ("train", "val", "test"):
        found = {r.modality for r in splits.select(records, name)} - {"xray"}
        assert found == {"ct", "fluorescence", "histology"}
    assert "only" in splits.train


def test_who_moves_to_an_empty_set_is_of_the_larger_group():
    large = [record(i, f"a{i}", "histology", "large") for i in range(4)]
    small = [record(i, f"z{i}", "histology", "small") for i in range(2)]
    for seed in range(5):
        splits = make_splits([*cohort(30), *large, *small], (0.9, 0.05, 0.05), seed=seed)
        assert {"z0", "z1"} <= {*splits.train}
        assert {*splits.val} & {"a0", "a1", "a2", "a3"}
        assert {*splits.test} & {"a0", "a1", "a2", "a3"}


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.4, 0.6, 0.0)])
def test_each_patient_goes_to_the_set_that_lacks_most(fractions):
    sizes = [0, 0, 0]
    for n in range(1, 30):
        lacking = [n * share - size for share, size in zip(fractions, sizes, strict=True)]
        sizes[lacking.index(max(lacking))] += 1
        if all(size or not share for size, share in zip(sizes, fractions, strict=True)):
            splits = make_splits(cohort(n), fractions)
            assert [len(splits.train), len(splits.val), len(splits.test)] == sizes


def test_groups_that_prescribed_patients_train_on_are_free_to_be_tested():
    groups = "abcdef"
    free = [record(i, f"p{i}", group=group) for i, group in enumerate(groups)]
    shares = (0.4, 0.3, 0.3)
    for split, expected in (("train", [2, 2, 2]), ("test", [6, 0, 0])):
        prescribed = [record(9, f"known{group}", group=group, split=split) for group in groups]
        splits = make_splits([*free, *prescribed], shares)
        drawn = {entry.patient for entry in free}
        found = [len(drawn & {*part}) for part in (splits.train, splits.val, splits.test)]
        assert found == expected


def test_a_patient_is_annotated_by_any_mask_of_any_image():
    image = record(0, "p", group="a")
    annotated = replace(image, mask=Path("/mask.tif"))
    known = {("ct", "a")}
    assert patient_traits([image, image]) == {"p": {("unannotated ct", "a")}}
    for records in ([image, annotated], [annotated, image], [annotated, annotated]):
        assert patient_traits(records) == {"p": known}


def test_order_of_rows_is_irrelevant_and_the_seed_is_not():
    records = cohort(40)
    assert make_splits(records, seed=3) == make_splits(records[::-1], seed=3)
    assert make_splits(records, seed=3).test != make_splits(records, seed=4).test
    assert make_splits(records) == make_splits(records, seed=0)


def test_splits_without_a_file_are_drawn_as_asked():
    records, shares = cohort(40), (0.5, 0.3, 0.2)
    assert resolve_splits(records, None) == make_splits(records)
    found = resolve_splits(records, None, shares, seed=3)
    assert found == make_splits(records, shares, seed=3)


def test_coverage_names_what_a_set_lacks():
    assert coverage(cohort(10)) == "train 8, val 1, test 1 patients"
    few = [*cohort(1), *cohort(1, "histology"), record(9, "p9", "histology", split="test")]
    assert coverage(few) == (
        "train 1, val 0, test 1 patients; no ct in val and test; no histology in val"
    )


def test_the_hash_is_that_of_earlier_versions_wherever_the_masks_come_from():
    rows = '[["ct", "0", "p0", "a", ""], ["ct", "1", "p1", "b", ""]]'
    records = cohort(2, groups="ab")
    assert records_hash(records) == hashlib.sha256(rows.encode()).hexdigest()
    pseudo = [replace(record, origin=Path("/runs/best.ckpt")) for record in records]
    assert records_hash(pseudo) == records_hash(records)


def test_prescribed_splits_are_kept_and_the_rest_is_drawn():
    prescribed = [record(i, f"q{i}", split="test") for i in range(10)]
    records = cohort(10) + prescribed
    splits = make_splits(records)
    assert {f"q{i}" for i in range(10)} <= set(splits.test)
    assert splits.source == "manifest and drawn"
    assert splits.train
    assert splits.val
    assert make_splits(prescribed).source == "manifest"
    assert make_splits(prescribed).train == ()


def test_patient_prescribed_to_two_splits():
    records = [record(0, "p", split="train"), record(1, "p", "histology", split="test")]
    with pytest.raises(ValueError, match="patient 'p' is in train and in test"):
        make_splits(records)


@pytest.mark.parametrize("fractions", [(0.5, 0.1, 0.1), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_fractions_that_are_none(fractions):
    with pytest.raises(ValueError, match="split fractions"):
        make_splits(cohort(5), fractions)


def test_split_file_is_authoritative_and_tied_to_its_records(tmp_path):
    records, path = cohort(20), tmp_path / "splits.json"
    first = resolve_splits(records, path, seed=1)
    assert resolve_splits(records, path, (0.4, 0.3, 0.3), seed=2) == first
    moved = [Record(**{**vars(r), "image": Path("/moved") / r.image.name}) for r in records]
    assert load_splits(path, moved) == first
    with pytest.raises(ValueError, match=r"splits\.json: made for another manifest"):
        load_splits(path, records[:-1])
    regrouped = [*records[:-1], record(19, "p19", group="osteoporotic")]
    with pytest.raises(ValueError, match="made for another manifest"):
        load_splits(path, regrouped)


def test_damaged_split_files(tmp_path):
    records, path = cohort(10), tmp_path / "splits.json"
    with pytest.raises(FileNotFoundError, match="no split file here"):
        load_splits(path, records)
    write_splits(path, make_splits(records))
    content = json.loads(path.read_text())
    content["test"].append(content["train"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"patient in two splits: {content['train'][0]}"):
        load_splits(path, records)
    path.write_text("{")
    with pytest.raises(ValueError, match="not a split file"):
        load_splits(path, records)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=4), st.integers(0, 5))
def test_every_set_has_every_group_where_there_are_enough_patients(counts, seed):
    groups = {"abcd"[number]: count for number, count in enumerate(counts)}
    rows = [(f"{group}{i}", group) for group, count in groups.items() for i in range(count)]
    records = [record(i, patient, group=group) for i, (patient, group) in enumerate(rows)]
    needs = SplitNeeds(every_group=True)
    splits = make_splits(records, seed=seed, needs=needs)
    sets = [splits.train, splits.val, splits.test]
    assert sum(map(len, sets)) == len(set().union(*sets)) == len(rows)
    for group, count in groups.items():
        present = [any(patient[0] == group for patient in names) for names in sets]
        assert present[0]
        assert sum(present) >= min(count, 3)


def test_what_is_usable_is_said_by_who_splits():
    records = [record(i, f"p{i}", group="ab"[i % 2]) for i in range(12)]
    usable = SplitNeeds(lambda r: int(r.patient[1:]) < 6, every_group=True)
    splits = make_splits(records, (0.34, 0.33, 0.33), needs=usable)
    for names in (splits.train, splits.val, splits.test):
        able = [int(name[1:]) for name in names if int(name[1:]) < 6]
        assert {number % 2 for number in able} == {0, 1}
