"""The commands that worked in a run folder."""

import json

import pytest

from lotus.runs.invocations import read_invocations, status_of_last_fit


def write(path, *entries):
    invocations = [{"stage": stage, "status": status} for stage, status in entries]
    path.write_text(json.dumps({"device": "a processor", "invocations": invocations}))


def test_the_last_training_counts_and_tests_do_not(tmp_path):
    path = tmp_path / "environment.json"
    write(path, ("fit", "failed"), ("fit", "finished"), ("test", "interrupted"))
    assert [entry["stage"] for entry in read_invocations(path)] == ["fit", "fit", "test"]
    assert status_of_last_fit(path) == "finished"
    write(path, ("test", "finished"))
    assert status_of_last_fit(path) is None


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"invocations": null}'])
def test_a_damaged_record_has_none(content, tmp_path):
    path = tmp_path / "environment.json"
    if content is not None:
        path.write_text(content)
    assert read_invocations(path) == []
    assert status_of_last_fit(path) is None
