"""Every shipped configuration goes from training to prediction through the command line.

Each family of configurations has its own list of what is laid over what. A new file belongs into
one of them, or into a list of its own that `test_every_yaml_file_is_tried` adds; a part belongs to
the files that are composed of it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from lotus.cli import main
from lotus.inference.segmenter import load_segmenter
from lotus.training.layers import composed
from tests.conftest import STUDENT, TINY_UNET, tiny_arguments

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
LOTUS = EXPERIMENTS / "lotus"

PRESET_NAMES = ("quick", "paper", "brief")
# Each base with each preset on top.
PRESETS = [
    (base, LOTUS / preset / f"{base}.yaml")
    for base in ("teacher", "student", "distill")
    for preset in PRESET_NAMES
]

# Layers over the student, and what makes their networks small.
STUDENT_BASELINES = {
    "dynunet": {"patch_size": "32", "filters": "4"},
    "swin_unet": {"channels": "8", "depths": "[1, 2]", "heads": "[1, 2]"},
    "swin_unetr": {"filters": "12"},
    "u2net": {
        "encoder_filters": str([[2, 4]] * 6),
        "decoder_filters": str([[2, 4]] * 5),
    },
    "u2net_small": {},
    "unetplusplus": {"filters": "[4, 4, 4, 4, 4]"},
}

# With the preset of each; one with a layer of its own per preset comes with all of them.
STUDENT_LAYERS = [
    (name, preset)
    for name in STUDENT_BASELINES
    for preset in PRESET_NAMES
    if preset == "quick" or (LOTUS / preset / f"{name}.yaml").is_file()
]

# Files that other tests try, and where.
ELSEWHERE = {
    "data/fluorescence.yaml": "test_tile_parts.py",
    "data/trichrome.yaml": "test_tile_parts.py",
    "dual_domain/**/segmentation.yaml": "test_dual_domain_recipes.py",
    "dual_domain/**/unet.yaml": "test_dual_domain_recipes.py",
    "dual_domain/**/dino.yaml": "test_pretraining_recipes.py",
    "dual_domain/**/lejepa.yaml": "test_pretraining_recipes.py",
    "lotus/baselines/maml.yaml": "tasks/test_mutual_learning.py",
    "lotus/baselines/mask_rcnn.yaml": "tasks/test_mask_rcnn.py",
    "lotus/baselines/mediar.yaml": "tasks/test_mediar.py",
    "lotus/baselines/ummkd.yaml": "tasks/test_ummkd.py",
    "lotus/deepliif/*.yaml": "test_recipes.py",
    "lotus/deepliif/semantic/*.yaml": "test_recipes.py",
    "lotus/pretraining/nuinsseg.yaml": "test_recipes.py",
    "mga/segmentation.yaml": "test_lacunae_recipes.py",
    "mga/quick/segmentation.yaml": "test_lacunae_recipes.py",
    "mga/paper/segmentation.yaml": "test_lacunae_recipes.py",
    "mga/baselines/vgg16.yaml": "test_lacunae_recipes.py",
    "mga/classifier.yaml": "test_diagnosis_recipes.py",
    "mga/guided.yaml": "test_diagnosis_recipes.py",
    "mga/joint.yaml": "test_diagnosis_recipes.py",
    "mga/baselines/alexnet.yaml": "test_diagnosis_recipes.py",
    "mga/quick/classifier.yaml": "test_diagnosis_recipes.py",
    "mga/paper/classifier.yaml": "test_diagnosis_recipes.py",
    "porosity/*.yaml": "test_porosity_recipes.py",
    "porosity/quick/*.yaml": "test_porosity_recipes.py",
    "porosity/paper/*.yaml": "test_porosity_recipes.py",
    "studies/*.yaml": "conftest.py",
    "sweeps/*.yaml": "sweeps/test_sweep_files.py",
}


def baseline(name: str) -> Path:
    return LOTUS / "baselines" / f"{name}.yaml"


def layers_over_the_student(name: str, preset: str) -> list[Path]:
    """The preset, the baseline, and what the preset says about the baseline if it does."""
    own = LOTUS / preset / f"{name}.yaml"
    layers = [LOTUS / preset / "student.yaml", baseline(name)]
    return [*layers, own] if own.is_file() else layers


def is_named(path: Path, text: str) -> bool:
    """Whether a test names a configuration, alone or by folder and name, or takes its folder."""
    folder = path.parent.relative_to(EXPERIMENTS).as_posix().removeprefix("lotus/")
    whole = (f'{folder}/{path.stem}"', f'{folder}/{path.name}"', f'{folder}").glob("*.yaml")')
    by_parts = f'"{folder}"' in text and f'"{path.stem}"' in text
    return by_parts or any(name in text for name in whole)


def parts_of(path: Path) -> Iterator[Path]:
    """The files that a configuration is composed of, itself apart."""
    for name in yaml.safe_load(path.read_text()).get("parts", {}).values():
        part = (path.parent / name).resolve()
        yield part
        yield from parts_of(part)


def values_in(content: Any) -> Iterator[tuple[str, Any]]:
    """All keys with their values, at any depth."""
    if isinstance(content, list):
        for item in content:
            yield from values_in(item)
    elif isinstance(content, dict):
        for key, value in content.items():
            yield key, value
            yield from values_in(value)


def small_arguments(
    base: str,
    layers: Sequence[Path],
    manifest: Path,
    runs: Path,
    network: Mapping[str, str] = TINY_UNET,
) -> list[str]:
    """`lotus fit` of an experiment with layers on top: tiny, on one CPU, in this process."""
    arguments = tiny_arguments(base, manifest, runs, layers, network)
    is_distillation = base.startswith("distill")
    prefixes = [STUDENT, "--data.init_args.teacher.init_args"]
    for prefix in prefixes if is_distillation else ["--data.init_args"]:
        arguments += [f"{prefix}.num_workers", "0", f"{prefix}.cache", str(runs / "cache")]
    return [
        *(*arguments, "--trainer.max_epochs", "4", "--trainer.check_val_every_n_epoch", "2"),
        *("--trainer.devices", "1", "--trainer.strategy", "auto"),
    ]


def fit_test_predict(arguments: list[str], folder: Path) -> None:
    """Train four epochs into a run folder, then test and predict from what is in it."""
    assert main(arguments) == 0
    config = str(folder / "config.yaml")
    curves = pd.read_csv(folder / "metrics.csv")
    assert curves["epoch"].max() == 3
    assert {"train_loss", "val_loss", "val_dice"} <= set(curves.columns)

    assert main(["test", "--config", config]) == 0
    scores = pd.read_csv(folder / "scores.csv")
    names = list(scores["name"])
    assert len(names) == 3
    assert names[-1] == "mean"
    assert scores["dice"].between(0, 1).all()

    assert main(["predict", "--config", config]) == 0
    for part in ("predictions", "targets", "images", "predict/predictions"):
        assert sorted(path.stem for path in (folder / part).iterdir()) == names[:-1]


def test_every_yaml_file_is_tried():
    every = set(EXPERIMENTS.rglob("*.yaml"))
    parts = {part for path in every for part in parts_of(path)}
    tried = {LOTUS / f"{base}.yaml" for base, _ in PRESETS}
    tried |= {preset for _, preset in PRESETS}
    for layer in STUDENT_LAYERS:
        tried |= set(layers_over_the_student(*layer))
    for pattern, test in ELSEWHERE.items():
        text = (Path(__file__).parent / test).read_text()
        files = set(EXPERIMENTS.glob(pattern)) - parts
        assert [path for path in files if not is_named(path, text)] == [], test
        tried |= files
    assert tried | {part for path in tried for part in parts_of(path)} == every


def test_no_block_of_data_stands_twice():
    blocks = Counter(
        f"{key}: {json.dumps(value)}"
        for path in EXPERIMENTS.rglob("*.yaml")
        for key, value in values_in(yaml.safe_load(path.read_text()))
        if key in ("augmentation", "preprocessing")
    )
    assert any("SRMicroCTEnhancement" in block for block in blocks)
    assert [block for block, count in blocks.items() if count > 1] == []


def test_classes_are_named_by_the_path_that_their_package_exports():
    paths = [
        value
        for path in EXPERIMENTS.rglob("*.yaml")
        for key, value in values_in(yaml.safe_load(path.read_text()))
        if key == "class_path" and value.startswith(("lotus.", "data_modules."))
    ]
    assert "lotus.transforms.SRMicroCTEnhancement" in paths
    for path in paths:
        module, _, name = path.rpartition(".")
        package = ".".join(module.split(".")[:2])
        assert module == package or name not in import_module(package).__all__, path


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_the_second_phase_of_the_distillation_is_validated(preset):
    """However long γ goes on rising; the best checkpoint is one of that phase."""
    settings = composed(LOTUS / preset / "distill.yaml")
    epochs, every = (
        settings["trainer"].get(name, default)
        for name, default in (("max_epochs", None), ("check_val_every_n_epoch", 1))
    )
    validated = range(every - 1, epochs, every)
    assert validated[-1] >= settings["model"]["init_args"]["max_phase_one_epochs"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "preset"), PRESETS, ids=[f"{path.parent.name}/{path.stem}" for _, path in PRESETS]
)
def test_presets(base, preset, tiny_manifest, tiny_teacher, tmp_path):
    arguments = small_arguments(base, [preset], tiny_manifest, tmp_path)
    if base == "distill":
        arguments += ["--model.init_args.teacher", str(tiny_teacher)]
        arguments += ["--model.init_args.max_phase_one_epochs", "2"]
    folder = tmp_path / base / "tiny"
    fit_test_predict(arguments, folder)
    wanted = composed(preset)["trainer"].get("plugins")
    assert yaml.safe_load((folder / "config.yaml").read_text())["trainer"]["plugins"] == wanted


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), STUDENT_LAYERS)
def test_baselines_over_the_student(name, preset, tiny_manifest, tmp_path):
    layers = layers_over_the_student(name, preset)
    network = STUDENT_BASELINES[name]
    arguments = small_arguments("student", layers, tiny_manifest, tmp_path, network)
    folder = tmp_path / name / "tiny"
    fit_test_predict(arguments, folder)
    # The configuration of the network survives the way into the checkpoint and back.
    load_segmenter(folder / "checkpoints/best.ckpt", device="cpu")
