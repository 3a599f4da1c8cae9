"""Tests of methods on the same images or patients, and of what scores follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

PERMUTATIONS = 99_999
"""Of ranks: all of up to eight values, else so many drawn ones."""
ROUNDING = 1e-9
"""Of a score, relative to the largest: tables of scores have ten digits."""


@dataclass(frozen=True)
class PairedTest:
    """A method against a reference.

    Attributes:
        n: Pairs in which both scores are defined.
        difference: Mean of method minus reference.
        p_t: Two-sided p-value of the paired t-test.
        p_wilcoxon: Two-sided p-value of the Wilcoxon signed-rank test, which asks nothing of the
            distribution.

    A value that is not defined is NaN: all of them without pairs, the p-values with fewer than two
    pairs, and that of the t-test where all pairs differ by the same, which leaves no variance to
    test against; equal scores throughout give p = 1.
    """

    n: int
    difference: float
    p_t: float
    p_wilcoxon: float


def paired_test(method: ArrayLike, reference: ArrayLike) -> PairedTest:
    """Test whether a method scores differently from a reference.

    Args:
        method: (N,) scores, NaN where undefined.
        reference: (N,) scores of the same images or patients in the same order.

    Returns:
        The test over the pairs in which both are defined.

    Raises:
        ValueError: The scores are not two lists of equal length.

    Example:
        >>> from lotus.evaluation.statistics import paired_test
        >>> test = paired_test([3, 5, 4], [1, 2, 3])
        >>> test.n, test.difference, round(test.p_t, 4), test.p_wilcoxon  # t = 2 sqrt(3); 2 of 2^3
        (3, 2.0, 0.0742, 0.25)
    """
    ours, theirs = np.asarray(method, np.float64), np.asarray(reference, np.float64)
    if ours.ndim != 1 or ours.shape != theirs.shape:
        raise ValueError(
            f"paired scores are two lists of equal length, got shapes {ours.shape}, {theirs.shape}"
        )
    defined = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[defined], theirs[defined]
    difference = ours - theirs
    n = len(difference)
    if n < 2:
        return PairedTest(n, float(difference.mean()) if n else np.nan, np.nan, np.nan)
    if not difference.any():
        return PairedTest(n, 0.0, 1.0, 1.0)
    scale = np.abs((ours, theirs)).max()
    varies = np.ptp(difference) > ROUNDING * scale
    p_t = float(stats.ttest_1samp(difference, 0.0).pvalue) if varies else np.nan
    return PairedTest(n, float(difference.mean()), p_t, float(stats.wilcoxon(difference).pvalue))


@dataclass(frozen=True)
class RankCorrelation:
    """How far one quantity rises with another.

    Attributes:
        n: Pairs in which both are defined.
        rho: Spearman's ρ in [-1, 1]; NaN where one of the two does not vary.
        p: Two-sided p-value over permutations, exact up to eight pairs; NaN as ρ.
    """

    n: int
    rho: float
    p: float


def rank_correlation(first: ArrayLike, second: ArrayLike) -> RankCorrelation:
    """Test whether one quantity rises or falls with another (Spearman, 1904).

    The p-value is the share of the orders of one of them in which ρ is at least as far from 0:
    of all orders, or, of more than eight pairs, of 99,999 drawn ones and that which was found.
    Ties are as they are in every order.

    Args:
        first: (N,) values, NaN where undefined.
        second: (N,) values of the same items in the same order.

    Returns:
        The correlation over the items in which both are defined.

    Raises:
        ValueError: The values are not two lists of equal length.

    Example:
        >>> from lotus.evaluation.statistics import rank_correlation
        >>> found = rank_correlation([10, 20, 30, 50], [0.8, 0.85, 0.9, 0.95])
        >>> found.n, found.rho, round(found.p, 4)  # this order and its reverse, of 4!
        (4, 1.0, 0.0833)
    """
    ours, theirs = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if ours.ndim != 1 or ours.shape != theirs.shape:
        raise ValueError(
            f"pairs are two lists of equal length, got shapes {ours.shape}, {theirs.shape}"
        )
    defined = np.isfinite(ours) & np.isfinite(theirs)
    x, y = stats.rankdata(ours[defined]), stats.rankdata(theirs[defined])
    n = len(x)
    if n < 2 or not np.ptp(x) or not np.ptp(y):
        return RankCorrelation(n, np.nan, np.nan)
    x, y = ((ranks - ranks.mean()) / ranks.std() for ranks in (x, y))

    def rho(ranks: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.asarray((ranks * y).mean(axis=axis))

    test = stats.permutation_test(
        (x,),
        rho,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=10_000,
        rng=np.random.default_rng(0),
    )
    return RankCorrelation(n, float(rho(x)), float(test.pvalue))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's step-down correction of p-values of one family of tests (Holm, 1979).

    Args:
        p_values: P-values; NaN stays NaN and does not count.

    Returns:
        Corrected p-values in the same order.

    Example:
        >>> from lotus.evaluation.statistics import holm
        >>> holm([0.01, 0.04, 0.03]).round(4).tolist()  # 3 * 0.01, 2 * 0.03, no less for 0.04
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, np.float64)
    corrected = np.full(values.shape, np.nan)
    known = np.isfinite(values)
    if known.any():
        corrected[known] = multipletests(values[known], method="holm")[1]
    return corrected
