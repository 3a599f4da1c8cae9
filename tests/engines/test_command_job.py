"""Jobs that go on, and are run again, by what they were begun with."""

import json
from dataclasses import replace

import pytest

from lotus.engines import CommandJob, JobFailed, TrainingJob
from lotus.engines.inputs import fingerprint
from lotus.runs import RunFolder


@pytest.fixture
def job(tmp_path):
    """A command that reads a file and a folder, and leaves a folder."""
    (tmp_path / "weights.ckpt").write_text("a")
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.tif").write_text("pixels")
    return CommandJob(
        "labels/fold0",
        tmp_path / "labels",
        ("segment", "images"),
        (tmp_path / "weights.ckpt", tmp_path / "images"),
        {"masks": tmp_path / "labels/masks"},
    )


def run(job, leave=True):
    """What an engine does, and the command in its place."""
    job.begin()
    if leave:
        (job.folder / "masks").mkdir(parents=True, exist_ok=True)
        (job.folder / "masks/1.tif").write_text("labels")
    job.end()


def test_it_is_finished_until_what_it_was_made_from_changes(job, tmp_path):
    assert not job.is_finished
    assert job.commands() == [["segment", "images"]]
    run(job)
    assert job.is_finished
    assert job.commands() == []
    for path, content in (("weights.ckpt", "b"), ("images/2.tif", "new"), ("images/1.tif", "else")):
        (tmp_path / path).write_text(content)
        assert not job.is_finished, path
        run(job)
        assert job.is_finished, path
    (tmp_path / "images/2.tif").rename(tmp_path / "images/3.tif")
    assert not job.is_finished


def test_what_was_made_from_other_inputs_is_removed(job, tmp_path):
    run(job)
    (job.folder / "masks/of_another_image.tif").write_text("labels")
    job.begin()
    assert (job.folder / "masks/of_another_image.tif").exists()  # it would go on
    (tmp_path / "weights.ckpt").write_text("b")
    job.begin()
    assert not (job.folder / "masks").exists()


def test_what_a_person_edits_is_honoured(job):
    review = job.folder / "review.csv"
    job = replace(job, edited=(review, job.folder / "corrected"))
    run(job)
    assert job.is_finished
    review.write_text("accept")
    assert not job.is_finished
    run(job)
    assert (job.folder / "masks/1.tif").exists()
    assert job.is_finished
    (job.folder / "corrected").mkdir()
    assert not job.is_finished
    run(job)
    assert job.is_finished
    review.unlink()
    assert not job.is_finished


def test_a_begun_command_is_not_finished(job):
    job.begin()
    (job.folder / "masks").mkdir()
    assert not job.is_finished


def test_a_command_that_leaves_nothing_has_failed(job):
    with pytest.raises(JobFailed, match=r"`lotus segment` left no masks at .*labels/masks"):
        run(job, leave=False)
    assert not job.is_finished


def test_what_it_left_is_missed(job):
    run(job)
    (job.folder / "masks/1.tif").unlink()
    (job.folder / "masks").rmdir()
    assert not job.is_finished


def test_other_arguments_are_refused(job):
    run(job)
    other = CommandJob(job.name, job.folder, ("segment", "images", "--threshold", "0.3"))
    line = r"was begun with `segment images`, and now it would be `segment images --threshold 0.3`"
    with pytest.raises(JobFailed, match=line):
        other.refuse_other_arguments()
    with pytest.raises(JobFailed, match=line):
        other.begin()


def test_an_input_that_is_not_there_is_named(job, tmp_path):
    (tmp_path / "weights.ckpt").unlink()
    with pytest.raises(JobFailed, match=r"weights.ckpt is not there, which an earlier stage"):
        job.begin()


def test_a_damaged_record_is_named(job):
    run(job)
    RunFolder(job.folder).begun.write_text("{")
    with pytest.raises(ValueError, match=r"stage.json: damaged .*; remove .*labels to run it aga"):
        job.is_finished  # noqa: B018 - reading it is what fails


def test_fingerprints_tell_names_and_contents_apart(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/x").write_text("1")
    (tmp_path / "b/x").write_text("1")
    (tmp_path / "b/.hidden").write_text("2")
    (tmp_path / "c/y").write_text("1")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "c")
    # sha256sum of a file with the byte "1"
    one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert fingerprint(tmp_path / "a/x") == one


def training(tmp_path, **more):
    (tmp_path / "teacher.ckpt").write_text("a")
    inputs = (tmp_path / "teacher.ckpt",)
    return TrainingJob(tmp_path, "student", "fold0", ("--config=x.yaml",), inputs=inputs, **more)


def trained(run, status="finished"):
    """What `lotus fit` leaves of itself."""
    run.config.parent.mkdir(parents=True, exist_ok=True)
    run.config.write_text("{}")
    entry = {"stage": "fit", "status": status}
    run.environment.write_text(json.dumps({"invocations": [entry]}))


def test_a_training_that_is_tested_is_finished_with_its_scores(tmp_path):
    job, run = training(tmp_path), RunFolder(tmp_path / "student/fold0")
    assert [command[0] for command in job.commands()] == ["fit", "test"]
    trained(run, "interrupted")
    assert [command[0] for command in job.commands()] == ["fit", "test"]
    trained(run)
    assert [command[0] for command in job.commands()] == ["test"]
    assert not job.is_finished
    run.scores.write_text("name\nmean\n")
    assert job.is_finished
    assert job.commands() == []


def test_a_pretraining_is_finished_when_it_is_trained(tmp_path):
    job, run = training(tmp_path, tested=False), RunFolder(tmp_path / "student/fold0")
    assert [command[0] for command in job.commands()] == ["fit"]
    trained(run, "interrupted")
    assert not job.is_finished
    trained(run)
    assert job.is_finished


def test_a_training_from_another_teacher_is_refused(tmp_path):
    """Its weights know the old one; to remove them is for the user to decide."""
    job, run = training(tmp_path), RunFolder(tmp_path / "student/fold0")
    job.begin()
    (tmp_path / "teacher.ckpt").write_text("b")
    job.begin()  # nothing was trained yet
    trained(run)
    run.scores.write_text("name\nmean\n")
    assert job.is_finished
    (tmp_path / "teacher.ckpt").write_text("c")
    assert not job.is_finished
    with pytest.raises(JobFailed, match=r"was trained with another .*teacher.ckpt; remove the fo"):
        job.begin()
