"""Trials on Ray Tune, some of which end early."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lotus.engines import JobFailed, RayEngine
from lotus.engines.cluster import Workplace, connected, workplace
from lotus.engines.process import read_curve, run_job
from lotus.sweeps.schema import Sweep
from lotus.sweeps.sources import TrialSource
from lotus.sweeps.trial import Trial

NEVER = 10**9
EPOCHS = "validated_epochs"


def run_with_tune(
    sweep: Sweep,
    source: TrialSource,
    folder: Path,
    engine: RayEngine,
    notify: Callable[[str], None] = print,
) -> None:
    """Run the trials of a source; `early_terminate` is asynchronous successive halving (ASHA).

    Args:
        sweep: Metric, and which trials end early.
        source: Of trials.
        folder: Of the sweep; all machines must see it.
        engine: Where trials run, and what they need.
        notify: Gets a line when a trial starts and ends.

    Raises:
        JobFailed: After all others were run, if trials failed; names each and its reason.
        ConnectionError: There is no cluster at the engine's address.
    """
    # A trial that fails before its first validation has no score.
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    demands = {"cpu": engine.cpus_per_job, "gpu": engine.gpus_per_job}
    place_of = workplace([folder / "trial"], engine.cpus_per_job, engine.gpus_per_job)
    storage = folder.resolve() / ".tune"
    with connected(engine.address), place_of as place:
        from ray import tune

        engine.look_for_room(notify)
        search = _search(sweep, source, notify)
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(_work, sweep=sweep, place=place), demands),
            tune_config=tune.TuneConfig(
                metric=sweep.metric,
                mode="max" if sweep.maximize else "min",
                search_alg=search,
                scheduler=_scheduler(sweep),
                num_samples=-1,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(storage),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=engine.retries),
            ),
        )
        try:
            tuner.fit()
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    if search.failed:
        raise JobFailed(f"{len(search.failed)} trials failed: {'; '.join(search.failed)}")


def _work(config: dict[str, Any], sweep: Sweep, place: Workplace) -> None:
    """A trial on a worker; reports each validation as soon as it is in metrics.csv."""
    from ray import tune

    trial: Trial = config["trial"]
    reported = -1

    def report() -> None:
        nonlocal reported
        for epoch, value in sorted(read_curve(trial.folder / "metrics.csv", sweep.metric).items()):
            if epoch > reported:
                reported = epoch
                tune.report({sweep.metric: value, EPOCHS: epoch + 1})

    try:
        for _ in run_job(trial, place.enter(), report):
            pass
        report()
    except JobFailed as failure:
        tune.report({"failure": str(failure)})


def _scheduler(sweep: Sweep) -> Any:
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    if sweep.early_terminate is None:
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr=EPOCHS,
        grace_period=sweep.early_terminate.min_iter,
        reduction_factor=sweep.early_terminate.eta,
        max_t=NEVER,
    )


def _search(sweep: Sweep, source: TrialSource, notify: Callable[[str], None]) -> Any:
    """What gives Tune its trials, and hears of their ends."""
    from ray.tune.search import Searcher

    class Search(Searcher):  # type: ignore[misc]
        """Tune's interface to a source of trials."""

        def __init__(self) -> None:
            super().__init__(metric=sweep.metric, mode="max" if sweep.maximize else "min")
            self.trials: dict[str, Trial] = {}
            self.failed: list[str] = []

        def suggest(self, trial_id: str) -> Any:
            trial = source.next()
            if trial is None:
                return Searcher.FINISHED
            trial.record()
            self.trials[trial_id] = trial
            notify(f"{trial.name}: {trial.parameters}")
            return {"trial": trial}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            trial = self.trials.pop(trial_id)
            failure = (result or {}).get("failure", "lost its workers" if error else None)
            if failure is None and not trial.is_finished:
                trial.record(stopped=True)
            if failure is not None:
                self.failed.append(f"{trial.folder}: {failure}")
            best = trial.best(sweep)
            source.tell(trial, None if failure or best is None else best[1])
            score = "" if best is None else f", {sweep.metric} {best[1]:.4g} at epoch {best[0]}"
            notify(f"{trial.name}: {f'failed: {failure}' if failure else trial.state}{score}")

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the trials' folders hold all of it."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing."""

    return Search()
