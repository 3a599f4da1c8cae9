"""Where trials come from: a grid, random values, or Bayes by what earlier trials found."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lotus.engines.packages import need
from lotus.runs import RunFolder
from lotus.sweeps.distributions import Distribution
from lotus.sweeps.schema import Sweep
from lotus.sweeps.trial import Parameters, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_ENDLESS = "the search has no end: give --count, or run_cap in the sweep file"


class TrialSource(Protocol):
    """Where the next trial comes from.

    Attributes:
        trials: All so far, finished ones too.
    """

    trials: list[Trial]

    def next(self) -> Trial | None:
        """The next trial that is not finished; None after the last."""

    def tell(self, trial: Trial, value: float | None) -> None:
        """Take note of a trial's best value; None if it has none."""


class ListedTrials:
    """A grid or random values, all known before the first trial is run.

    Args:
        sweep: Method and parameters.
        folder: Of the sweep.
        arguments: Of `lotus fit`, the same for every trial.
        count: Number of trials; None for a whole grid.
        seed: Of random values. More trials of one seed begin with the same ones.

    Raises:
        ValueError: A grid over values without number, random trials without number, or a folder
            with trials of other parameters.
    """

    def __init__(
        self, sweep: Sweep, folder: Path, arguments: Sequence[str], *, count: int | None, seed: int
    ) -> None:
        sets = (_grid if sweep.method == "grid" else _random)(sweep, count, seed)
        self.trials = [Trial(folder, n, tuple(arguments), of) for n, of in enumerate(sets)]
        for trial in self.trials:
            trial.record()
        self._left = [trial for trial in self.trials if not trial.is_finished]

    def next(self) -> Trial | None:
        """The next of the list."""
        return self._left.pop(0) if self._left else None

    def tell(self, trial: Trial, value: float | None) -> None:
        """A list does not learn."""


def _grid(sweep: Sweep, count: int | None, seed: int) -> list[Parameters]:
    choices = {key: of.choices for key, of in sweep.parameters.items()}
    for key, values in choices.items():
        if values is None:
            raise ValueError(f"{key} has no list of values, which a grid needs")
    grid = itertools.product(*(values or [] for values in choices.values()))
    return [dict(zip(choices, point, strict=True)) for point in itertools.islice(grid, count)]


def _random(sweep: Sweep, count: int | None, seed: int) -> list[Parameters]:
    if count is None:
        raise ValueError(_ENDLESS)
    random = np.random.default_rng(seed)
    return [{key: of.draw(random) for key, of in sweep.parameters.items()} for _ in range(count)]


class BayesTrials:
    """Trials suggested by the tree-structured Parzen estimator (Bergstra 2011) of Optuna.

    Trials in the folder count: finished ones are learnt from, and others come first.

    Args:
        sweep: Metric and parameters.
        folder: Of the sweep.
        arguments: Of `lotus fit`, the same for every trial.
        count: Number of trials in all.
        seed: Of the suggestions.

    Raises:
        ValueError: No number of trials, no Optuna, or a distribution that it does not have.
    """

    def __init__(
        self, sweep: Sweep, folder: Path, arguments: Sequence[str], *, count: int | None, seed: int
    ) -> None:
        if count is None:
            raise ValueError(_ENDLESS)
        need("optuna", extra="cluster")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = {key: _optuna(key, of) for key, of in sweep.parameters.items()}
        self.trials = trials_in(folder, arguments)
        finished = [trial for trial in self.trials if trial.is_finished]
        self._folder, self._arguments, self._count = folder, tuple(arguments), count
        self._again = [trial for trial in self.trials if not trial.is_finished]
        self._asked: dict[int, Any] = {}
        self._study = optuna.create_study(
            direction="maximize" if sweep.maximize else "minimize",
            sampler=optuna.samplers.TPESampler(seed=seed + len(finished), constant_liar=True),
        )
        for trial in finished:
            found = trial.best(sweep)
            if found is not None:
                self._study.add_trial(
                    optuna.trial.create_trial(
                        params=trial.parameters, distributions=self.space, value=found[1]
                    )
                )

    def next(self) -> Trial | None:
        """An unfinished trial, or a new suggestion."""
        if self._again:
            trial = self._again.pop(0)
            self._study.enqueue_trial(trial.parameters)
            self._asked[trial.number] = self._study.ask(self.space)
            return trial
        if len(self.trials) >= self._count:
            return None
        asked = self._study.ask(self.space)
        trial = Trial(self._folder, len(self.trials), self._arguments, dict(asked.params))
        self._asked[trial.number] = asked
        self.trials.append(trial)
        return trial

    def tell(self, trial: Trial, value: float | None) -> None:
        """Learn from a trial."""
        from optuna.trial import TrialState

        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        self._study.tell(self._asked.pop(trial.number), value, state)


def trials_in(folder: Path, arguments: Sequence[str]) -> list[Trial]:
    """The trials of a sweep that were begun, in order.

    Args:
        folder: Of the sweep.
        arguments: Of `lotus fit`, the same for every trial.
    """
    trials: list[Trial] = []
    while (path := RunFolder(folder).trial(len(trials)).trial_record).is_file():
        parameters = json.loads(path.read_text(encoding="utf-8"))["parameters"]
        trials.append(Trial(folder, len(trials), tuple(arguments), parameters))
    return trials


def _optuna(key: str, of: Distribution) -> BaseDistribution:
    from optuna import distributions as optuna

    limits = (of.of.get("min", 0), of.of.get("max", 0))
    if of.name == "int_uniform":
        return optuna.IntDistribution(*limits)
    if of.choices is not None:
        return optuna.CategoricalDistribution(of.choices)
    if of.name in ("uniform", "q_uniform"):
        return optuna.FloatDistribution(*limits, step=of.of.get("q"))
    if of.name == "log_uniform_values":
        return optuna.FloatDistribution(*limits, log=True)
    raise ValueError(f"{key} has the distribution {of.name}, which a Bayes search does not know")
