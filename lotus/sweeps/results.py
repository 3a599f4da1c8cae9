"""What a sweep found: a table of its trials, and the best one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lotus.atomic import atomic_path
from lotus.sweeps.schema import Sweep
from lotus.sweeps.trial import Trial


def write_results(sweep: Sweep, trials: Sequence[Trial], path: Path) -> Trial | None:
    """Write one row per trial: name, parameters, best validation value, its epoch, state.

    Args:
        sweep: What was searched.
        trials: All of them.
        path: CSV file to write.

    Returns:
        The trial with the best value; None if none was validated.
    """
    rows, scored = [], []
    for trial in trials:
        found = trial.best(sweep)
        epoch, value = found or (None, float("nan"))
        rows.append(
            {
                "trial": trial.name,
                **trial.parameters,
                sweep.metric: value,
                "epoch": epoch,
                "state": trial.state,
            }
        )
        if found is not None:
            scored.append((value, trial))
    table = pd.DataFrame(rows)
    table["epoch"] = table["epoch"].astype("Int64")
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    if not scored:
        return None
    return (max if sweep.maximize else min)(scored, key=lambda pair: pair[0])[1]
