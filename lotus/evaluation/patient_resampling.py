"""Intervals and tests of classifications in which patients are what was sampled."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lotus.evaluation.classification import SCORES, by_seed
from lotus.evaluation.patient_sums import PatientSums, Values

RESAMPLES = 2000
EXCHANGES = 10_000
"""How many are drawn where there are too many patients for all of them."""
EXACT_PATIENTS = 13
"""With so many patients or fewer, all 2^n exchanges are made."""
CONFIDENCE = 0.95
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Its lower end; NaN where the score is undefined.
        high: Its upper end.
    """

    low: float
    high: float


@dataclass(frozen=True)
class ExchangeTest:
    """A method against a reference on the same patients.

    Attributes:
        n: Patients.
        difference: Score of the method minus that of the reference.
        p: Two-sided p-value; NaN where the score is undefined.
    """

    n: int
    difference: float
    p: float


def bootstrap_over_patients(
    cases: pd.DataFrame, *, n: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """95 % intervals of scores, from patients drawn with replacement within their groups.

    All cases of a patient go together, since they are not independent. Groups keep their size, as
    patients were sampled by group. The interval is that of the percentiles (Efron 1979). It knows
    no more than the patients there are: where all are alike it has no width, and with few of them
    it is too narrow.

    Args:
        cases: Of :func:`~lotus.evaluation.classification.at_level`; of several seeds, the score is
            the mean over the seeds, and a patient is drawn with the cases of all of them.
        n: Number of resamples.
        seed: Seed of the draw.

    Returns:
        By name of the score.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.patient_resampling import bootstrap_over_patients
        >>> cases = pd.DataFrame({
        ...     "patient": ["a", "b", "c", "d"], "group": ["ill", "ill", "well", "well"],
        ...     "predicted": ["ill", "well", "well", "well"],
        ...     "p_ill": [0.8, 0.4, 0.3, 0.1], "p_well": [0.2, 0.6, 0.7, 0.9],
        ... })
        >>> bootstrap_over_patients(cases)["accuracy"]  # the ill patients: none, one or both
        Interval(low=0.5, high=1.0)
    """
    group_of = cases.groupby("patient", sort=True)["group"].first()
    generator = np.random.default_rng(seed)
    weights = np.zeros((n, len(group_of)))
    for _, members in sorted(group_of.reset_index(drop=True).groupby(group_of.to_numpy())):
        size = len(members)
        weights[:, members.index] = generator.multinomial(size, np.full(size, 1 / size), n)
    scores = _mean_scores(_sums([cases], group_of.index.tolist()), weights)
    tail = 50 * (1 - CONFIDENCE)
    limits = {name: np.percentile(values, [tail, 100 - tail]) for name, values in scores.items()}
    return {name: Interval(float(low), float(high)) for name, (low, high) in limits.items()}


def exchange_test(
    method: pd.DataFrame, reference: pd.DataFrame, *, n: int = EXCHANGES, seed: int = 0
) -> dict[str, ExchangeTest]:
    """Test whether two methods differ, by exchanging them within patients.

    If they did not differ, it would not matter which method classified a patient. So the methods
    are exchanged for some patients, with all cases and seeds, and the difference of the scores is
    compared with that of other exchanges: of all 2^n of them with up to 13 patients, of random ones
    beyond (then p = (k + 1) / (n + 1), Phipson and Smyth 2010). No p-value is below 2 / 2^n.

    Args:
        method: Cases of one level.
        reference: The same cases, classified by another method.
        n: Number of random exchanges.
        seed: Seed of the draw.

    Returns:
        By name of the score.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.patient_resampling import exchange_test
        >>> shared = {"patient": ["a", "b", "c", "d"], "group": ["ill", "ill", "well", "well"]}
        >>> good = pd.DataFrame({**shared, "predicted": shared["group"]})
        >>> good = good.assign(p_ill=[1.0, 1.0, 0.0, 0.0], p_well=[0.0, 0.0, 1.0, 1.0])
        >>> bad = good.assign(predicted=["well", "well", "ill", "ill"])
        >>> test = exchange_test(good, bad)["accuracy"]
        >>> test.n, test.difference, test.p  # 2 of 2^4
        (4, 1.0, 0.125)
    """
    patients = sorted(method["patient"].unique())
    sums = _sums([method, reference], patients)
    exchanged = _exchanges(len(patients), n, seed)
    ours = _mean_scores(sums, np.hstack([~exchanged, exchanged]))
    theirs = _mean_scores(sums, np.hstack([exchanged, ~exchanged]))
    tests = {}
    for name in SCORES:
        differences = ours[name] - theirs[name]
        observed = float(differences[0])
        extreme = np.abs(differences) >= abs(observed) - _ROUNDING
        p = float(extreme.mean()) if np.isfinite(observed) else np.nan
        tests[name] = ExchangeTest(len(patients), observed, p)
    return tests


def lowest_p(n_patients: int) -> float:
    """The lowest p-value that exchanges of so many patients can have.

    Example:
        >>> from lotus.evaluation.patient_resampling import lowest_p
        >>> lowest_p(6)  # one of 2^6 exchanges, and the same the other way round
        0.03125
    """
    return 2 / 2**n_patients if n_patients <= EXACT_PATIENTS else 1 / (EXCHANGES + 1)


def accuracy_interval(right: int, n: int) -> Interval:
    """The exact 95 % interval of a share of independent cases (Clopper and Pearson 1934).

    For patients, of whom the bootstrap says nothing where all are classified rightly.

    Args:
        right: Cases that are right.
        n: All cases.

    Example:
        >>> from lotus.evaluation.patient_resampling import accuracy_interval
        >>> round(accuracy_interval(6, 6).low, 3)  # 0.025 ** (1 / 6)
        0.541
    """
    interval = stats.binomtest(right, n).proportion_ci(CONFIDENCE, method="exact")
    return Interval(float(interval.low), float(interval.high))


def _sums(methods: Sequence[pd.DataFrame], patients: Sequence[str]) -> list[PatientSums]:
    """The sums of every seed; a patient under another method is a patient of its own."""
    names = [f"{number} {patient}" for number in range(len(methods)) for patient in patients]
    found = []
    for of_seed in zip(*map(by_seed, methods), strict=True):
        tagged = [
            cases.assign(patient=f"{number} " + cases["patient"])
            for number, cases in enumerate(of_seed)
        ]
        found.append(PatientSums.of(pd.concat(tagged), names))
    return found


def _mean_scores(sums: Sequence[PatientSums], weights: NDArray[Any]) -> Mapping[str, Values]:
    """The mean over the seeds of the scores of every sample."""
    each = [of_seed.scores(weights) for of_seed in sums]
    return {name: np.mean([scores[name] for scores in each], axis=0) for name in SCORES}


def _exchanges(n_patients: int, n: int, seed: int) -> NDArray[np.bool_]:
    """Whom to exchange (R, P): nobody in the first row, then all other choices, or random ones."""
    if n_patients <= EXACT_PATIENTS:
        return np.array(list(itertools.product([False, True], repeat=n_patients)))
    drawn = np.random.default_rng(seed).random((n, n_patients)) < 0.5
    return np.vstack([np.zeros((1, n_patients), bool), drawn])
