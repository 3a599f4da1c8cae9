"""What every engine keeps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest

from lotus.engines import CommandJob, Engine, Job, JobFailed
from tests.engines.commands import Command

WRONG = ("compare", "--nonsense")


@dataclass(frozen=True)
class Recorded(Command):
    """A job that writes down when it was begun and ended: how much its commands had printed."""

    times: int = 1
    refuses: str = ""
    """The step, `begin` or `end`, that says the job cannot be run."""

    def commands(self) -> list[list[str]]:
        return [list(self.arguments)] * self.times

    def begin(self) -> None:
        self._note("begin")

    def end(self) -> None:
        self._note("end")

    def _note(self, step: str) -> None:
        printed = len((self.folder / "log.txt").read_text().splitlines())
        with (self.folder / "steps.txt").open("a") as steps:
            steps.write(f"{step} after {printed}\n")
        if step == self.refuses:
            raise JobFailed(f"{self.name} cannot {step}")

    @property
    def steps(self) -> list[str]:
        record = self.folder / "steps.txt"
        return record.read_text().splitlines() if record.exists() else []


class EngineContract:
    """The checks; a subclass says which engine it is, and gives one."""

    implementation: ClassVar[type[Engine]]

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    def run(self, engine: Engine, jobs: Sequence[Job]) -> tuple[list[str], list[str], str]:
        """The lines that were said, the names of the jobs that ended, and what failed, if any."""
        lines: list[str] = []
        ended: list[str] = []
        try:
            engine.run(jobs, lines.append, lambda job: ended.append(job.name))
        except JobFailed as failed:
            return lines, ended, str(failed)
        return lines, ended, ""

    def test_a_job_is_begun_and_ended_around_its_commands(self, engine, tmp_path):
        job = Recorded(tmp_path / "runs/job", times=2)
        lines, ended, failed = self.run(engine, [job])
        assert job.steps == ["begin after 0", "end after 2"]
        *commands, last = lines
        assert commands == ["job: lotus --version"] * 2
        assert last.startswith("job: finished in ")
        assert ended == ["job"]
        assert not failed

    def test_what_commands_print_is_in_the_jobs_own_log(self, engine, tmp_path):
        jobs = [Recorded(tmp_path / name) for name in ("one", "two")]
        self.run(engine, jobs)
        for job in jobs:
            (line,) = (job.folder / "log.txt").read_text().splitlines()
            assert line.startswith("lotus ")

    def test_a_finished_job_is_said_and_not_run(self, engine, tmp_path):
        jobs = [
            Recorded(tmp_path / "done", ("nonsense",), is_finished=True),
            Recorded(tmp_path / "new"),
        ]
        lines, ended, failed = self.run(engine, jobs)
        assert "done: finished earlier" in lines
        assert "done: lotus nonsense" not in lines
        assert jobs[0].steps == []
        assert jobs[1].steps == ["begin after 0", "end after 1"]
        assert sorted(ended) == ["done", "new"]
        assert not failed

    def test_whether_wandb_is_there_is_asked_once_for_all_jobs(self, engine, tmp_path, monkeypatch):
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        lines, _, failed = self.run(engine, [Recorded(tmp_path / name) for name in ("one", "two")])
        (line,) = (line for line in lines if "W&B" in line)
        assert line.startswith("no W&B at http://127.0.0.1:9: runs are kept offline")
        assert not failed
        assert os.environ["WANDB_MODE"] == "offline"

    def test_no_jobs_are_no_work(self, engine):
        assert self.run(engine, []) == ([], [], "")

    def test_failures_are_said_after_the_others_ran(self, engine, tmp_path):
        (tmp_path / "file").touch()
        jobs = [
            Recorded(tmp_path / "wrong", WRONG, times=2),
            Recorded(tmp_path / "file"),
            Recorded(tmp_path / "unready", refuses="begin"),
            Recorded(tmp_path / "incomplete", refuses="end"),
            Recorded(tmp_path / "right"),
        ]
        lines, ended, failed = self.run(engine, jobs)
        assert ended == ["right"]
        assert any(line.startswith("right: finished in ") for line in lines)
        reasons = {
            "wrong": "lotus compare: error: ",
            "file": f"{tmp_path / 'file'}: File exists",
            "unready": "unready cannot begin",
            "incomplete": "incomplete cannot end",
        }
        assert failed.startswith("4 of 5 jobs failed: ")
        assert "\n" not in failed
        assert "(exit status 2)" in failed
        for name, reason in reasons.items():
            assert f"{tmp_path / name}: " + reason in failed
            (said,) = [line for line in lines if line.startswith(f"{name}: failed: ")]
            assert reason in said
        # A command that failed ends its job; what is not ready is not run.
        assert lines.count("wrong: lotus compare") == 1
        assert jobs[0].steps == ["begin after 0"]
        assert "unready: lotus --version" not in lines
        assert jobs[3].steps == ["begin after 0", "end after 1"]

    def test_an_objection_to_a_job_that_ended_stops_the_others(self, engine, tmp_path):
        def object_to(job: Job) -> None:
            raise ValueError(f"{job.name} is not as it should be")

        jobs = [Recorded(tmp_path / name) for name in ("first", "second", "third", "fourth")]
        with pytest.raises(ValueError, match="is not as it should be"):
            engine.run(jobs, lambda line: None, object_to)
        assert not jobs[3].folder.exists()

    def test_a_command_is_finished_when_it_left_what_it_should(self, engine, tmp_path):
        """With the real job of one command; its log stands for what it leaves."""

        def job(name: str, left: str) -> CommandJob:
            folder = tmp_path / name
            return CommandJob(name, folder, ("--version",), leaves={"table": folder / left})

        jobs = [job("right", "log.txt"), job("wrong", "table.csv")]
        lines, ended, failed = self.run(engine, jobs)
        assert ended == ["right"]
        missing = f"`lotus --version` left no table at {tmp_path / 'wrong/table.csv'}"
        assert failed == f"1 of 2 jobs failed: {tmp_path / 'wrong'}: {missing}"
        assert f"wrong: failed: {missing}" in lines
        assert [one.is_finished for one in jobs] == [True, False]
        assert self.run(engine, jobs[:1]) == (["right: finished earlier"], ["right"], "")
