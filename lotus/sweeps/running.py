"""Running the trials of a sweep on an engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from lotus.engines import Engine, Job, RayEngine
from lotus.sweeps.schema import Sweep
from lotus.sweeps.sources import TrialSource
from lotus.sweeps.trial import Trial
from lotus.sweeps.tune import run_with_tune


def runner_of(sweep: Sweep, engine: Engine) -> Callable[[TrialSource, Path], None]:
    """What runs the trials of a source, in the folder of their sweep.

    Args:
        sweep: What is searched, and how.
        engine: Where trials run.

    Raises:
        ValueError: A search in which the engine cannot learn from earlier trials.
    """
    if isinstance(engine, RayEngine):
        return partial(run_with_tune, sweep, engine)
    if sweep.method == "bayes":
        raise ValueError("method: bayes needs --engine ray; grid and random run here")
    return partial(_run_to_the_end, sweep, engine)


def _run_to_the_end(sweep: Sweep, engine: Engine, source: TrialSource, _: Path) -> None:
    """Every trial of a list; none ends early."""
    if sweep.early_terminate is not None:
        print("early_terminate needs --engine ray: every trial is trained to its end")
    trials: dict[Path, Trial] = {trial.folder: trial for trial in source.trials}

    def look(job: Job) -> None:
        trials[job.folder].refuse_without(sweep.metric)

    engine.run(source.trials, on_end=look)
