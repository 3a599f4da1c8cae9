"""A sweep through the command line."""

import shlex
import signal
import time

import pandas as pd
import pytest
import pytorch_lightning as pl
import yaml

from lotus.cli import main
from lotus.engines.job_commands import available_cores
from lotus.runs.curves import read_curve
from tests.conftest import tiny_arguments
from tests.engines.clusters import one_machine, search_path
from tests.engines.commands import PATIENCE_S
from tests.engines.in_process import IN_PROCESS
from tests.test_interruption import WaitForSignal, start, wait_for

RATE = "model.init_args.optimizer.init_args.lr"
GRID = {
    "method": "grid",
    "metric": {"name": "val_loss", "goal": "minimize"},
    "parameters": {
        "model.init_args.optimizer": {"value": "torch.optim.SGD"},
        RATE: {"values": [1.0e-6, 0.3]},
    },
}


def sweep_arguments(manifest, folder, content, *more):
    """`lotus sweep` of a tiny student."""
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    arguments = tiny_arguments("student", manifest, folder / "runs")
    index = arguments.index("--run")
    del arguments[index : index + 2]
    return ["sweep", "--sweep", str(path), "--run", "search", *arguments[1:], *more]


@pytest.mark.slow
def test_a_grid_is_searched_on_validation_images_and_goes_on(tiny_manifest, tmp_path, capsys):
    arguments = sweep_arguments(tiny_manifest, tmp_path, GRID, *IN_PROCESS)
    assert main(arguments) == 0
    output = capsys.readouterr().out
    folder = tmp_path / "runs/sweep/search"
    table = pd.read_csv(folder / "sweep.csv")
    assert list(table["trial"]) == ["trial000", "trial001"]
    assert list(table[RATE]) == [1.0e-6, 0.3]
    assert list(table["state"]) == ["finished"] * 2
    for _, row in table.iterrows():
        curve = read_curve(folder / row["trial"] / "metrics.csv", "val_loss")
        assert row["val_loss"] == pytest.approx(min(curve.values()))
        assert curve[row["epoch"]] == min(curve.values())
    assert not list(folder.rglob("scores.csv")), "the test images are not looked at"
    # Nothing is learnt at a rate of 1e-6.
    assert table["val_loss"][1] < table["val_loss"][0]
    assert "best: trial001" in output
    command = shlex.split(output.splitlines()[-1])
    assert command[:2] == ["lotus", "fit"]
    assert f"--{RATE}=0.3" in command

    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("finished earlier") == 2
    assert main([*arguments, "--model.init_args.class_names", "[pore]"]) == 2
    assert "trial000 was begun with model.init_args.class_names = " in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("run", {"values": ["a", "b"]}, "sweep parameter run: the sweep itself names the folders"),
        ("experiment", {"value": "mine"}, "sweep parameter experiment: the sweep itself names"),
        ("runs", {"value": "elsewhere"}, "sweep parameter runs: the sweep itself names"),
        ("model.init_args.lambda_x", {"value": 1}, "sweep parameter model.init_args.lambda_x, 1: "),
        ("trainer.max_epochs", {"values": [2, "many"]}, "sweep parameter trainer.max_epochs, many"),
    ],
)
def test_a_key_or_value_that_does_not_fit_is_refused_before_anything_trains(
    key, content, message, tiny_manifest, tmp_path, capsys
):
    wrong = {**GRID, "parameters": {**GRID["parameters"], key: content}}
    assert main(sweep_arguments(tiny_manifest, tmp_path, wrong)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "runs").exists()


def test_bayes_on_this_machine_alone_is_refused(tiny_manifest, tmp_path, capsys):
    bayes = {**GRID, "method": "bayes", "run_cap": 2}
    assert main(sweep_arguments(tiny_manifest, tmp_path, bayes)) == 2
    assert "method: bayes needs --engine ray" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_number_of_trials_that_cannot_be_is_refused(tiny_manifest, tmp_path, capsys):
    assert main(sweep_arguments(tiny_manifest, tmp_path, GRID, "--count", "0")) == 2
    assert "found --count 0; expected at least 1" in capsys.readouterr().err


class HoldBadTrial(pl.Callback):
    """Nothing but an interruption ends the third epoch of a trial that learns too slowly."""

    def on_train_epoch_start(self, trainer, *_):
        slow = trainer.optimizers[0].param_groups[0]["lr"] < 1.0e-3
        if slow and trainer.current_epoch == 2:
            time.sleep(PATIENCE_S)


