"""Planned folds, without any training."""

from pathlib import Path

import pytest

from data_modules.folds import pairs_of
from data_modules.manifest import read_manifest, write_manifest
from data_modules.splits import load_splits
from lotus.studies.cross_validation import CrossValidation
from tests.data_modules.test_folds import cohort

STUDENT = Path(__file__).resolve().parents[2] / "experiments/lotus/student.yaml"


@pytest.fixture
def arguments(tiny_manifest, tmp_path):
    """Of a training whose manifest is another one in every fold: each has slices of its own."""
    records = [record for record in read_manifest(tiny_manifest) if record.modality == "histology"]
    for number in range(2):
        kept = [record for i, record in enumerate(records) if i != number]
        (tmp_path / f"made{number}").mkdir()
        write_manifest(tmp_path / f"made{number}/manifest.csv", kept)
    manifest = f"--data.init_args.manifest={tmp_path}/made{{fold}}/manifest.csv"
    return [f"--config={STUDENT}", "--data.init_args.modality=histology", manifest]


@pytest.mark.slow
def test_every_fold_has_the_split_of_its_own_data(arguments, tiny_manifest, tmp_path):
    *rest, _ = arguments
    every = f"--data.init_args.manifest={tiny_manifest}"
    whole = CrossValidation.plan(tmp_path / "cv", [*rest, every], 2, 0).folds
    again = CrossValidation.plan(tmp_path / "other", arguments, 2, 0, like=whole)
    for number, images in enumerate(again.tested):
        records = read_manifest(tmp_path / f"made{number}/manifest.csv")
        split = load_splits(tmp_path / f"other/splits/fold{number}.json", records)
        assert {record.image for record in images} == {
            record.image for record in records if record.patient in split.test
        }
        assert not {*split.train, *split.val} & {*whole.splits[number].test}


@pytest.mark.slow
def test_pairs_are_as_many_folds_as_the_smallest_group_has_patients(tiny_manifest, tmp_path):
    given = [f"--config={STUDENT}", f"--data.init_args.manifest={tiny_manifest}"]
    planned = CrossValidation.plan(tmp_path / "cv", given, "pairs", 0)
    group = {record.patient: record.group for record in read_manifest(tiny_manifest)}
    assert len(planned.jobs) == 5
    for split in planned.folds.splits:
        assert sorted(group[patient] for patient in split.test) == ["healthy", "osteoporotic"]
        assert {group[patient] for patient in split.val} == {"healthy", "osteoporotic"}


def test_pairs_need_groups():
    assert pairs_of(cohort(7, groups=("a", "b"))) == 3
    with pytest.raises(ValueError, match=r"need two patients of each of several groups; found a 7"):
        pairs_of(cohort(7, groups=("a",)))
    with pytest.raises(ValueError, match="found a 1, b 1"):
        pairs_of(cohort(2, groups=("a", "b")))
