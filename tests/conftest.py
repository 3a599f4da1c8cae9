"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("tests.contracts")

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Jobs have threads of their own number, which by default spin on the cores while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


# Half a minute to two minutes each.
LONGEST = (
    *("test_diagnosis_recipes.py", "test_ray.py", "test_sweep.py", "test_study.py"),
    *("test_crossval.py", "test_distributed.py", "test_interruption.py", "test_job_commands.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that parallel workers come to their end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (rank.get(item.path.name, len(rank)), item.path not in slow))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Random tensors are the same in every run; a test without any does not load PyTorch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "README.md").is_file():
        pytest.skip(f"the real images are not here: no {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two modalities of ten patients: 48-px images with bright (H&E) or dark (CT) discs."""
    import numpy as np

    from data_modules.manifest import Record, write_manifest
    from lotus.imaging import write_image, write_label_map

    folder = tmp_path_factory.mktemp("tiny")
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :48]
    records = []
    for patient in range(10):
        for modality in ("histology", "sr_microct"):
            labels = np.zeros((48, 48), np.uint8)
            for number, (y, x) in enumerate(random.integers(8, 40, (4, 2)), start=1):
                labels[(rows - y) ** 2 + (columns - x) ** 2 < 25] = number
            grey = np.where(labels > 0, 60, 180) + random.integers(-30, 30, labels.shape)
            if modality == "histology":
                image = np.stack([grey, grey // 2, 255 - grey], axis=-1).astype(np.uint8)
            else:
                image = (grey / 255).astype(np.float32)
            name = f"{modality}_{patient}"
            write_image(folder / f"{name}.tif", image, (1.6, 1.6))
            write_label_map(folder / f"{name}_mask.tif", labels, (1.6, 1.6))
            records.append(
                Record(
                    image=folder / f"{name}.tif",
                    mask=folder / f"{name}_mask.tif",
                    mask_kind="instances",
                    modality=modality,
                    patient=f"P{patient}",
                    group="healthy" if patient % 2 else "osteoporotic",
                    pixel_size_um=1.6,
                )
            )
    write_manifest(folder / "manifest.csv", records)
    return folder / "manifest.csv"


# Studies whose methods need no more than a manifest of two modalities; the others have tests of
# their own, with all that leads to their tables.
FLAT_STUDIES = sorted(
    path
    for path in (Path(__file__).resolve().parents[1] / "experiments/studies").glob("*.yaml")
    if path.stem not in ("histomorphometry", "pretraining", "mga", "porosity", "porosity_staged")
)
TINY = [
    *("--trainer.accelerator", "cpu", "--trainer.max_epochs", "2"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
    *("--trainer.num_sanity_val_steps", "0"),
]
TINY_UNET = {"filters": "[4, 8]"}
STUDENT = "--data.init_args.student.init_args"


def tiny_arguments(
    experiment: str,
    manifest: Path,
    runs: Path,
    layers: Sequence[Path] = (),
    network: Mapping[str, str] = TINY_UNET,
) -> list[str]:
    """A shipped experiment, made small: 32-px crops, four filters, two epochs of two steps.

    ``layers`` are configurations on top of it, ``network`` arguments that make its network small.
    """
    repository = Path(__file__).resolve().parents[1]
    prefixes = ["--data.init_args"]
    if experiment.startswith("distill"):
        prefixes = [STUDENT, "--data.init_args.teacher.init_args"]
    data = [
        text
        for prefix in prefixes
        for text in (
            *(f"{prefix}.manifest", str(manifest), f"{prefix}.patch_size", "32"),
            *(f"{prefix}.batch_size", "2", f"{prefix}.samples_per_epoch", "4"),
            *(f"{prefix}.split_fractions", "[0.6, 0.2, 0.2]"),
        )
    ]
    return [
        *("fit", "--config", str(repository / f"experiments/lotus/{experiment}.yaml")),
        *(text for layer in layers for text in ("--config", str(layer))),
        *("--runs", str(runs), "--run", "tiny"),
        *TINY,
        *(
            text
            for name, value in network.items()
            for text in (f"--model.init_args.network.init_args.{name}", value)
        ),
        *data,
    ]


def parsed(arguments: Sequence[str]) -> tuple[Any, Any]:
    """The configuration that `lotus fit` makes of its arguments, and its parser."""
    from lotus.training.cli import parse
    from lotus.training.configuration import DataOnlyCLI

    cli = parse(DataOnlyCLI, list(arguments), run=False)
    return cli.config, cli.parser


def task_of(arguments: Sequence[str]) -> LightningModule:
    """The task that `lotus fit` would train."""
    from jsonargparse import Namespace

    config, parser = parsed(arguments)
    task: LightningModule = parser.instantiate_classes(Namespace(model=config.model)).model
    return task


@pytest.fixture(scope="session")
def tiny_teacher(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a histology teacher trained through the command line."""
    from lotus.cli import main

    runs = tmp_path_factory.mktemp("teacher")
    assert main(tiny_arguments("teacher", tiny_manifest, runs)) == 0
    return runs / "teacher/tiny/checkpoints/best.ckpt"
