"""What the scores of a study follow where its methods are a grid of factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lotus.atomic import atomic_path
from lotus.evaluation.factors import factor_tests
from lotus.reports.factor_figure import write_factor_figure
from lotus.runs import RunFolder
from lotus.studies.stages import Training


def write_factors(table: RunFolder, methods: Mapping[str, Training]) -> pd.DataFrame | None:
    """Test and draw what every factor does to every score of a compared table.

    A method's score is the mean over its images and seeds.

    Args:
        table: The comparison, with the scores of all images.
        methods: Its methods; those that are not of the grid do not count.

    Returns:
        The tests, see :func:`~lotus.evaluation.factors.factor_tests`; None where there is no grid.

    Raises:
        ValueError: The methods of the grid differ in unlike factors.
    """
    grid: dict[str, Mapping[str, Any]] = {
        name: method.levels for name, method in methods.items() if method.levels
    }
    if not grid:
        return None
    first = next(iter(grid))
    for name, levels in grid.items():
        if levels.keys() != grid[first].keys():
            raise ValueError(
                f"{first} differs in {', '.join(grid[first])}, and {name} in {', '.join(levels)}; "
                "methods of one table differ in the same factors"
            )
    images = pd.read_csv(table.compared_images)
    scores = [name for name in map(str, images) if name not in ("name", "patient", "method")]
    means = images.groupby("method")[scores].mean()
    factors = list(grid[first])
    cells = pd.DataFrame.from_dict(grid, orient="index").join(means)
    tests = factor_tests(cells, factors, scores)
    with atomic_path(table.factors(".csv")) as temporary:
        tests.to_csv(temporary, index=False, float_format="%.10g")
    write_factor_figure(table.factors(".png"), cells, factors, scores)
    return tests
