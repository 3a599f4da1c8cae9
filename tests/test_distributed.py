"""Two processes train what one would, through the command line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lotus.cli import main
from tests.conftest import tiny_arguments

TOLERANCE = {"rtol": 0, "atol": 1e-5}


def without(arguments: list[str], option: str) -> list[str]:
    index = arguments.index(option)
    return arguments[:index] + arguments[index + 2 :]


def run_two_processes(arguments: list[str], strategy: str) -> None:
    """Lightning starts the second process itself and joins both by gloo."""
    command = [sys.executable, "-m", "lotus.cli", *arguments]
    command += ["--trainer.strategy", strategy, "--trainer.devices", "2"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr


def curves_of(run: Path) -> pd.DataFrame:
    table = pd.read_csv(run / "metrics.csv").groupby("epoch").first()
    return table[["train_loss", "val_loss", "val_dice", "val_aji", "val_pq"]]


@pytest.mark.slow
def test_two_processes_train_like_one(tiny_manifest, tmp_path):
    # Without BatchNorm, whose statistics are those of one process, and with plain gradient
    # descent, which does not blow up differences of rounding as Adam does.
    arguments = [
        *without(
            tiny_arguments("student", tiny_manifest, tmp_path),
            "--model.init_args.network.init_args.filters",
        ),
        *("--trainer.max_epochs", "3", "--data.init_args.samples_per_epoch", "8"),
        # Three images to validate and to test with: one process gets one more than the other.
        *("--data.init_args.split_fractions", "[0.4, 0.3, 0.3]"),
        *("--model.init_args.network", "monai.networks.nets.BasicUNet"),
        *("--model.init_args.network.init_args.spatial_dims", "2"),
        *("--model.init_args.network.init_args.in_channels", "3"),
        *("--model.init_args.network.init_args.out_channels", "1"),
        *("--model.init_args.network.init_args.features", "[4, 4, 8, 8, 8, 4]"),
        *("--model.init_args.optimizer", "torch.optim.SGD"),
        *("--model.init_args.optimizer.init_args.lr", "0.1"),
    ]
    assert main([*arguments, "--run", "one", "--data.init_args.batch_size", "4"]) == 0
    two = [*arguments, "--run", "two", "--data.init_args.batch_size", "2"]
    run_two_processes(two, "ddp")
    one, two = tmp_path / "student/one", tmp_path / "student/two"

    expected, found = curves_of(one), curves_of(two)
    np.testing.assert_allclose(found, expected, **TOLERANCE)
    assert expected["train_loss"].is_monotonic_decreasing
    first, second = (
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in (one, two)
    )
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, **TOLERANCE)

    assert main(["test", "--config", str(one / "config.yaml")]) == 0
    run_two_processes(["test", "--config", str(two / "config.yaml")], "ddp")
    expected, found = (pd.read_csv(run / "scores.csv") for run in (one, two))
    assert len(found) == 4
    pd.testing.assert_frame_equal(found, expected, atol=1e-4)
    for name in ("test_dice", "test_pq", "test_undefined", "test_loss"):
        value, reference = (
            pd.read_csv(run / "metrics.csv")[name].dropna().item() for run in (two, one)
        )
        assert value == pytest.approx(reference, abs=1e-4)


@pytest.mark.slow
def test_two_processes_distil_through_both_phases_into_one_folder(
    tiny_manifest, tiny_teacher, tmp_path
):
    arguments = [
        *without(tiny_arguments("distill", tiny_manifest, tmp_path), "--run"),
        *("--model.init_args.teacher", str(tiny_teacher), "--trainer.max_epochs", "4"),
        *("--model.init_args.max_phase_one_epochs", "2"),
    ]
    run_two_processes(arguments, "ddp_find_unused_parameters_true")
    (folder,) = (tmp_path / "distill").iterdir()
    curves = pd.read_csv(folder / "metrics.csv").groupby("epoch").first()
    assert list(curves["phase"]) == [1, 1, 2, 2]
    assert np.isfinite(curves[["train_loss", "val_loss", "gamma_mean"]]).to_numpy().all()
    assert (folder / "checkpoints/student.ckpt").is_file()