@pytest.fixture(scope="module")
def address():
    """A cluster that stands for several sweeps; one of them starts its own."""
    with one_machine() as found:
        yield found


def on_ray(address):
    """One trial at a time."""
    return ["--engine", "ray", "--address", address]


@pytest.mark.slow
def test_on_ray_a_bad_trial_is_stopped_early(tiny_manifest, tmp_path, address, capsys):
    # The second and worse trial meets a rung with a better one on it.
    content = {
        **GRID,
        "parameters": {**GRID["parameters"], RATE: {"values": [0.3, 1.0e-6]}},
        "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 2},
    }
    arguments = sweep_arguments(tiny_manifest, tmp_path, content, *on_ray(address))
    arguments += ["--trainer.max_epochs", "4"]
    arguments += ["--trainer.callbacks+", "tests.commands.test_sweep.HoldBadTrial"]
    assert main(arguments) == 0
    assert "trial001: stopped" in capsys.readouterr().out
    folder = tmp_path / "runs/sweep/search"
    table = pd.read_csv(folder / "sweep.csv")
    assert list(table["state"]) == ["finished", "stopped"]
    assert len(read_curve(folder / "trial000/metrics.csv", "val_loss")) == 4
    assert len(read_curve(folder / "trial001/metrics.csv", "val_loss")) == 2
    assert not list(folder.glob(".*"))

    assert main(arguments) == 0  # nothing is left to run
    pd.testing.assert_frame_equal(pd.read_csv(folder / "sweep.csv"), table)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_metric_that_nothing_logs_ends_with_the_first_trial(
    engine, tiny_manifest, tmp_path, address, capsys
):
    content = {**GRID, "metric": {"name": "val_dise", "goal": "maximize"}}
    options = on_ray(address) if engine == "ray" else []
    arguments = sweep_arguments(tiny_manifest, tmp_path, content, *options)
    assert main([*arguments, "--trainer.max_epochs", "1"]) == 2
    folder = tmp_path / "runs/sweep/search"
    line = capsys.readouterr().err.splitlines()[-1]
    expected = f"{folder / 'trial000'} finished without a val_dise; its validations have: "
    assert line.startswith(f"lotus sweep: {expected}")
    assert {"val_dice", "val_loss"} <= set(line.removesuffix(",").replace(",", "").split())
    assert list(pd.read_csv(folder / "sweep.csv")["state"]) == ["finished", "unfinished"]


@pytest.mark.slow
def test_ctrl_c_on_ray_ends_as_elsewhere(tiny_manifest, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", search_path())
    options = ["--engine", "ray", "--cpus-per-job", str(available_cores())]
    arguments = sweep_arguments(tiny_manifest, tmp_path, GRID, *options)
    arguments += ["--trainer.max_epochs", "6"]
    arguments += ["--trainer.callbacks+", "tests.test_interruption.WaitForSignal"]
    folder = tmp_path / "runs/sweep/search"
    process = start(arguments)
    wait_for(folder / "trial000" / WaitForSignal.file, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output + errors
    assert errors.splitlines()[-1] == "lotus sweep: interrupted"
    assert "best:" not in output
    assert list(pd.read_csv(folder / "sweep.csv")["state"]) == ["unfinished"] * 2
    assert not list(folder.glob(".*"))


@pytest.mark.slow
def test_bayes_on_ray_reports_a_trial_that_fails(tiny_manifest, tmp_path, address, capsys):
    # -7 is a number, but not one of steps.
    parameters = {RATE: {"min": 0.1, "max": 0.3}, "trainer.max_steps": {"value": -7}}
    parameters = {"model.init_args.optimizer": {"value": "torch.optim.SGD"}, **parameters}
    content = {**GRID, "method": "bayes", "run_cap": 1, "parameters": parameters}
    arguments = sweep_arguments(tiny_manifest, tmp_path, content, *on_ray(address))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "1 trials failed: " in error
    assert "max_steps" in error

    parameters["trainer.max_steps"] = {"value": -1}
    arguments = sweep_arguments(tiny_manifest, tmp_path, content, *on_ray(address))
    arguments[arguments.index("search")] = "again"
    assert main(arguments) == 0
    table = pd.read_csv(tmp_path / "runs/sweep/again/sweep.csv")
    assert list(table["state"]) == ["finished"]
    assert table[RATE].between(0.1, 0.3).all()
