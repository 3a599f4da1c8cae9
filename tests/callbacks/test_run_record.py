import json
import os
import signal
import subprocess
from importlib.metadata import version

import pytest

from lotus.callbacks import RunRecord
from lotus.callbacks.run_record import git_state


def record_of(folder):
    return json.loads((folder / "environment.json").read_text())


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_fit_and_test_leave_one_record(make_trainer, tmp_path, monkeypatch, make_task, make_data):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/lotus", "fit", "--run", "a b"])
    data = make_data()
    make_trainer(RunRecord()).fit(make_task(), data)
    data.version = "second"
    make_trainer(RunRecord()).test(make_task(), data)

    record = record_of(tmp_path)
    fit, test = record["invocations"]
    assert [entry["stage"] for entry in (fit, test)] == ["fit", "test"]
    assert [entry["status"] for entry in (fit, test)] == ["finished", "finished"]
    assert fit["command"] == "lotus fit --run 'a b'"
    assert fit["duration_s"] > 0
    assert record["versions"]["torch"] == version("torch")
    assert record["precision"] == "32-true"
    assert record["processes"] == 1
    assert record["cpu_threads"] >= 1
    assert record["device"]
    assert record["git_commit"] is None
    data_record = json.loads((tmp_path / "data.json").read_text())
    assert data_record == {**data.summary(), "phantom": False}
    assert json.loads((tmp_path / "splits.json").read_text()) == {"train": ["first"]}


def test_a_new_fit_records_its_own_split(make_trainer, tmp_path, make_task, make_data):
    data = make_data()
    make_trainer(RunRecord()).fit(make_task(), data)
    data.version = "second"
    make_trainer(RunRecord()).fit(make_task(), data)
    assert json.loads((tmp_path / "splits.json").read_text()) == {"train": ["second"]}


def test_phantoms_are_recorded_as_such(make_trainer, tmp_path, monkeypatch, make_task, make_data):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "sr_microct").mkdir(parents=True)
    (tmp_path / "data" / "sr_microct" / "truth.csv").touch()
    make_trainer(RunRecord()).fit(make_task(), make_data())
    assert json.loads((tmp_path / "data.json").read_text())["phantom"] is True


@pytest.mark.parametrize(
    ("failure", "raised", "status"),
    [
        (RuntimeError("out of luck"), RuntimeError, "failed"),
        (KeyboardInterrupt(), SystemExit, "interrupted"),
    ],
)
def test_how_a_run_ended_is_recorded(
    make_trainer, tmp_path, failure, raised, status, make_task, make_data
):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(raised):
        make_trainer(RunRecord()).fit(make_task(failure), make_data())
    signal.signal(signal.SIGINT, handler)  # the trainer ignores a second Ctrl-C
    (entry,) = record_of(tmp_path)["invocations"]
    assert entry["status"] == status
    assert entry["duration_s"] > 0


def test_a_damaged_record_does_not_stop_a_run(make_trainer, tmp_path, make_task, make_data):
    (tmp_path / "environment.json").write_text("{")
    make_trainer(RunRecord()).fit(make_task(), make_data())
    assert len(record_of(tmp_path)["invocations"]) == 1


def test_data_without_summary_or_split_are_fine(make_trainer, tmp_path, make_task, make_data):
    make_trainer(RunRecord()).fit(make_task(), make_data().train_dataloader())
    assert [path.name for path in tmp_path.iterdir()] == ["environment.json"]


def test_git_state_is_the_commit_and_whether_files_differ(tmp_path):
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == {"git_commit": None, "git_uncommitted_changes": None}
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results").write_text("untracked files do not count")
    assert git_state(tmp_path) == {"git_commit": commit, "git_uncommitted_changes": False}
    (tmp_path / "file").write_text("two")
    assert git_state(tmp_path) == {"git_commit": commit, "git_uncommitted_changes": True}


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    assert git_state(tmp_path)["git_commit"] is None
