"""Classified patches of several trainings in one table: of all folds, or of all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lotus.evaluation.classification import classification_scores
from lotus.runs import RunFolder
from lotus.runs.classified import groups_of, read_classified, write_classified
from lotus.runs.scores import MEAN, add_patients, write_scores


def gather_classified_folds(folds: Mapping[Path, Mapping[str, str]], output: Path) -> int:
    """Bring the classified patches of all folds together, and score them.

    Writes the patches with a column ``fold``, the scores (whether each patch is right), and the
    fold scores: one row per fold with its scores at the level of patches, then ``mean`` and ``sd``
    over the folds.

    Args:
        folds: The run folder of each fold, in order, and the patient of every slice that it tests.
        output: Folder of the three tables.

    Returns:
        Number of patches.

    Raises:
        FileNotFoundError: A fold has no classified patches.
        ValueError: A fold classified a slice or a patient that it does not test, or none of a
            patient that it tests, or other groups than the first fold.
    """
    tables = _tables([RunFolder(folder) for folder in folds])
    for (folder, expected), table in zip(folds.items(), tables, strict=True):
        _check_fold(folder, table, expected)
    tables = [table.assign(fold=number) for number, table in enumerate(tables)]
    whole = pd.concat(tables, ignore_index=True)
    run = RunFolder(output)
    write_classified(whole, run.classified)
    write_scores(_with_mean(whole, "fold"), run.scores)
    each = [{"patches": len(own), **classification_scores(own)} for own in tables]
    write_scores(_with_spread(pd.DataFrame(each), "fold"), run.fold_scores)
    return len(whole)


def gather_classified_seeds(runs: Mapping[int, RunFolder], output: Path) -> int:
    """Bring the classified patches of several seeds together, and score them.

    Writes the patches with a column ``seed``, the scores likewise, and the seed scores: one row
    per seed with its scores at the level of patches, then ``mean`` and ``sd`` over the seeds.

    Args:
        runs: The tested run of each seed.
        output: Folder of the three tables.

    Returns:
        Number of patches, over all seeds.

    Raises:
        FileNotFoundError: A run has no classified patches.
        ValueError: The seeds classified different patches, or other groups.
    """
    tables = _tables([*runs.values()])
    names = {seed: set(table["name"]) for seed, table in zip(runs, tables, strict=True)}
    first = next(iter(runs))
    for seed in runs:
        for name in sorted(names[seed] ^ names[first]):
            there, absent = (seed, first) if name in names[seed] else (first, seed)
            raise ValueError(
                f"patch {name} was tested with seed {there} and not with seed {absent}: the split "
                "depends on the seed; give the data a split column or a seed of their own"
            )
    tables = [table.assign(seed=seed) for seed, table in zip(runs, tables, strict=True)]
    whole = pd.concat(tables, ignore_index=True)
    run = RunFolder(output)
    write_classified(whole, run.classified)
    write_scores(_with_mean(whole, "seed"), run.scores)
    each = [{"patches": len(own), **classification_scores(own)} for own in tables]
    write_scores(_with_spread(pd.DataFrame(each, index=[*runs]), "seed"), run.seed_scores)
    return len(whole)


def _tables(runs: Sequence[RunFolder]) -> list[pd.DataFrame]:
    """The classified patches of every run, which tell the same groups apart."""
    tables = [read_classified(run.classified) for run in runs]
    expected = groups_of(tables[0])
    for run, table in zip(runs, tables, strict=True):
        if groups_of(table) != expected:
            found, first = ", ".join(groups_of(table)), ", ".join(expected)
            raise ValueError(f"{run.path} tells apart {found}, and {runs[0].path} {first}")
    return tables


def _check_fold(folder: Path, table: pd.DataFrame, expected: Mapping[str, str]) -> None:
    """Make sure that a fold classified patches of just the patients that it tests."""
    remedy = "remove the folder to run the fold again"
    for name, patient in dict(zip(table["slice"], table["patient"], strict=True)).items():
        if name not in expected:
            raise ValueError(f"{folder}: {name} is not one of its test images; {remedy}")
        if expected[name] != patient:
            raise ValueError(
                f"{folder}: {name} is of patient {patient}, and now of {expected[name]}; {remedy}"
            )
    for patient in sorted(set(expected.values()) - set(table["patient"])):
        raise ValueError(f"{folder}: no patch of patient {patient} was classified; {remedy}")


def _with_mean(whole: pd.DataFrame, by: str) -> pd.DataFrame:
    """Whether each patch is right, with a last row of means."""
    right = (whole["group"] == whole["predicted"]).astype(float)
    scores = pd.DataFrame({"name": whole["name"], "accuracy": right, by: whole[by].astype(float)})
    mean = pd.DataFrame([{"name": MEAN, "accuracy": right.mean()}])
    patients = dict(zip(whole["name"], whole["patient"], strict=True))
    return add_patients(pd.concat([scores, mean], ignore_index=True), patients)


def _with_spread(each: pd.DataFrame, by: str) -> pd.DataFrame:
    spread = pd.DataFrame({"mean": each.mean(), "sd": each.std(ddof=1)}).T
    return pd.concat([each.astype(float), spread]).rename_axis(by).reset_index()
