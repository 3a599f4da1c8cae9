from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lotus.morphometry.tally import Tally

VALUES = hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(0, 50, width=32))


@given(VALUES, st.integers(0, 60), st.sampled_from([0.25, 1.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_parts_have_the_statistics_of_the_whole(values, cut, width):
    tally = Tally(width)
    tally.add(values[:cut])
    tally.add(values[cut:])
    assert tally.count == len(values)
    whole = values.astype(float)
    for found, expected in (
        (tally.mean, np.mean(whole) if len(whole) else np.nan),
        (tally.sd, np.std(whole) if len(whole) else np.nan),
        (tally.maximum, np.max(whole, initial=-1) if len(whole) else np.nan),
    ):
        assert found == pytest.approx(expected, nan_ok=True, abs=1e-6)
    histogram = tally.histogram(measure="LCN.Th", unit="µm", counted="voxels")
    edges = histogram.edges
    assert edges[0] == 0
    assert len(histogram.counts) <= 40
    np.testing.assert_allclose(np.diff(edges), edges[1])
    assert edges[-1] > np.max(whole, initial=0)
    inside = [((whole >= a) & (whole < b)).sum() for a, b in pairwise(edges)]
    assert histogram.counts.tolist() == inside


def test_the_histogram_is_fine_and_says_what_it_is_of():
    tally = Tally(0.1)
    tally.add(np.linspace(0, 50, 200))
    histogram = tally.histogram(measure="LCN.Th", unit="µm", counted="voxels")
    assert 20 < len(histogram.counts) <= 40
    assert (histogram.measure, histogram.unit, histogram.counted) == ("LCN.Th", "µm", "voxels")
