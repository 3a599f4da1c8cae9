"""Trials on Ray Tune, some of which end early."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lotus.engines import JobFailed, RayEngine
from lotus.engines.cluster import Lifeline, Workplace, connected, workplace
from lotus.engines.job_commands import run_job
from lotus.engines.wandb_server import go_offline_without_server
from lotus.runs import RunFolder
from lotus.runs.curves import read_curve
from lotus.sweeps.schema import Sweep
from lotus.sweeps.sources import TrialSource
from lotus.sweeps.trial import Trial

NEVER = 10**9
VALIDATIONS = "validations"


class _Left(BaseException):
    """Tune is left at once; on an `Exception` it would first wait for machines that are gone."""


def run_with_tune(
    sweep: Sweep,
    engine: RayEngine,
    source: TrialSource,
    folder: Path,
    notify: Callable[[str], None] = print,
) -> None:
    """Run the trials of a source; `early_terminate` is asynchronous successive halving (ASHA).

    Args:
        sweep: Metric, and which trials end early.
        engine: Where trials run, and what they need.
        source: Of trials.
        folder: Of the sweep; all machines must see it.
        notify: Gets a line when a trial starts and ends.

    Raises:
        JobFailed: After all others were run, if trials failed; names each and its reason.
        ValueError: A trial came to its end without the metric; the others are stopped.
        ConnectionError: There is no cluster at the engine's address, or its head is lost.
    """
    # Tune's own handler of Ctrl-C ends as if all trials had come to their end.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    # A trial that fails before its first validation has no score.
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    # Tune would ask the head for the cluster's resources every 10 s, which it only logs. Without a
    # head it waits for the answer until Ray ends the process, and `Lifeline` is not asked any more.
    os.environ["TUNE_STATE_REFRESH_PERIOD"] = str(NEVER)
    go_offline_without_server(notify)
    demands = {"cpu": engine.cpus_per_job, "gpu": engine.gpus_per_job}
    place_of = workplace(
        [RunFolder(folder).trial(0).path], engine.cpus_per_job, engine.gpus_per_job
    )
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
                callbacks=[_watch(search)],
            ),
        )
        try:
            tuner.fit()
        except _Left as left:
            raise search.obstacle from left
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    if search.failed:
        raise JobFailed(f"{len(search.failed)} trials failed: {'; '.join(search.failed)}")


def _work(config: dict[str, Trial], sweep: Sweep, place: Workplace) -> None:
    """A trial on a worker; reports each validation as soon as it is logged."""
    from ray import tune

    trial = config["trial"]
    reported = 0

    def report() -> None:
        nonlocal reported
        for number, value in validations(trial.folder, sweep.metric)[reported:]:
            reported = number
            tune.report({sweep.metric: value, VALIDATIONS: number})

    try:
        for _ in run_job(trial, place.enter(), report):
            pass
        report()
    except JobFailed as failure:
        tune.report({"failure": str(failure)})


def validations(folder: Path, metric: str) -> list[tuple[int, float]]:
    """The validations of a run in their order, numbered from 1, with their values.

    Args:
        folder: The run folder.
        metric: Name of a validation score.
    """
    curve = read_curve(RunFolder(folder).curves, metric)
    return list(enumerate((curve[epoch] for epoch in sorted(curve)), start=1))


def _watch(search: Any) -> Any:
    """What looks, several times a second, whether there is a reason not to go on."""
    from ray import tune

    lifeline = Lifeline()

    class Watch(tune.Callback):  # type: ignore[misc]
        """Tune's interface to what happens between its steps."""

        def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
            try:
                lifeline.look()
            except ConnectionError as lost:
                search.obstacle = lost
            if search.obstacle is not None:
                raise _Left

    return Watch()


def _scheduler(sweep: Sweep) -> Any:
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    if sweep.early_terminate is None:
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr=VALIDATIONS,
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
            self.obstacle: Exception | None = None

        def suggest(self, trial_id: str) -> Any:
            trial = source.next()
            if trial is None:
                return Searcher.FINISHED
            trial.record()
            self.trials[trial_id] = trial
            notify(f"{trial.name}: {trial.parameters}")
            return {"trial": trial}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
        ) -> None:
            trial = self.trials.pop(trial_id)
            failure = (result or {}).get("failure", "lost its workers" if error else None)
            if failure is None and not trial.is_finished:
                trial.record(stopped=True)
            if failure is not None:
                self.failed.append(f"{trial.folder}: {failure}")
            best = trial.best(sweep)
            source.tell(trial, None if failure or best is None else best[1])
            try:
                trial.refuse_without(sweep.metric)
            except ValueError as unknown:
                self.obstacle = unknown
            score = "" if best is None else f", {sweep.metric} {best[1]:.4g} at epoch {best[0]}"
            notify(f"{trial.name}: {f'failed: {failure}' if failure else trial.state}{score}")

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the trials' folders hold all of it."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing."""

    return Search()
