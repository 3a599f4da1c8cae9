"""Reading what a run folder holds, and saying what it lacks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lotus.evaluation.folders import read_score_table

SIGNS_OF_A_RUN = ("config.yaml", "environment.json", "metrics.csv", "scores.csv")


@dataclass(frozen=True)
class RunFolder:
    """The readable contents of `runs/<experiment>/<run>/`; an absent or damaged file is None.

    Attributes:
        path: The folder, absolute.
        config: Resolved configuration of config.yaml.
        config_text: The same as text.
        environment: environment.json, as written by `lotus.callbacks.RunRecord`.
        splits: splits.json.
        data: data.json, the data module's summary.
        metrics: metrics.csv, one row per epoch.
        scores: scores.csv without its mean row.
        missing: File name to the reason why its contents are not available.
    """

    path: Path
    config: dict[str, Any] | None
    config_text: str | None
    environment: dict[str, Any] | None
    splits: dict[str, Any] | None
    data: dict[str, Any] | None
    metrics: pd.DataFrame | None
    scores: pd.DataFrame | None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Experiment and run, from the names of the folder and its parent."""
        return f"{self.path.parent.name} / {self.path.name}"


def read_run(path: Path) -> RunFolder:
    """Read a run folder; absent and damaged files are named in `missing`.

    Raises:
        ValueError: If the folder does not exist or holds nothing that a run writes.
    """
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder; give a run folder, runs/<experiment>/<run>")
    if not any((path / name).is_file() for name in SIGNS_OF_A_RUN):
        expected = ", ".join(SIGNS_OF_A_RUN)
        raise ValueError(f"{path}: not a run folder; it holds none of {expected}")
    missing: dict[str, str] = {}

    def read(name: str, parse: Callable[[Path], Any]) -> Any:
        if not (path / name).is_file():
            missing[name] = f"{name} is not in the run folder"
            return None
        try:
            return parse(path / name)
        except (ValueError, OSError, yaml.YAMLError) as error:
            missing[name] = f"{name} cannot be read ({str(error).splitlines()[0]})"
            return None

    return RunFolder(
        path=path.resolve(),
        config=read("config.yaml", _read_config),
        config_text=read("config.yaml", lambda file: file.read_text(encoding="utf-8")),
        environment=read("environment.json", _read_json),
        splits=read("splits.json", _read_json),
        data=read("data.json", _read_json),
        metrics=read("metrics.csv", read_metrics),
        scores=read("scores.csv", read_scores),
        missing=missing,
    )


def read_metrics(path: Path) -> pd.DataFrame:
    """Read a CSVLogger file into one row per epoch.

    The logger writes one row per call, each with some of the columns; a learning rate comes without
    an epoch, just before the rows of the epoch it belongs to.

    Returns:
        Frame indexed by epoch; a column's mean over the rows of an epoch, NaN where never logged.

    Raises:
        ValueError: If the file has no column `epoch`.
    """
    frame = pd.read_csv(path)
    if "epoch" not in frame:
        raise ValueError(f"found no column epoch, but {', '.join(map(str, frame.columns))}")
    frame["epoch"] = frame["epoch"].bfill().ffill()
    numeric = frame.apply(pd.to_numeric, errors="coerce")
    means: pd.DataFrame = numeric.groupby("epoch").mean()
    return means


def read_scores(path: Path) -> pd.DataFrame:
    """Read an evaluation CSV into one row per image, without the closing mean row.

    Raises:
        ValueError: If it is damaged or there is no image.
    """
    scores = read_score_table(path).iloc[:-1]
    if scores.empty:
        raise ValueError("found no image")
    return scores


def manifest_folders(run: RunFolder) -> list[Path]:
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


def contact_sheets(run: RunFolder) -> list[Path]:
    """Contact sheets of the phantoms that this run used, each beside its manifest."""
    sheets = [folder / "contact_sheet.png" for folder in manifest_folders(run)]
    return [sheet for sheet in sheets if sheet.is_file()]


def is_phantom(run: RunFolder) -> bool:
    """Whether any of the data are phantoms.

    The run's own record counts (`phantom` in data.json); without it, what lies beside the manifest.
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
