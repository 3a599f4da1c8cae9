"""Every shipped configuration goes from training to prediction through the command line."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from lotus.cli import main
from tests.conftest import STUDENT, tiny_arguments

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))
PRESETS = sorted(path.name for path in EXPERIMENTS.iterdir() if path.is_dir())
LAYERS = [
    (EXPERIMENTS / f"{name}.yaml", EXPERIMENTS / preset / f"{name}.yaml")
    for name in NAMES
    for preset in PRESETS
]


def small_arguments(base: Path, preset: Path, manifest: Path, runs: Path) -> list[str]:
    """`lotus fit` of an experiment with a preset on top: tiny, on one CPU, in this process."""
    arguments = tiny_arguments(base.stem, manifest, runs)
    last_config = arguments.index("--config") + 2
    arguments[last_config:last_config] = ["--config", str(preset)]
    is_distillation = base.stem.startswith("distill")
    prefixes = [STUDENT, "--data.init_args.teacher.init_args"]
    for prefix in prefixes if is_distillation else ["--data.init_args"]:
        arguments += [f"{prefix}.num_workers", "0", f"{prefix}.cache", str(runs / "cache")]
    # Four epochs, because the quick preset validates after every fourth.
    return [
        *(*arguments, "--trainer.max_epochs", "4"),
        *("--trainer.devices", "1", "--trainer.strategy", "auto"),
    ]


def test_every_yaml_file_is_tried():
    tried = {path for layers in LAYERS for path in layers}
    assert tried == set(EXPERIMENTS.rglob("*.yaml"))
    assert {"teacher", "student", "distill"} <= set(NAMES)
    assert set(PRESETS) == {"quick", "paper"}


@pytest.mark.slow
@pytest.mark.parametrize("layers", LAYERS, ids=lambda pair: f"{pair[1].parent.name}/{pair[1].stem}")
def test_fit_test_predict(layers, tiny_manifest, tiny_teacher, tmp_path):
    base, preset = layers
    arguments = small_arguments(base, preset, tiny_manifest, tmp_path)
    if base.stem == "distill":
        arguments += ["--model.init_args.teacher", str(tiny_teacher)]
        arguments += ["--model.init_args.max_phase_one_epochs", "2"]
    assert main(arguments) == 0
    folder = tmp_path / base.stem / "tiny"
    config = folder / "config.yaml"
    wanted = yaml.safe_load(preset.read_text())["trainer"]["plugins"]
    assert yaml.safe_load(config.read_text())["trainer"]["plugins"] == wanted
    curves = pd.read_csv(folder / "metrics.csv")
    assert curves["epoch"].max() == 3
    assert {"train_loss", "val_loss", "val_dice"} <= set(curves.columns)

    assert main(["test", "--config", str(config)]) == 0
    scores = pd.read_csv(folder / "scores.csv")
    names = list(scores["name"])
    assert len(names) == 3
    assert names[-1] == "mean"
    assert scores["dice"].between(0, 1).all()

    assert main(["predict", "--config", str(config)]) == 0
    for part in ("predictions", "targets", "images", "predict/predictions"):
        assert sorted(path.stem for path in (folder / part).iterdir()) == names[:-1]
