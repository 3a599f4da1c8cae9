"""Reading what a run folder holds, and saying what it lacks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lotus.runs.charts import Chart, read_charts
from lotus.runs.classified import read_classified
from lotus.runs.convergence import Convergence, read_convergence
from lotus.runs.curves import read_epochs
from lotus.runs.layout import RunFolder
from lotus.runs.scores import read_scores

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunContents:
    """The readable contents of a run folder; of a file that is absent or damaged, None.

    Attributes:
        folder: Its names, with an absolute path.
        config: The resolved configuration.
        config_text: The same as text.
        environment: Versions, device, commit and invocations.
        splits: The patients of every split.
        data: The data module's summary.
        model: The task's summary of its network; None of tasks that say nothing.
        curves: One row per epoch.
        charts: Which curves belong into one picture; none of a run of version 0.1.
        scores: One row per image, or patch.
        classified: The probabilities of every patch; None where the run is of no classifier.
        convergence: How a training with a stopping rule ended; None of one without.
        missing: Name of an attribute to the reason why it is None.
    """

    folder: RunFolder
    config: Mapping[str, Any] | None
    config_text: str | None
    environment: Mapping[str, Any] | None
    splits: Mapping[str, Any] | None
    data: Mapping[str, Any] | None
    model: Mapping[str, Any] | None
    curves: pd.DataFrame | None
    charts: list[Chart] | None
    scores: pd.DataFrame | None
    classified: pd.DataFrame | None
    convergence: Convergence | None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Experiment and run, from the names of the folder and its parent."""
        return f"{self.folder.path.parent.name} / {self.folder.path.name}"


def read_run(path: Path) -> RunContents:
    """Read a run folder; absent and damaged files are named in `missing`.

    Raises:
        ValueError: If the folder does not exist or holds nothing that a run writes.
    """
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder; give a run folder, runs/<experiment>/<run>")
    run = RunFolder(path)
    signs = (run.config, run.environment, run.curves, run.scores)
    if not any(sign.is_file() for sign in signs):
        expected = ", ".join(sign.name for sign in signs)
        raise ValueError(f"{path}: not a run folder; it holds none of {expected}")
    missing: dict[str, str] = {}

    def read(attribute: str, file: Path, parse: Callable[[Path], Any]) -> Any:
        if not file.is_file():
            missing[attribute] = f"{file.name} is not in the run folder"
            return None
        try:
            return parse(file)
        except (ValueError, OSError, yaml.YAMLError) as error:
            missing[attribute] = f"{file.name} cannot be read ({str(error).splitlines()[0]})"
            return None

    return RunContents(
        folder=RunFolder(path.resolve()),
        config=read("config", run.config, _read_config),
        config_text=read("config", run.config, lambda file: file.read_text(encoding="utf-8")),
        environment=read("environment", run.environment, _read_json),
        splits=read("splits", run.splits, _read_json),
        data=read("data", run.data, _read_json),
        # Only some tasks leave these.
        model=read("model", run.model, _read_json) if run.model.is_file() else None,
        curves=read("curves", run.curves, read_epochs),
        charts=read("charts", run.charts, read_charts),
        scores=read("scores", run.scores, lambda file: read_scores(file).reset_index()),
        classified=(
            read("classified", run.classified, read_classified)
            if run.classified.is_file()
            else None
        ),
        convergence=(
            read("convergence", run.convergence, read_convergence)
            if run.convergence.is_file()
            else None
        ),
        missing=missing,
    )


def manifest_folders(run: RunContents) -> list[Path]:
    """Folders of the manifests named in the configuration that can be reached from here.

    Relative paths are taken from where the run was started, or from the current folder.
    """
    starts = [Path.cwd()]
    if run.environment and run.environment.get("working_directory"):
        starts.insert(0, Path(run.environment["working_directory"]))
    folders: dict[Path, None] = {}
    for value in values_of("manifest", [run.data, run.config]):
        file = next((start / value for start in starts if (start / value).is_file()), None)
        if file is not None:
            folders[file.resolve().parent] = None
    return list(folders)


def contact_sheets(run: RunContents) -> list[Path]:
    """Contact sheets of the phantoms that this run used, each beside its manifest."""
    sheets = [folder / "contact_sheet.png" for folder in manifest_folders(run)]
    return [sheet for sheet in sheets if sheet.is_file()]


def is_phantom(run: RunContents) -> bool:
    """Whether any of the data are phantoms.

    The run's own record counts (`phantom` in its data); without it, what lies beside the manifest.
    """
    said = list(values_of("phantom", run.data))
    if said:
        return any(said)
    return any(holds_phantoms(folder) for folder in manifest_folders(run))


def holds_phantoms(folder: Path) -> bool:
    """Whether a manifest's folder is that of a phantom: it, or a folder in it, has a truth.csv."""
    return (folder / "truth.csv").is_file() or any(folder.glob("*/truth.csv"))


def values_of(key: str, tree: Any) -> Iterator[Any]:
    """Every value stored under a key and not None, at any depth of nested dicts and lists."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key and value is not None:
                yield value
            yield from values_of(key, value)
    elif isinstance(tree, list):
        for value in tree:
            yield from values_of(key, value)


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"found a {type(content).__name__}, expected an object")
    return content


def _read_config(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"found a {type(content).__name__}, expected a mapping")
    return content
