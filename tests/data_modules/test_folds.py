import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.folds import load_folds, make_folds, with_records, write_folds
from data_modules.manifest import Record
from data_modules.splits import SplitNeeds, make_splits, records_hash


def record(number, patient, modality="ct", group="healthy"):
    image = Path(f"/data/{modality}/{number}.png")
    return Record(image, image.with_suffix(".tif"), "binary", modality, patient, group, None)


def cohort(n, modality="ct", groups=("healthy",)):
    return [record(i, f"p{i}", modality, groups[i % len(groups)]) for i in range(n)]


@settings(max_examples=40, deadline=None)
@given(
    n_ct=st.integers(5, 23),
    n_histology=st.integers(5, 23),
    shared=st.integers(0, 5),
    seed=st.integers(0, 3),
)
def test_every_patient_is_tested_once_and_never_seen_before(n_ct, n_histology, shared, seed):
    ct = cohort(n_ct, groups=("a", "b"))
    histology = [
        replace(entry, patient=f"p{i}" if i < shared else f"h{i}")
        for i, entry in enumerate(cohort(n_histology, "histology", ("a", "b")))
    ]
    records = [*ct, *histology]
    folds = make_folds(records, 5, seed=seed)
    patients = {entry.patient for entry in records}
    tested = Counter(patient for split in folds.splits for patient in split.test)
    assert tested == Counter(patients)
    for split in folds.splits:
        sets = [set(split.train), set(split.val), set(split.test)]
        assert set.union(*sets) == patients
        assert sum(map(len, sets)) == len(patients)
        for modality in ("ct", "histology"):
            own = [entry for entry in records if entry.modality == modality]
            assert split.select(own, "test")
            assert split.select(own, "train")


@pytest.mark.parametrize(("n", "groups"), [(20, ("a",)), (23, ("a", "b")), (40, ("a", "b", "c"))])
def test_folds_hold_equal_shares_of_every_group(n, groups):
    records = cohort(n, groups=groups)
    folds = make_folds(records, 5)
    for group in groups:
        shares = [
            sum(entry.group == group for entry in split.select(records, "test"))
            for split in folds.splits
        ]
        assert max(shares) - min(shares) <= 1
    sizes = [len(split.test) for split in folds.splits]
    assert max(sizes) - min(sizes) <= len(groups)
    # An eighth of the patients who are not tested validate.
    assert all(len(s.val) == pytest.approx(len(s.train) / 7, abs=1.5) for s in folds.splits)


def test_an_uneven_modality_is_made_up_for_by_the_other():
    histology = [replace(entry, patient=f"h{i}") for i, entry in enumerate(cohort(7, "histology"))]
    folds = make_folds([*cohort(7), *histology], 5)
    assert sorted(len(split.test) for split in folds.splits) == [2, 3, 3, 3, 3]


def test_who_has_no_mask_takes_nobodys_place():
    records = [
        replace(entry, mask=entry.mask if i % 3 == 0 else None)
        for i, entry in enumerate(cohort(30))
    ]
    folds = make_folds(records, 5)
    for split in folds.splits:
        parts = [split.select(records, name) for name in ("train", "val", "test")]
        able = [sum(entry.mask is not None for entry in part) for part in parts]
        assert able[2] == 2, "of ten annotated patients"
        assert min(able[:2]) >= 1
    with pytest.raises(ValueError, match="annotated ct images; found 10"):
        make_folds(records, 11)


def test_a_fold_says_what_it_is_of():
    records = cohort(11)
    folds = make_folds(records, 2, seed=3)
    assert [split.source for split in folds.splits] == ["fold 0 of 2", "fold 1 of 2"]
    assert {folds.manifest_hash} | {split.manifest_hash for split in folds.splits} == {
        records_hash(records)
    }
    assert {folds.seed} | {split.seed for split in folds.splits} == {3}
    for split in folds.splits:
        rest = [entry for entry in records if entry.patient not in split.test]
        assert split.val == make_splits(rest, (0.875, 0.125, 0.0), seed=3).val
    assert make_folds(records) == make_folds(records, 5, seed=0, validation_share=0.125)


def test_other_records_of_the_same_patients_keep_their_folds():
    records = cohort(11)
    folds = make_folds(records, 2)
    more = [*records[2:], *cohort(11, "histology")[2:]]
    found = with_records(folds, more)
    assert found.manifest_hash == records_hash(more)
    gone = {"p0", "p1"}
    for before, after in zip(folds.splits, found.splits, strict=True):
        assert after.manifest_hash == records_hash(more)
        for name in ("train", "val", "test"):
            kept = tuple(patient for patient in getattr(before, name) if patient not in gone)
            assert getattr(after, name) == kept
    with pytest.raises(ValueError, match=r"patient q is in none of the folds, .* 11 patients"):
        with_records(folds, [*records, record(0, "q")])


def test_prescribed_splits_do_not_bind_a_cross_validation():
    records = [replace(entry, split="test") for entry in cohort(10)]
    folds = make_folds(records, 5)
    assert all(len(split.train) >= 6 for split in folds.splits)


def test_the_seed_decides_and_the_order_does_not():
    records = cohort(17)
    assert make_folds(records) == make_folds(records[::-1])
    assert make_folds(records) != make_folds(records, seed=1)


@pytest.mark.parametrize(
    ("n", "n_folds", "message"),
    [
        (4, 5, "5 folds need as many patients with annotated ct images; found 4"),
        (9, 1, "at least 2"),
    ],
)
def test_too_few(n, n_folds, message):
    with pytest.raises(ValueError, match=message):
        make_folds(cohort(n), n_folds)


def test_files_of_folds(tmp_path):
    path = tmp_path / "splits.json"
    records = cohort(11)
    folds = make_folds(records)
    write_folds(path, folds)
    assert load_folds(path, records) == folds
    with pytest.raises(ValueError, match="made for another manifest"):
        load_folds(path, cohort(12))
    with pytest.raises(FileNotFoundError, match=r"missing\.json: no folds here"):
        load_folds(tmp_path / "missing.json", records)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda splits: splits.pop(), "is tested by 0 folds"),
        (lambda splits: splits.append(splits[0]), "is tested by 2 folds"),
        (lambda splits: splits[0]["train"].append(splits[0]["test"][0]), "fold 0 has a patient in"),
        (lambda splits: splits[0].pop("val"), "not a file of folds"),
    ],
)
def test_damaged_files_of_folds(tmp_path, damage, message):
    path = tmp_path / "splits.json"
    records = cohort(11)
    write_folds(path, make_folds(records))
    content = json.loads(path.read_text())
    damage(content["splits"])
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_folds(path, records)


def test_folds_that_need_every_group_have_it_in_every_set():
    records = cohort(6, groups=("healthy", "ill"))
    needs = SplitNeeds(lambda record: True, every_group=True)
    for split in make_folds(records, 3, needs=needs).splits:
        for names in (split.train, split.val, split.test):
            assert {int(name[1:]) % 2 for name in names} == {0, 1}
    with pytest.raises(ValueError, match="7 folds need as many patients with annotated ct"):
        make_folds(records, 7, needs=needs)
    with pytest.raises(ValueError, match="found 3 of group healthy with ct images: give fewer"):
        make_folds(records, 4, needs=needs)
