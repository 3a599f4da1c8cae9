"""What scores follow where methods differ in several factors, such as network and labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from lotus.evaluation.statistics import paired_test, rank_correlation

COLUMNS = ("factor", "among", "test", "score", "effect", "p", "least_p", "n")


def factor_tests(
    cells: pd.DataFrame, factors: Sequence[str], scores: Sequence[str]
) -> pd.DataFrame:
    """Test what every factor does to every score.

    A factor of numbers is correlated with a score (Spearman), over all cells and among those of
    each level of a factor of words. Of a factor of words, each two levels are compared in the
    cells that are equal in all other factors (Wilcoxon's signed ranks). P-values are not corrected
    for the number of tests.

    Args:
        cells: A row per combination of levels: a column per factor, and one per score.
        factors: Names of the columns that are factors.
        scores: Names of the columns that are scores.

    Returns:
        A row per test: ``factor``; ``among`` which cells; ``test``; ``score``; ``effect``, which
        is ρ or the mean of second minus first level; ``p``; ``least_p``, which no n can fall
        below; ``n``.

    Raises:
        ValueError: Two cells are of the same levels.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.factors import factor_tests
        >>> cells = pd.DataFrame({"slices": [10, 20, 30], "dice": [0.8, 0.9, 0.85]})
        >>> found = factor_tests(cells, ["slices"], ["dice"]).round(3)
        >>> found[["test", "effect", "n"]].values.tolist()
        [['Spearman', 0.5, 3]]
    """
    twice = cells.duplicated(list(factors))
    if twice.any():
        raise ValueError(f"two cells are {_said(cells.loc[twice, list(factors)].iloc[0])}")
    words = [name for name in factors if not is_numeric_dtype(cells[name])]
    rows: list[Mapping[str, Any]] = []
    for factor in factors:
        others = [name for name in factors if name != factor]
        tests = _pairs(cells, factor, others, scores)
        if factor not in words:
            tests = _trends(cells, factor, words, scores)
        rows += tests
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": int})


def _trends(
    cells: pd.DataFrame, factor: str, words: Sequence[str], scores: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    parts = [("all", cells)]
    for word in words:
        parts += [(f"{word} {level}", part) for level, part in cells.groupby(word, sort=False)]
    for among, part in parts:
        for score in scores:
            found = rank_correlation(part[factor], part[score])
            least = 2 / math.factorial(found.n) if found.n > 1 else math.nan
            effect = (found.rho, found.p, least, found.n)
            yield dict(zip(COLUMNS, (factor, among, "Spearman", score, *effect), strict=True))


def _pairs(
    cells: pd.DataFrame, factor: str, others: Sequence[str], scores: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    for first, second in combinations(cells[factor].unique(), 2):
        one, two = (cells[cells[factor] == level] for level in (first, second))
        # Without another factor there is one pair, which is no test, and is said as such.
        keys = list(others) or [factor]
        if not others:
            two = two.assign(**{factor: first})
        both = one.merge(two, on=keys, suffixes=("_first", "_second"))
        for score in scores:
            found = paired_test(both[f"{score}_second"], both[f"{score}_first"])
            least = 2.0 ** (1 - found.n) if found.n else math.nan
            effect = (found.difference, found.p_wilcoxon, least, found.n)
            among = f"{second} - {first}"
            yield dict(zip(COLUMNS, (factor, among, "Wilcoxon", score, *effect), strict=True))


def _said(levels: pd.Series[Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in levels.items())
