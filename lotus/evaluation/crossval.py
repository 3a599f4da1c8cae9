"""Out-of-fold predictions of a cross-validation, and their scores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import yaml

from lotus.atomic import atomic_path
from lotus.evaluation.folders import common_pixel_size, evaluate_folders
from lotus.imaging.raster import read_label_map
from lotus.runs import RunFolder
from lotus.runs.class_maps import CLASS_MAPS, read_class_maps, write_class_maps
from lotus.runs.scores import MEAN, add_patients, read_scores, with_means, write_scores


def gather_folds(folds: Mapping[Path, set[str]], output: Path) -> dict[str, int]:
    """Bring the predictions of all folds together.

    Args:
        folds: The run folder of each fold, in order, and the names of the images it tests.
        output: Run folder that gets predictions, targets and images, and class maps where all
            folds have them; what is there is replaced.

    Returns:
        The number of the fold that predicted each image.

    Raises:
        ValueError: A fold did not predict all its images, or others, one of its files is missing
            or cannot be read, or an image is in two folds.
    """
    fold_of: dict[str, int] = {}
    for number, (folder, expected) in enumerate(folds.items()):
        _check_fold(folder, expected)
        for name in sorted(expected & fold_of.keys()):
            raise ValueError(f"{name} is tested by fold {fold_of[name]} and by fold {number}")
        fold_of |= dict.fromkeys(sorted(expected), number)
    run = RunFolder(output)
    gathered = {**run.patterns}
    # A network of several classes has class maps in every fold.
    if all(RunFolder(folder).classes.is_dir() for folder in folds):
        gathered[run.classes] = "*.tif"
    for place, pattern in gathered.items():
        place.mkdir(parents=True, exist_ok=True)
        for path in place.iterdir():
            path.unlink()
        for folder in folds:
            for path in sorted((folder / place.name).glob(pattern)):
                _link(path, place / path.name)
    _gather_class_maps([RunFolder(folder) for folder in folds], run)
    return fold_of


def _gather_class_maps(folds: Sequence[RunFolder], output: RunFolder) -> None:
    """One table of what class maps mean, where the folds have such tables."""
    if not all((fold.predictions / CLASS_MAPS).is_file() for fold in folds):
        return
    maps = [
        replace(
            each,
            image=output.images / each.image.name,
            labels=output.predictions / each.labels.name,
        )
        for fold in folds
        for each in read_class_maps(fold.predictions)
    ]
    write_class_maps(output.predictions, sorted(maps, key=lambda each: each.image.name))


def score_folds(
    output: Path, fold_of: Mapping[str, int], patients: Mapping[str, str], processes: int = 1
) -> None:
    """Score the gathered predictions, pooled and per fold.

    Writes the scores, with columns ``fold`` and ``patient`` after those of `lotus evaluate` and a
    last row with the means over all images, and the fold scores: one row per fold with its means,
    then ``mean`` and ``sd`` over the folds.

    Args:
        output: The folder of :func:`gather_folds`.
        fold_of: What it returned.
        patients: The patient of each image.
        processes: Score in up to this many processes, where there are enough images.
    """
    run = RunFolder(output)
    scores = evaluate_folders(
        run.predictions,
        run.targets,
        kind="instances",
        pixel_size_um=common_pixel_size(run.targets),
        processes=processes,
    )
    _write(run, scores, fold_of, patients)


def score_their_own(
    output: Path, folds: Sequence[Path], fold_of: Mapping[str, int], patients: Mapping[str, str]
) -> None:
    """Bring the scores together that the folds' own tests gave, of maps that hold no objects.

    Writes the tables of :func:`score_folds`, and the scores of every domain in every fold where the
    folds have them.

    Args:
        output: The folder of :func:`gather_folds`.
        folds: The tested run of each fold.
        fold_of: What it returned.
        patients: The patient of each image.
    """
    tables = [read_scores(RunFolder(folder).scores).reset_index() for folder in folds]
    scores = pd.concat(tables).drop(columns="patient", errors="ignore").sort_values("name")
    _gather_domains([RunFolder(folder).domain_scores for folder in folds], RunFolder(output))
    _write(RunFolder(output), with_means(scores), fold_of, patients)


def _gather_domains(tables: Sequence[Path], output: RunFolder) -> None:
    """The scores of domains in every fold, where the runs are of several domains."""
    if not all(path.is_file() for path in tables):
        return
    every = [pd.read_csv(path).assign(fold=number) for number, path in enumerate(tables)]
    with atomic_path(output.domain_scores) as temporary:
        pd.concat(every).to_csv(temporary, index=False, float_format="%.10g")


def have_objects(folds: Sequence[Path]) -> bool:
    """Whether tests of folds scored objects; tests of class maps score those, and count none.

    Args:
        folds: Run folders; without scores, as of other programs, they are of objects.
    """
    runs = [RunFolder(folder) for folder in folds]
    return any(not run.scores.is_file() or "n_true" in read_scores(run.scores) for run in runs)


def _write(
    run: RunFolder,
    scores: pd.DataFrame,
    fold_of: Mapping[str, int],
    patients: Mapping[str, str],
) -> None:
    """Scores by image and by fold."""
    scores["fold"] = scores["name"].map(fold_of).astype("Int64")
    scores = add_patients(scores, patients)
    write_scores(scores, run.scores)
    images = scores[scores["name"] != MEAN].drop(columns=["name", "patient"])
    grouped = images.groupby("fold")
    per_fold = grouped.mean()
    if "undefined" in images:
        per_fold["undefined"] = grouped["undefined"].sum()
    per_fold.insert(0, "images", grouped.size())
    spread = pd.DataFrame({"mean": per_fold.mean(), "sd": per_fold.std(ddof=1)}).T
    table = pd.concat([per_fold.astype(float), spread]).rename_axis("fold").reset_index()
    write_scores(table, run.fold_scores)


def _check_fold(folder: Path, expected: set[str]) -> None:
    """Make sure that a fold has the files of its test images, and says how it was trained."""
    remedy = "remove the folder to run the fold again"
    run = RunFolder(folder)
    absent = {run.predictions: "was not predicted", run.targets: "has no target"}
    for place, pattern in run.patterns.items():
        files = {path.stem: path for path in place.glob(pattern)}
        for name in sorted(files.keys() ^ expected):
            state = absent.get(place, f"is not in {place.name}")
            state = state if name in expected else "is not one of its test images"
            raise ValueError(f"{folder}: {name} {state}; {remedy}")
        for path in files.values() if pattern == "*.tif" else ():
            try:
                read_label_map(path)
            except ValueError as error:
                raise ValueError(f"{folder}: {error}; {remedy}") from error
    # Folds that nnU-Net trained have neither.
    for path in (run.config, run.splits):
        if path.exists() and not _is_mapping(path):
            raise ValueError(f"{folder}: {path.name} is damaged; {remedy}")


def _is_mapping(path: Path) -> bool:
    """Whether a YAML or JSON file can be read, as far as a file that was cut can be told."""
    try:
        return isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
    except (yaml.YAMLError, ValueError):
        return False


def _link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
