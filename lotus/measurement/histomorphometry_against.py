"""The measures of regions beside those of the same regions measured otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lotus.measurement.histomorphometry_definitions import DEFINITIONS, measure_of

NAMES = ("roi", "image")
"""Columns that say which region a row is of."""


def read_other(path: Path, regions: str) -> pd.DataFrame:
    """Measures of regions from a table.

    Args:
        path: CSV with the column ``roi`` or ``image`` and measures by the names that `lotus measure
            histomorphometry` gives them, or a folder that it wrote.
        regions: Name of the table in such a folder.

    Returns:
        A row per region, by its name.

    Raises:
        FileNotFoundError: There is no such table.
        ValueError: It does not name its regions, or a region has two rows.
    """
    path = path / regions if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected a table of measured regions")
    table = pd.read_csv(path, dtype=dict.fromkeys(NAMES, str))
    name = next((name for name in NAMES if name in table), None)
    if name is None:
        raise ValueError(
            f"{path} has the columns {', '.join(map(str, table.columns))}; expected roi (or image) "
            "and measures such as BV/TV (%)"
        )
    twice = table[name][table[name].duplicated()]
    if len(twice):
        raise ValueError(f"{path}: the region {twice.iloc[0]} is there twice; expected a row each")
    return table.set_index(name)


def compared_regions(regions: pd.DataFrame, others: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How far measures are from those of the same regions measured otherwise.

    A region in which a measure is undefined in either is left out of it, and counted.

    Args:
        regions: Table of :func:`~lotus.measurement.histomorphometry.region_table`.
        others: Of :func:`read_other`, by any name.

    Returns:
        A row per other table, domain and measure that both have: ``other``, ``domain``,
        ``measure``, ``unit``, ``n`` regions, ``undefined`` ones, the means ``value`` and
        ``against``, their ``difference`` and this ``relative`` to the other mean, ``sd`` and
        ``largest`` amount of the differences.

    Raises:
        ValueError: A table has no region or no measure in common with the regions.

    Example:
        >>> import pandas as pd
        >>> from lotus.measurement.histomorphometry_against import compared_regions
        >>> found = pd.DataFrame({"roi": ["a", "b"], "domain": "", "BV/TV (%)": [21.0, 30.0]})
        >>> true = pd.DataFrame({"BV/TV (%)": [20.0, 32.0]}, index=["a", "b"])
        >>> table = compared_regions(found, {"truth": true})
        >>> table[["n", "value", "difference", "largest"]].values.tolist()
        [[2.0, 25.5, -0.5, 2.0]]
    """
    rows = []
    for name, other in others.items():
        columns = [c for c in DEFINITIONS if c in regions and c in other and _is_mean(c)]
        known = regions[regions["roi"].isin(other.index)]
        if known.empty or not columns:
            what, here, there = "region", [*regions["roi"]], [*other.index]
            if not known.empty:
                what, here, there = "measure", [*regions], [*other]
            raise ValueError(
                f"{name} has no {what} in common with what was measured: it has "
                f"{', '.join(map(str, there[:3]))}, and here are {', '.join(map(str, here[:3]))}"
            )
        for domain, own in known.groupby("domain", sort=False):
            facts = {"other": name, "domain": domain}
            own = own.set_index("roi")
            rows += [facts | _compared(own[c], other.loc[own.index, c], c) for c in columns]
    return pd.DataFrame(rows)


def _compared(own: pd.Series[float], other: pd.Series[float], column: str) -> dict[str, object]:
    difference = (own - other).dropna()
    value, against = own[difference.index], other[difference.index]
    measure, unit = measure_of(column)
    return {
        "measure": measure,
        "unit": unit,
        "n": len(difference),
        "undefined": len(own) - len(difference),
        "value": value.mean(),
        "against": against.mean(),
        "difference": difference.mean(),
        "relative": difference.mean() / against.mean() if against.any() else np.nan,
        "sd": difference.std(ddof=1),
        "largest": difference.abs().max(),
    }


def _is_mean(column: str) -> bool:
    """Not a count or a spread, which differ with how often is measured."""
    return not column.endswith((" n", "SD (um)"))
