"""Where the curves go when W&B is not there."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from tests.conftest import tiny_arguments


@pytest.mark.slow
def test_training_goes_on_when_wandb_cannot_be_reached(tiny_manifest, tmp_path):
    """A key is set, and nothing answers at the address of the server."""
    environment = {
        **os.environ,
        "WANDB_MODE": "online",
        "WANDB_API_KEY": "0" * 40,
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_INIT_TIMEOUT": "2",
    }
    arguments = tiny_arguments("student", tiny_manifest, tmp_path)
    command = [sys.executable, "-m", "lotus.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "W&B does not take this run" in done.stderr
    run = tmp_path / "student/tiny"
    assert pd.read_csv(run / "metrics.csv")["val_dice"].notna().sum() == 2
    assert (run / "checkpoints/best.ckpt").is_file()
    assert list((run / "wandb").glob("offline-run-*/*.wandb"))
