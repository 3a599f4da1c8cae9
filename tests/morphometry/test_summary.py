import math

import numpy as np
import pytest

from lotus.morphometry.histogram import histogram
from lotus.morphometry.summary import Measure, compared_summary, summary_table


def measure(name, **changes):
    return Measure(**{"measure": name, "value": 1.0, "unit": "µm", "definition": "d", **changes})


def test_columns_and_rows_in_order():
    table = summary_table([measure("b", sd=2.0, n=3), measure("a", value=math.nan)])
    assert list(table) == ["measure", "value", "sd", "n", "unit", "definition"]
    assert table["measure"].tolist() == ["b", "a"]
    assert table["n"].isna().tolist() == [False, True]
    assert table.to_csv(index=False).splitlines()[1:] == ["b,1.0,2.0,3,µm,d", "a,,,,µm,d"]


def test_no_measures_make_a_table_without_rows():
    assert list(summary_table([])) == ["measure", "value", "sd", "n", "unit", "definition"]


def test_a_name_stands_once():
    with pytest.raises(ValueError, match="the measure a is there twice"):
        summary_table([measure("a"), measure("a")])


def test_a_histogram_counts_what_is_finite_from_zero():
    values = np.array([[0.5, 1.5], [np.nan, 4.0], [np.inf, 3.9]])
    found = histogram(values, measure="x", unit="µm", counted="voxels", bins=4)
    assert found.edges.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found.counts.tolist() == [1, 1, 0, 2]
    assert histogram([-2.0, 2.0], measure="x", unit="", counted="c", bins=2).edges[0] == -2.0


def test_a_histogram_of_nothing_is_empty():
    assert histogram([], measure="x", unit="", counted="cells").counts.sum() == 0


def test_two_summaries_side_by_side():
    def of(**values):
        return summary_table(
            [
                Measure(measure=name, value=value, unit=unit, definition="x")
                for name, (value, unit) in values.items()
            ]
        )

    one = of(BV=(2.0, "mm³"), n=(3.0, ""), here=(1.0, ""), odd=(math.nan, ""))
    other = of(n=(0.0, ""), BV=(4.0, "mm³"), there=(1.0, ""), odd=(1.0, ""))
    found = compared_summary(one, other).set_index("measure")
    assert list(found.index) == ["BV", "n", "odd"]
    assert found.loc["BV", ["value", "against", "difference", "relative"]].tolist() == [
        *(2.0, 4.0, -2.0, -0.5)
    ]
    assert found.loc["n", "difference"] == 3.0
    assert math.isnan(found.loc["n", "relative"])
    assert math.isnan(found.loc["odd", "difference"])
    with pytest.raises(ValueError, match="BV is in voxel³ here and in mm³ there"):
        compared_summary(of(BV=(1.0, "voxel³")), other)
    with pytest.raises(ValueError, match="no measure in common"):
        compared_summary(of(x=(1.0, "")), other)
