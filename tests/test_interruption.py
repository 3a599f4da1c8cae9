"""Ctrl-C, a kill and a dashboard without a key, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
import yaml
from wandb.proto.wandb_internal_pb2 import RunRecord

from lotus.cli import main
from tests.conftest import tiny_arguments

EPOCHS = 12
PATIENCE_S = 500  # only against waiting for ever


def long_arguments(manifest: Path, teacher: Path, runs: Path) -> list[str]:
    return [
        *tiny_arguments("distill", manifest, runs),
        *("--trainer.max_epochs", str(EPOCHS), "--model.init_args.teacher", str(teacher)),
        *("--model.init_args.max_phase_one_epochs", str(EPOCHS // 2)),
    ]


class WaitForSignal(pl.Callback):
    """Hold the training in its fifth epoch, so that a signal always comes in the middle of it."""

    file = "waiting"

    def on_train_batch_start(self, trainer, *_):
        if trainer.current_epoch == 4:
            (Path(trainer.default_root_dir) / self.file).touch()
            time.sleep(PATIENCE_S)


def start(arguments: list[str], **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "lotus.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.is_file():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(tiny_manifest, tiny_teacher, tmp_path_factory):
    """The folder of a run that nobody disturbed."""
    runs = tmp_path_factory.mktemp("uninterrupted")
    assert main(long_arguments(tiny_manifest, tiny_teacher, runs)) == 0
    return runs / "distill/tiny"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "status", "recorded"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGKILL, -signal.SIGKILL, "running")],
)
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    sent, status, recorded, uninterrupted, tiny_manifest, tiny_teacher, tmp_path
):
    arguments = long_arguments(tiny_manifest, tiny_teacher, tmp_path)
    folder = tmp_path / "distill/tiny"
    last = folder / "checkpoints/last.ckpt"
    process = start([*arguments, "--trainer.callbacks+", "tests.test_interruption.WaitForSignal"])
    wait_for(folder / WaitForSignal.file, process)
    process.send_signal(sent)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status, output + errors
    if sent == signal.SIGINT:
        expected = "lotus fit: interrupted; go on with --run tiny --ckpt_path last"
        assert errors.splitlines()[-1] == expected

    stopped_after = torch.load(last, weights_only=True)["epoch"]
    assert stopped_after == 3
    assert statuses(folder) == [recorded]
    assert not list(folder.rglob(".*")), "no temporary file is left"

    assert main([*arguments, "--ckpt_path", "last"]) == 0
    assert statuses(folder) == [recorded, "finished"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["ckpt_path"] is None
    same_weights(last, uninterrupted / "checkpoints/last.ckpt")
    same_weights(last.with_name("best.ckpt"), uninterrupted / "checkpoints/best.ckpt")
    found, wanted = curves(folder), curves(uninterrupted)
    assert list(found.index) == list(range(EPOCHS))
    for name in ("train_loss", "val_dice", "gamma_mean", "phase"):
        np.testing.assert_array_equal(found[name], wanted[name])


def statuses(folder: Path) -> list[str]:
    invocations = json.loads((folder / "environment.json").read_text())["invocations"]
    return [invocation["status"] for invocation in invocations]


def same_weights(first: Path, second: Path) -> None:
    one, other = (torch.load(path, weights_only=True) for path in (first, second))
    assert one["epoch"] == other["epoch"]
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name


def curves(folder: Path) -> pd.DataFrame:
    """One row per epoch; what an epoch that ran twice logged twice must agree."""
    table = pd.read_csv(folder / "metrics.csv")
    assert (table.groupby("epoch")["train_loss"].nunique() == 1).all()
    return table.groupby("epoch").first()


@pytest.mark.slow
def test_without_a_key_the_dashboard_is_offline_and_nobody_is_asked(tiny_manifest, tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("WANDB")
    }
    environment["HOME"] = str(tmp_path / "home")  # no key in a file there either
    (tmp_path / "home").mkdir()
    process = start(tiny_arguments("student", tiny_manifest, tmp_path), env=environment)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output + errors
    assert "login" not in (output + errors).lower()
    assert "api key" not in (output + errors).lower()
    (offline,) = (tmp_path / "student/tiny/wandb").glob("offline-run-*")
    assert list((offline / "files/media/images/validation").glob("overlays_*.png"))
    (sent,) = (path.read_bytes() for path in offline.glob("*.wandb"))
    for field in (RunRecord(run_group="student"), RunRecord(display_name="tiny")):
        assert field.SerializeToString() in sent
    for name in ("train_loss", "val_loss", "val_dice", "validation/overlays"):
        assert name.encode() in sent
