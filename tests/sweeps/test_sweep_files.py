"""Every shipped sweep file fits the configuration that it names."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from lotus.studies.parameter_search import check_keys
from lotus.sweeps import read_sweep
from tests.conftest import parsed

REPOSITORY = Path(__file__).resolve().parents[2]
SWEEPS = sorted((REPOSITORY / "experiments/sweeps").glob("*.yaml"))


def fit_arguments(path: Path) -> list[str]:
    """Those that the command of the file gives to `lotus fit` before the parameters."""
    command = yaml.safe_load(path.read_text())["command"]
    assert command[:3] == ["${env}", "lotus", "fit"]
    assert command[-1] == "${args}"
    return command[3:-1]


def test_there_is_one_for_lotus_and_one_per_baseline():
    baselines = {path.stem for path in (REPOSITORY / "experiments/lotus/baselines").glob("*.yaml")}
    assert {path.stem for path in SWEEPS} == {"lotus", "student", *baselines - {"u2net_small"}}


def test_the_teacher_of_lotus_is_the_one_that_its_head_trains():
    path = REPOSITORY / "experiments/sweeps/lotus.yaml"
    arguments = fit_arguments(path)
    teacher = Path(arguments[arguments.index("--model.init_args.teacher") + 1])
    runs, experiment, run, *checkpoint = teacher.parts
    assert (runs, checkpoint) == ("runs", ["checkpoints", "best.ckpt"])
    head = path.read_text().partition("lotus sweep")[0].replace("\\\n#", "").split()
    assert f"experiments/lotus/{experiment}.yaml" in head
    assert head[head.index("--run") + 1] == run
    recipe = yaml.safe_load((REPOSITORY / f"experiments/lotus/{experiment}.yaml").read_text())
    assert recipe["experiment"] == experiment


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_trial_has_an_end_and_the_head_says_what_the_command_says(path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    arguments = fit_arguments(path)
    files = [name for flag, name in pairwise(arguments) if flag == "--config"]
    head = path.read_text().partition("method:")[0].partition("lotus sweep")[2]
    assert [name for flag, name in pairwise(head.split()) if flag == "--config"] == files
    config, _ = parsed(arguments)
    # Without a preset it would be Lightning's 1000.
    assert config.trainer.max_epochs is not None


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_keys_and_values_fit_the_configuration(path, tiny_manifest, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    arguments = fit_arguments(path)
    prefixes = ["--data.init_args"]
    if "experiments/lotus/distill.yaml" in arguments:
        prefixes = [f"--data.init_args.{part}.init_args" for part in ("student", "teacher")]
    for prefix in prefixes:
        arguments += [f"{prefix}.manifest", str(tiny_manifest)]
    sweep = read_sweep(path)
    assert sweep.maximize
    assert sweep.metric == "val_dice"
    check_keys(sweep, arguments)
    # The same with W&B's own spelling of values.
    assert all(
        yaml.safe_load(str(v)) == v for d in sweep.parameters.values() for v in d.choices or ()
    )
