"""What was run, on what, with which data: kept in the run folder."""

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from lotus.atomic import atomic_path
from lotus.callbacks.best_checkpoint import BestCheckpoint
from lotus.runs import RunFolder
from lotus.runs.charts import write_charts
from lotus.runs.contents import holds_phantoms, values_of
from lotus.runs.invocations import Invocation, Status, read_invocations

PACKAGES = ("lotus-bone", "torch", "pytorch-lightning", "monai", "numpy")


class RunRecord(pl.Callback):
    """Write environment.json and what data and task say of themselves into the run folder.

    environment.json holds versions, device, git commit and, under `invocations`, one entry per
    command that worked in the folder (a fit, its resumption, a test), with start, duration and
    how it ended: `running`, `finished`, `interrupted` or `failed`; of a fit also from which epoch
    and phase its best checkpoint is. data.json and splits.json come
    from the data module's `summary()` and `write_splits(path)` where it has them; a test does not
    replace those of the training it tests. charts.json comes from the task's `charts()`, and
    model.json, of a fit, from its `summary()`.
    """

    def __init__(self) -> None:
        self._entry: Invocation | None = None
        self._earlier: list[Invocation] = []
        self._begun = 0.0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Record the start of a fit or test."""
        if stage not in ("fit", "test") or not trainer.is_global_zero:
            return
        self._begun = time.monotonic()
        environment = RunFolder(Path(trainer.default_root_dir)).environment
        self._earlier = read_invocations(environment)
        self._entry = {
            "stage": stage,
            "command": command_line(),
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "status": "running",
            "duration_s": None,
        }
        self._write_environment(trainer)
        self._write_data(trainer, replace=stage == "fit")
        task: Any = pl_module
        if hasattr(task, "charts"):
            write_charts(RunFolder(Path(trainer.default_root_dir)).charts, task.charts())

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record what the task, now set up, says of its network."""
        task: Any = pl_module
        summary = task.summary() if hasattr(task, "summary") else {}
        if summary and trainer.is_global_zero:
            _write_json(RunFolder(Path(trainer.default_root_dir)).model, summary)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Record that the stage came to its end."""
        self._end(trainer, "finished")

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Record an interruption or failure."""
        stopped = isinstance(exception, KeyboardInterrupt | SystemExit)
        self._end(trainer, "interrupted" if stopped else "failed")

    def _end(self, trainer: pl.Trainer, status: Status) -> None:
        if self._entry is None or self._entry["status"] != "running":
            return
        self._entry["status"] = status
        self._entry["duration_s"] = round(time.monotonic() - self._begun, 3)
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, BestCheckpoint) and callback.origin is not None:
                self._entry["best"] = callback.origin
        self._write_environment(trainer)

    def _write_environment(self, trainer: pl.Trainer) -> None:
        content = {
            "versions": package_versions(),
            "platform": platform.platform(),
            "device": device_name(trainer.strategy.root_device),
            "processes": trainer.world_size,
            "cpu_threads": torch.get_num_threads(),
            "precision": str(trainer.precision),
            **git_state(Path.cwd()),
            "working_directory": str(Path.cwd()),
            "invocations": [*self._earlier, self._entry],
        }
        _write_json(RunFolder(Path(trainer.default_root_dir)).environment, content)

    def _write_data(self, trainer: pl.Trainer, replace: bool) -> None:
        run = RunFolder(Path(trainer.default_root_dir))
        datamodule: Any = getattr(trainer, "datamodule", None)
        if hasattr(datamodule, "write_splits") and (replace or not run.splits.exists()):
            datamodule.write_splits(run.splits)
        if hasattr(datamodule, "summary") and (replace or not run.data.exists()):
            summary = dict(datamodule.summary())
            summary.setdefault("phantom", _from_phantoms(summary))
            _write_json(run.data, summary)


def command_line() -> str:
    """The command of this process as it would be typed, without the folder of the program."""
    program, *arguments = sys.argv
    return shlex.join([Path(program).name, *arguments])


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages a result depends on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def device_name(device: torch.device) -> str:
    """Name of a GPU as its driver gives it, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name} ({os.cpu_count()} cores)"


def git_state(folder: Path) -> dict[str, str | bool | None]:
    """Commit of the checkout a folder is in, and whether tracked files differ from it.

    Both are None outside a checkout, or where git is not installed.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = None if commit is None else _git(folder, "status", "--porcelain", "-uno")
    return {
        "git_commit": commit,
        "git_uncommitted_changes": None if changes is None else bool(changes),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _from_phantoms(summary: Mapping[str, object]) -> bool:
    """Whether a manifest named in a summary is that of a phantom."""
    return any(holds_phantoms(Path(found).parent) for found in values_of("manifest", summary))


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
