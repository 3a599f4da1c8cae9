"""Scores of one method trained with several seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lotus.runs import RunFolder
from lotus.runs.scores import MEAN, read_scores, write_scores


def score_seeds(runs: Mapping[int, RunFolder], output: Path) -> int:
    """Bring the scores of several runs together.

    Writes the scores of all images of all seeds, with a column ``seed``, and the seed scores: one
    row per seed with its means, then ``mean`` and ``sd`` over the seeds.

    Args:
        runs: The tested run of each seed.
        output: Folder of the two tables.

    Returns:
        Number of rows of the first.

    Raises:
        FileNotFoundError: A run has no scores.
        ValueError: A table of scores is damaged, or the runs were scored on different images.
    """
    tables = {seed: read_scores(run.scores) for seed, run in runs.items()}
    first, expected = next(iter(tables.items()))
    for seed, table in tables.items():
        for name in sorted(set(table.index) ^ set(expected.index)):
            there, absent = (first, seed) if name in expected.index else (seed, first)
            raise ValueError(
                f"image {name} was tested with seed {there} and not with seed {absent}: the split "
                "depends on the seed; give the data a split column or a seed of their own"
            )
    rows = pd.concat([table.reset_index().assign(seed=seed) for seed, table in tables.items()])
    means = rows.drop(columns=["name", "patient"], errors="ignore").groupby("seed").mean()
    spread = pd.DataFrame({"mean": means.mean(), "sd": means.std(ddof=1)}).T
    per_seed = pd.concat([means, spread]).rename_axis("seed").reset_index()
    average = {**means.mean().to_dict(), "name": MEAN, "patient": ""}
    if "undefined" in rows:
        average["undefined"] = rows["undefined"].sum()
    whole = pd.DataFrame([average])
    run = RunFolder(output)
    write_scores(pd.concat([rows, whole])[rows.columns], run.scores)
    write_scores(per_seed, run.seed_scores)
    return len(rows)
