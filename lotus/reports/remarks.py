"""What a reader of a run's scores has to know before believing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lotus.runs.contents import RunContents, values_of


def warnings_of(run: RunContents) -> list[str]:
    """What stands in the way of the scores of a run, as its folder shows it.

    Args:
        run: The contents of the folder.

    Returns:
        One sentence each: how the training ended, from which phase its checkpoint is, whether the
        scores are of it, what was not found, whether groups are the true ones, and what the code
        was.
    """
    environment = run.environment or {}
    entries = environment.get("invocations", [])
    found = [*_of_the_training(entries), *_of_the_order(entries)]
    if run.scores is not None:
        found += _of_the_scores(run.scores)
    for seed in values_of("shuffled_groups", run.data):
        found.append(
            f"The groups of the patients were shuffled (seed {seed}): a negative control, whose "
            "scores are to be those of chance."
        )
    if environment.get("git_uncommitted_changes"):
        found.append("The checkout had uncommitted changes: its commit is not all that was run.")
    return found


def _of_the_training(entries: list[Mapping[str, Any]]) -> list[str]:
    fits = [entry for entry in entries if entry.get("stage") == "fit"]
    if not fits:
        return []
    found = []
    status = fits[-1].get("status", "unknown")
    if status != "finished":
        found.append(f"The training has not come to its end: it is {status}.")
    best = fits[-1].get("best")
    if best is not None and best["phase"] < best["phases"]:
        found.append(
            f"The best checkpoint is of phase {best['phase']} of {best['phases']}: what acts in "
            "the last one has no part in the scores."
        )
    return found


def _of_the_order(entries: list[Mapping[str, Any]]) -> list[str]:
    stages = [str(entry.get("stage")) for entry in entries]
    since_test = stages[::-1].index("test") if "test" in stages else 0
    if "fit" in stages[len(stages) - since_test :]:
        return ["The training went on after the test: the scores are of an earlier checkpoint."]
    return []


def _of_the_scores(scores: pd.DataFrame) -> list[str]:
    if not {"n_true", "n_pred"} <= {*scores}:
        return []
    missed = int(((scores["n_true"] > 0) & (scores["n_pred"] == 0)).sum())
    invented = int(((scores["n_true"] == 0) & (scores["n_pred"] > 0)).sum())
    found = []
    if missed:
        found.append(f"Images with objects in which none was found: {missed} of {len(scores)}.")
    if invented:
        found.append(f"Images without objects in which some were found: {invented}.")
    return found
