"""Whom a checkpoint knows, by its own word or by that of its run folder."""

import warnings

import pytest
import torch

from data_modules.splits import Splits, write_splits
from lotus.training.known_patients import COHORT, known_patients


def splits(train, val, test):
    return Splits(tuple(train), tuple(val), tuple(test), 0, "hash", "drawn")


@pytest.fixture
def checkpoint(tmp_path):
    """Function that writes a checkpoint with a record, or without one."""

    def write(record=None, name="moved/weights.ckpt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": {}, **({} if record is None else {"patients": record})}, path)
        return path

    return write


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_training_from_nothing_knows_its_own_patients():
    assert known_patients([], splits("cb", "a", "d"), COHORT) == {
        "cohorts": {COHORT: ["a", "b", "c"]},
        "unrecorded": [],
    }


def test_a_moved_checkpoint_is_judged_by_its_own_record(checkpoint):
    made = known_patients([], splits("abc", "d", "e"), COHORT)
    for test in "ad":
        with pytest.raises(ValueError, match=rf"weights.ckpt was trained with patient {test}, wh"):
            known_patients([checkpoint(made)], splits("xy", "z", test), COHORT)
    with pytest.raises(ValueError, match=r"was trained with patient a and 2 more, whom"):
        known_patients([checkpoint(made)], splits("xy", "z", "abd"), COHORT)
    known_patients([checkpoint(made)], splits("xy", "z", "e"), COHORT)


def test_its_record_goes_before_the_split_of_the_folder_it_lies_in(checkpoint, tmp_path):
    made = known_patients([], splits("a", "b", "c"), COHORT)
    path = checkpoint(made, "run/checkpoints/best.ckpt")
    write_splits(tmp_path / "run/splits.json", splits("c", "b", "a"))
    known_patients([path], splits("x", "y", "c"), COHORT)


def test_patients_of_the_ancestors_are_handed_down(checkpoint):
    """A pre-training, a teacher that starts from it, a student of the teacher, and its heir."""
    origins = []
    for number, known in enumerate("abc"):
        record = known_patients(origins, splits(known, "v", "t"), COHORT)
        origins = [checkpoint(record, f"{number}.ckpt")]
    assert record["cohorts"][COHORT] == ["a", "b", "c", "v"]
    for test in "abcv":
        with pytest.raises(ValueError, match=f"2.ckpt was trained with patient {test}"):
            known_patients(origins, splits("x", "y", test), COHORT)


def test_every_origin_counts(checkpoint):
    first, second = (
        checkpoint(known_patients([], splits(name, "v", "t"), COHORT), f"{name}.ckpt")
        for name in "ab"
    )
    both = known_patients([first, second], splits("c", "d", "t"), COHORT)
    assert both["cohorts"][COHORT] == ["a", "b", "c", "d", "v"]
    with pytest.raises(ValueError, match=r"b.ckpt was trained with patient b"):
        known_patients([first, second], splits("c", "d", "b"), COHORT)


def test_equal_names_of_another_cohort_are_other_people(checkpoint):
    pretrained = checkpoint(known_patients([], splits("12", "3", "4"), "nuclei"), "nuclei.ckpt")
    record = known_patients([pretrained], splits("2", "3", "1"), COHORT)
    assert record["cohorts"] == {COHORT: ["2", "3"], "nuclei": ["1", "2", "3"]}
    teacher = checkpoint(record, "teacher.ckpt")
    known_patients([teacher], splits("2", "3", "1"), COHORT)
    with pytest.raises(ValueError, match=r"teacher.ckpt was trained with patient 2, whom"):
        known_patients([teacher], splits("1", "3", "2"), COHORT)
    with pytest.raises(ValueError, match=r"teacher.ckpt was trained with patient 1, whom"):
        known_patients([teacher], splits("2", "3", "1"), "nuclei")
    with pytest.raises(ValueError, match="other people of the same name need another --cohort"):
        known_patients([teacher], splits("1", "3", "2"), COHORT)


def test_an_older_checkpoint_is_judged_by_its_run_folder(checkpoint, tmp_path):
    path = checkpoint(name="run/checkpoints/best.ckpt")
    write_splits(tmp_path / "run/splits.json", splits("a", "b", "c"))
    for test in "ab":
        with pytest.raises(ValueError, match=f"best.ckpt was trained with patient {test}"):
            known_patients([path], splits("x", "y", test), COHORT)
    assert known_patients([path], splits("x", "y", "c"), COHORT) == {
        "cohorts": {COHORT: ["a", "b", "x", "y"]},
        "unrecorded": [],
    }


@pytest.mark.parametrize("record", [None, "of another program", {"cohorts": {}}])
def test_what_tells_nothing_is_used_with_a_warning_that_is_handed_down(
    record, checkpoint, tmp_path
):
    # A file of folds, as it lies two folders above what is put beside a fold's checkpoints.
    (tmp_path / "splits.json").write_text("{}")
    foreign = checkpoint(record)
    line = r"^weights.ckpt does not say .* leakage of test patients cannot be ruled out$"
    with pytest.warns(UserWarning, match=line):
        made = known_patients([foreign], splits("a", "b", "c"), COHORT)
    assert made == {"cohorts": {COHORT: ["a", "b"]}, "unrecorded": ["weights.ckpt"]}
    heir = checkpoint(made, "heir.ckpt")
    with pytest.warns(UserWarning, match=line):
        known_patients([heir], splits("a", "b", "c"), COHORT)
    with pytest.raises(ValueError, match=r"heir.ckpt was trained with patient b"):
        known_patients([heir], splits("a", "x", "b"), COHORT)
