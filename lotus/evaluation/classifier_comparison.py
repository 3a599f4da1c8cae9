"""Classifiers compared on the same patches: scores with intervals, tests over patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from lotus.evaluation.choices import Level, VotingRule
from lotus.evaluation.classification import at_level, by_seed, classification_scores
from lotus.evaluation.patient_resampling import (
    ExchangeTest,
    Interval,
    bootstrap_over_patients,
    exchange_test,
)
from lotus.evaluation.statistics import holm
from lotus.metrics.catalogue import score_of
from lotus.runs.classified import groups_of


@dataclass(frozen=True)
class ClassifierCell:
    """One score of one classifier.

    Attributes:
        value: Over all cases of the level; of several seeds their mean; NaN where undefined.
        interval: Its 95 % interval over patients.
        sd_of_seeds: Sample standard deviation over the seeds; NaN with one.
        is_best: No other method of the comparison has a better value; several where equal.
        test: Against the reference; None for the reference itself.
        p_holm: The p-value corrected over the methods of this score; NaN if there is none.
    """

    value: float
    interval: Interval
    sd_of_seeds: float
    is_best: bool = False
    test: ExchangeTest | None = None
    p_holm: float = math.nan


@dataclass(frozen=True)
class Cases:
    """What a classifier was scored on.

    Attributes:
        n: Cases of the level, in each seed.
        patients: Patients by group.
        seeds: Trainings.
    """

    n: int
    patients: Mapping[str, int]
    seeds: int

    @property
    def n_patients(self) -> int:
        """All patients."""
        return sum(self.patients.values())


@dataclass(frozen=True)
class ClassifierComparison:
    """A table of classifiers by scores, at one level.

    Attributes:
        cells: By method, then by score, in the order they were given.
        reference: The method that the others are tested against.
        level: What the cases are.
        rule: How patches decide together.
        cases: What all methods were scored on.
        notes: By method, what a reader of its row has to know.
        apart: Like ``cells``, of methods that were scored on other patches.
        cases_apart: What those were scored on.
    """

    cells: Mapping[str, Mapping[str, ClassifierCell]]
    reference: str
    level: Level
    rule: VotingRule
    cases: Cases
    notes: Mapping[str, str]
    apart: Mapping[str, Mapping[str, ClassifierCell]]
    cases_apart: Mapping[str, Cases]


def compare_classifiers(
    methods: Mapping[str, pd.DataFrame],
    reference: str,
    scores: Sequence[str],
    *,
    level: Level = "patch",
    rule: VotingRule = "majority",
    notes: Mapping[str, str] = MappingProxyType({}),
    apart: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> ClassifierComparison:
    """Compare classifiers of the same patches.

    Args:
        methods: Tables of :func:`~lotus.runs.classified.read_classified`, by name of the method.
        reference: The method that the others are tested against.
        scores: Of `lotus.evaluation.classification.SCORES`.
        level: What is scored. Intervals and tests go over patients at every level.
        rule: How patches decide together.
        notes: By method, what a reader of its row has to know.
        apart: Tables of methods that were scored on other patches.

    Returns:
        The comparison.

    Raises:
        ValueError: Unlike patches, patients, groups or seeds, or an unknown reference or score.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classifier_comparison import compare_classifiers
        >>> plain = pd.DataFrame({
        ...     "name": ["a", "b"], "slice": ["a", "b"], "patient": ["P", "Q"],
        ...     "group": ["ill", "well"], "predicted": ["well", "well"],
        ...     "p_ill": [0.4, 0.2], "p_well": [0.6, 0.8],
        ... })
        >>> guided = plain.assign(predicted=["ill", "well"])
        >>> found = compare_classifiers({"plain": plain, "MGA": guided}, "plain", ["accuracy"])
        >>> cell = found.cells["MGA"]["accuracy"]
        >>> cell.value, cell.is_best, cell.test.n, cell.test.difference
        (1.0, True, 2, 0.5)
    """
    if reference not in methods:
        raise ValueError(f"no method is called {reference!r}; found {', '.join(methods)}")
    _check_same_patches(methods)
    levelled = {name: at_level(table, level, rule) for name, table in methods.items()}
    plain = {name: summarise(cases, scores) for name, cases in levelled.items()}
    tests = {
        name: exchange_test(cases, levelled[reference])
        for name, cases in levelled.items()
        if name != reference
    }
    columns = {score: _column(plain, tests, score) for score in scores}
    others = {name: at_level(table, level, rule) for name, table in apart.items()}
    return ClassifierComparison(
        {name: {score: columns[score][name] for score in scores} for name in methods},
        reference,
        level,
        rule,
        cases_of(levelled[reference]),
        notes,
        {name: summarise(cases, scores) for name, cases in others.items()},
        {name: cases_of(cases) for name, cases in others.items()},
    )


def summarise(cases: pd.DataFrame, scores: Sequence[str]) -> dict[str, ClassifierCell]:
    """Scores of one classifier on its own, with their intervals.

    Args:
        cases: Of :func:`~lotus.evaluation.classification.at_level`.
        scores: Their names.

    Raises:
        ValueError: An unknown score.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classifier_comparison import summarise
        >>> cases = pd.DataFrame({
        ...     "patient": ["P", "Q"], "group": ["ill", "well"], "predicted": ["well", "well"],
        ...     "p_ill": [0.4, 0.2], "p_well": [0.6, 0.8],
        ... })
        >>> summarise(cases, ["recall"])["recall"].value
        0.5
    """
    values = classification_scores(cases)
    unknown = [score for score in scores if score not in values]
    if unknown:
        raise ValueError(f"no score {unknown[0]!r} of classifiers; expected {', '.join(values)}")
    each = pd.DataFrame([classification_scores(own) for own in by_seed(cases)])
    intervals = bootstrap_over_patients(cases)
    return {
        score: ClassifierCell(values[score], intervals[score], float(each[score].std(ddof=1)))
        for score in scores
    }


def cases_of(cases: pd.DataFrame) -> Cases:
    """Count cases, patients by group and seeds.

    Args:
        cases: Of :func:`~lotus.evaluation.classification.at_level`.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classifier_comparison import cases_of
        >>> cases = pd.DataFrame({"patient": ["P", "P", "Q"], "group": ["ill", "ill", "well"],
        ...                       "p_ill": 0.5, "p_well": 0.5})
        >>> cases_of(cases)
        Cases(n=3, patients={'ill': 1, 'well': 1}, seeds=1)
    """
    seeds = by_seed(cases)
    patients = cases.groupby("group")["patient"].nunique()
    counted = {group: int(patients.get(group, 0)) for group in groups_of(cases)}
    return Cases(len(seeds[0]), counted, len(seeds))


def _check_same_patches(methods: Mapping[str, pd.DataFrame]) -> None:
    (first, expected), *others = methods.items()
    truth = _truth(expected)
    for name, table in others:
        if groups_of(table) != groups_of(expected):
            found, wanted = ", ".join(groups_of(table)), ", ".join(groups_of(expected))
            raise ValueError(f"{name} tells apart {found}, and {first} {wanted}")
        own = _truth(table)
        for place in sorted(set(own.index) ^ set(truth.index)):
            there, absent = (first, name) if place in truth.index else (name, first)
            patch, seed = place
            which = f"patch {patch} (seed {seed})" if "seed" in methods[there] else f"patch {patch}"
            raise ValueError(f"{which} was classified by {there} and not by {absent}")
        differs = (own.reindex(truth.index) != truth).any(axis=1)
        for patch, _ in truth.index[differs]:
            raise ValueError(
                f"patch {patch} is of another patient, slice or group for {name} than for {first}: "
                "test both with one manifest"
            )


def _truth(table: pd.DataFrame) -> pd.DataFrame:
    """Slice, patient and group of every patch, by its name and seed."""
    seeds = table["seed"] if "seed" in table else np.zeros(len(table), int)
    return table.assign(seed=seeds).set_index(["name", "seed"])[["slice", "patient", "group"]]


def _column(
    plain: Mapping[str, Mapping[str, ClassifierCell]],
    tests: Mapping[str, Mapping[str, ExchangeTest]],
    score: str,
) -> dict[str, ClassifierCell]:
    sign = 1.0 if score_of(score).lower_is_better else -1.0
    best = np.nanmin([sign * cells[score].value for cells in plain.values()] + [np.inf])
    corrected = holm([found[score].p for found in tests.values()])
    of_method = dict(zip(tests, corrected.tolist(), strict=True))
    return {
        name: replace(
            cells[score],
            is_best=math.isclose(sign * cells[score].value, best, rel_tol=1e-6),
            test=tests[name][score] if name in tests else None,
            p_holm=of_method.get(name, math.nan),
        )
        for name, cells in plain.items()
    }
