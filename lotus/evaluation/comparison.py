"""Methods compared on the same images: mean ± SD, paired tests against a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import get_args

import numpy as np
import pandas as pd

from lotus.evaluation.choices import ComparisonUnit
from lotus.evaluation.statistics import PairedTest, holm, paired_test
from lotus.metrics.catalogue import score_of


@dataclass(frozen=True)
class Cell:
    """One score of one method.

    Attributes:
        mean: Over the units in which it is defined; NaN if in none.
        sd: Sample standard deviation over them; NaN with fewer than two.
        undefined: Units in which it is not.
        undefined_images: Images in which it is not; a patient's mean leaves them out.
        replaced_images: Of a Hausdorff distance, images in which it stands at the image diagonal,
            since either nothing was found or nothing was there.
        is_best: No other method of the comparison has a better mean; several where they are equal.
        test: Against the reference; None for the reference itself.
        p_holm: The t-test's p-value corrected over the methods of this score; NaN if there is none.
    """

    mean: float
    sd: float
    undefined: int
    undefined_images: int
    replaced_images: int
    is_best: bool
    test: PairedTest | None
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """A table of methods by scores.

    Attributes:
        cells: By method, then by score, in the order they were given.
        reference: The method that the others are tested against.
        unit: ``patient``, ``image`` or ``seed``.
        units: By method, the scores of every unit: one row per patient, image or seed, in one
            order.
        notes: By method, what a reader of its row has to know; may be empty.
        apart: Like ``cells``, of methods that were scored on other images, such as a teacher: they
            are neither tested nor the best of anything.
        n_apart: Number of units of each of those.
    """

    cells: Mapping[str, Mapping[str, Cell]]
    reference: str
    unit: ComparisonUnit
    units: Mapping[str, pd.DataFrame]
    notes: Mapping[str, str]
    apart: Mapping[str, Mapping[str, Cell]]
    n_apart: Mapping[str, int]

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.units[self.reference])


def compare_methods(
    methods: Mapping[str, pd.DataFrame],
    reference: str,
    scores: Sequence[str],
    unit: ComparisonUnit = "patient",
    notes: Mapping[str, str] = MappingProxyType({}),
    apart: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> Comparison:
    """Compare methods that were scored on the same images.

    Args:
        methods: Tables with one row per image, indexed by its name, by the name of their method.
        reference: The method that the others are tested against.
        scores: Columns to compare.
        unit: What counts once: ``patient`` (the mean over its images), ``image``, or ``seed`` (the
            mean over the images of a training).
        notes: By method, what a reader of its row has to know.
        apart: Tables of methods that were scored on other images.

    Returns:
        The comparison.

    Raises:
        ValueError: Unlike images, truths or patients, a score or the patients are missing, or an
            unknown reference or unit.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.comparison import compare_methods
        >>> shared = {"patient": ["P1", "P1", "P2"], "n_true": [4.0, 2.0, 3.0]}
        >>> plain = pd.DataFrame({**shared, "dice": [0.5, 0.7, 0.8]}, index=["a", "b", "c"])
        >>> better = pd.DataFrame({**shared, "dice": [0.7, 0.7, 0.9]}, index=["a", "b", "c"])
        >>> comparison = compare_methods({"plain": plain, "better": better}, "plain", ["dice"])
        >>> cell = comparison.cells["better"]["dice"]
        >>> round(cell.mean, 2), cell.is_best, cell.test.n, round(cell.test.difference, 2)
        (0.8, True, 2, 0.1)
    """
    if reference not in methods:
        raise ValueError(f"no method is called {reference!r}; found {', '.join(methods)}")
    if unit not in get_args(ComparisonUnit):
        raise ValueError(f"unit is {unit!r}; expected one of {', '.join(get_args(ComparisonUnit))}")
    _check_same_images(methods)
    if unit == "patient":
        for name, table in {**methods, **apart}.items():
            _check_patients_known(name, table)
        _check_same_patients(methods)
    units = {name: _by_unit(name, table, scores, unit) for name, table in methods.items()}
    columns = {score: _column(methods, units, reference, score) for score in scores}
    cells = {name: {score: columns[score][name] for score in scores} for name in methods}
    others = {name: _by_unit(name, table, scores, unit) for name, table in apart.items()}
    return Comparison(
        cells,
        reference,
        unit,
        units,
        notes,
        {
            name: {score: _summary(table, others[name], score) for score in scores}
            for name, table in apart.items()
        },
        {name: len(table) for name, table in others.items()},
    )


def per_image(methods: Mapping[str, pd.DataFrame], scores: Sequence[str]) -> pd.DataFrame:
    """The scores of all methods in one long table.

    Args:
        methods: As for :func:`compare_methods`.
        scores: Columns to keep.

    Returns:
        One row per method and image: ``name``, ``patient`` (empty where it is not known),
        ``method`` and the scores.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.comparison import per_image
        >>> table = pd.DataFrame({"dice": [0.5], "patient": ["P1"]}, pd.Index(["a"], name="name"))
        >>> per_image({"plain": table, "better": table.assign(dice=0.75)}, ["dice"])
          name patient  method  dice
        0    a      P1   plain  0.50
        1    a      P1  better  0.75
    """
    parts = [
        table.reindex(columns=["patient", *scores]).assign(method=method).sort_index()
        for method, table in methods.items()
    ]
    return pd.concat(parts).reset_index()[["name", "patient", "method", *scores]]


def _check_same_images(methods: Mapping[str, pd.DataFrame]) -> None:
    (first, expected), *others = methods.items()
    for name, table in others:
        for image in sorted(set(expected.index) ^ set(table.index)):
            there, absent = (first, name) if image in expected.index else (name, first)
            raise ValueError(f"image {image} was scored for {there} and not for {absent}")
        if "n_true" not in table or "n_true" not in expected:
            continue  # Not every task counts objects.
        for image in expected.index:
            ours, theirs = table.loc[image, "n_true"], expected.loc[image, "n_true"]
            if ours != theirs:
                raise ValueError(
                    f"image {image} has {theirs:.0f} true objects for {first} and {ours:.0f} for "
                    f"{name}: the targets differ"
                )


def _check_patients_known(name: str, table: pd.DataFrame) -> None:
    if "patient" not in table or table["patient"].eq("").any():
        raise ValueError(f"the patients of {name} are not in its table of scores; use --unit image")


def _check_same_patients(methods: Mapping[str, pd.DataFrame]) -> None:
    """Tests pair patients: an image that is of two patients would pair one with another."""
    (first, expected), *others = methods.items()
    for name, table in others:
        theirs = table["patient"].reindex(expected.index)
        for image in expected.index[theirs != expected["patient"]]:
            raise ValueError(
                f"image {image} is of patient {expected.loc[image, 'patient']} for {first} and of "
                f"{theirs[image]} for {name}: score both with one manifest, or use --unit image"
            )


def _by_unit(
    name: str, table: pd.DataFrame, scores: Sequence[str], unit: ComparisonUnit
) -> pd.DataFrame:
    missing = [score for score in scores if score not in table]
    if missing:
        raise ValueError(f"{name} has no score {missing[0]!r}; found {', '.join(table.columns)}")
    if unit == "image":
        return table[list(scores)].sort_index()
    if unit not in table:
        raise ValueError(f"{name} has no {unit}s; score it over several, or use --unit image")
    return table.groupby(unit)[list(scores)].mean().sort_index()


def _column(
    images: Mapping[str, pd.DataFrame],
    units: Mapping[str, pd.DataFrame],
    reference: str,
    score: str,
) -> dict[str, Cell]:
    values = {name: table[score].to_numpy(np.float64) for name, table in units.items()}
    summaries = {name: _summary(images[name], table, score) for name, table in units.items()}
    sign = 1.0 if score_of(score).lower_is_better else -1.0
    best = np.nanmin([sign * summary.mean for summary in summaries.values()] + [np.inf])
    tests = {
        name: paired_test(column, values[reference])
        for name, column in values.items()
        if name != reference
    }
    corrected = dict(zip(tests, holm([test.p_t for test in tests.values()]), strict=True))
    return {
        name: replace(
            summary,
            # Equal scores whose means differ by the rounding of the sum are equal.
            is_best=math.isclose(sign * summary.mean, best, rel_tol=1e-9),
            test=tests.get(name),
            p_holm=float(corrected.get(name, np.nan)),
        )
        for name, summary in summaries.items()
    }


def _summary(images: pd.DataFrame, units: pd.DataFrame, score: str) -> Cell:
    """A score of one method on its own."""
    values = units[score].to_numpy(np.float64)
    defined = values[np.isfinite(values)]
    return Cell(
        mean=float(defined.mean()) if len(defined) else np.nan,
        sd=float(defined.std(ddof=1)) if len(defined) > 1 else np.nan,
        undefined=len(values) - len(defined),
        undefined_images=int(images[score].isna().sum()),
        replaced_images=_replaced(images, score),
        is_best=False,
        test=None,
        p_holm=np.nan,
    )


def _replaced(images: pd.DataFrame, score: str) -> int:
    """Images whose Hausdorff distance is the diagonal, as exactly one of the masks is empty."""
    if not score_of(score).is_distance or not {"n_true", "n_pred"} <= {*images}:
        return 0
    return int(((images["n_true"] == 0) != (images["n_pred"] == 0)).sum())
