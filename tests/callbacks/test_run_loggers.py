"""Where the curves go when W&B is not there."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lotus.engines import LocalEngine, TrainingJob
from tests.conftest import tiny_arguments


def by_itself(arguments: list[str], runs: Path) -> tuple[Path, str]:
    command = [sys.executable, "-m", "lotus.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return runs / "student/tiny", done.stderr


def as_a_job(arguments: list[str], runs: Path) -> tuple[Path, str]:
    for option in ("--run", "--runs"):
        index = arguments.index(option)
        del arguments[index : index + 2]
    job = TrainingJob(runs, "student", "tiny", tuple(arguments[1:]), tested=False)
    LocalEngine().run([job])
    return job.folder, (job.folder / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("run_student", [by_itself, as_a_job])
def test_training_goes_on_when_wandb_cannot_be_reached(
    run_student, tiny_manifest, tmp_path, monkeypatch, capsys
):
    """A key is set, and nothing answers at the address of the server."""
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "2")
    run, said = run_student(tiny_arguments("student", tiny_manifest, tmp_path), tmp_path)
    # Of jobs the engine has asked, and says so.
    assert ("W&B does not take this run" in said) == (run_student is by_itself)
    assert ("no W&B at http://127.0.0.1:9" in capsys.readouterr().out) == (run_student is as_a_job)
    assert "anonymous" not in said
    assert pd.read_csv(run / "metrics.csv")["val_dice"].notna().sum() == 2
    assert (run / "checkpoints/best.ckpt").is_file()
    assert list((run / "wandb").glob("offline-run-*/*.wandb"))
