"""Mean, standard deviation and number of repeated measures, and how those of parts add up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Spread:
    """Of a width that was measured at several places.

    Attributes:
        mean: NaN where there is none.
        sd: Standard deviation of a sample, by n - 1; NaN below two.
        n: How many places.
    """

    mean: float = math.nan
    sd: float = math.nan
    n: int = 0

    @classmethod
    def of(cls, values: ArrayLike) -> Spread:
        """The spread of values.

        Args:
            values: (N,), NaN where undefined, which is left out.

        Example:
            >>> from lotus.morphometry.spread import Spread
            >>> Spread.of([1.0, 3.0, float("nan")])
            Spread(mean=2.0, sd=1.4142135623730951, n=2)
        """
        numbers = np.asarray(values, np.float64).ravel()
        known = numbers[~np.isnan(numbers)]
        mean = float(known.mean()) if known.size else math.nan
        sd = float(known.std(ddof=1)) if known.size > 1 else math.nan
        return cls(mean, sd, int(known.size))

    @classmethod
    def pooled(cls, parts: Iterable[Spread]) -> Spread:
        """The spread of all values of several parts.

        Args:
            parts: Of values that are measured in the same way.

        Example:
            >>> from lotus.morphometry.spread import Spread
            >>> Spread.pooled([Spread.of([1, 2]), Spread.of([6])]) == Spread.of([1, 2, 6])
            True
        """
        known = [part for part in parts if part.n]
        total = sum(part.n for part in known)
        if not total:
            return cls()
        mean = sum(part.n * part.mean for part in known) / total
        squares = sum(
            part.n * (part.mean - mean) ** 2 + (part.sd**2 * (part.n - 1) if part.n > 1 else 0.0)
            for part in known
        )
        return cls(mean, math.sqrt(squares / (total - 1)) if total > 1 else math.nan, total)
