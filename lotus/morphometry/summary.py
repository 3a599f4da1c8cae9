"""What was measured of a volume, one row per measure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of a volume.

    Attributes:
        measure: Its name in the field, such as ``BV/TV`` or ``Tb.Th``.
        value: NaN where it is not defined.
        sd: Standard deviation over what the value is the mean of; NaN where it is no mean.
        n: How many voxels, cells or branches the value is of; None where it is of none.
        unit: Such as ``µm`` or ``mm⁻³``; empty for a ratio.
        definition: What exactly was measured, in words.
    """

    measure: str
    value: float
    sd: float = math.nan
    n: int | None = None
    unit: str
    definition: str


def mean_measure(values: ArrayLike, *, measure: str, unit: str, definition: str) -> Measure:
    """The mean over cells, branches or the like, with their standard deviation and number.

    Args:
        values: (N,), NaN where it is undefined, which is left out and not counted.
        measure: Name.
        unit: Of the values.
        definition: What was measured.

    Returns:
        The row; NaN without values. The standard deviation is that of a sample, by N - 1.

    Example:
        >>> from lotus.morphometry.summary import mean_measure
        >>> row = mean_measure([1.0, 3.0, float("nan")], measure="a", unit="", definition="b")
        >>> row.value, round(row.sd, 3), row.n
        (2.0, 1.414, 2)
    """
    numbers = np.asarray(values, np.float64)
    known = numbers[~np.isnan(numbers)]
    return Measure(
        measure=measure,
        value=float(known.mean()) if len(known) else math.nan,
        sd=float(known.std(ddof=1)) if len(known) > 1 else math.nan,
        n=len(known),
        unit=unit,
        definition=definition,
    )


def summary_table(measures: Iterable[Measure]) -> pd.DataFrame:
    """A row per measure, in the order given.

    Args:
        measures: With names that differ.

    Returns:
        The columns ``measure, value, sd, n, unit, definition``; ``n`` is a whole number or missing.

    Raises:
        ValueError: Two measures have the same name.

    Example:
        >>> from lotus.morphometry.summary import Measure, summary_table
        >>> share = Measure(measure="BV/TV", value=0.25, n=1000, unit="", definition="bone / all")
        >>> summary_table([share])[["measure", "value", "n"]].values.tolist()
        [['BV/TV', 0.25, 1000]]
    """
    columns = [field.name for field in fields(Measure)]
    table = pd.DataFrame([asdict(measure) for measure in measures], columns=columns)
    twice = table["measure"][table["measure"].duplicated()]
    if len(twice):
        raise ValueError(f"the measure {twice.iloc[0]} is there twice; each has one row")
    return table.astype({"value": float, "sd": float, "n": "Int64"})


def compared_summary(summary: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The measures of two volumes side by side, such as those of a segmentation and of the truth.

    Args:
        summary: Columns of :func:`summary_table`.
        other: Of the other volume.

    Returns:
        A row per measure that both have: ``measure``, ``unit``, ``value``, ``against``,
        ``difference`` of the two and ``relative`` to the other one; NaN where it is not defined.

    Raises:
        ValueError: They have no measure in common, or one in different units.

    Example:
        >>> import pandas as pd
        >>> from lotus.morphometry.summary import compared_summary
        >>> found = pd.DataFrame({"measure": ["BV"], "value": [1.5], "unit": ["mm³"]})
        >>> compared_summary(found, found.assign(value=2.0))[["difference", "relative"]].values
        array([[-0.5 , -0.25]])
    """
    both = summary.merge(other, on="measure", suffixes=("", "_other"))
    if both.empty:
        raise ValueError("the two summaries have no measure in common")
    unlike = both[both["unit"].fillna("") != both["unit_other"].fillna("")]
    if len(unlike):
        row = unlike.iloc[0]
        raise ValueError(
            f"{row['measure']} is in {row['unit'] or 'no unit'} here and in "
            f"{row['unit_other'] or 'no unit'} there; measure both with the same voxel size"
        )
    found = both[["measure", "unit", "value"]].assign(against=both["value_other"])
    found["difference"] = found["value"] - found["against"]
    found["relative"] = found["difference"] / found["against"].where(found["against"] != 0)
    return found
