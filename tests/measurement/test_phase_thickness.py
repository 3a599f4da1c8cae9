import math

import numpy as np
import pytest

from lotus.measurement.phase_thickness import PhaseThickness
from lotus.measurement.scale import Scale


def test_blocks_add_up_to_rows():
    found = PhaseThickness("Tb.Th", "bone", Scale((2.0, 1.0, 1.0)), "surface")
    found.add(np.array([[[0.0, 4.0, 8.0]]], np.float32))
    found.add(np.array([[[6.0, np.nan, 0.5]]], np.float32))
    mean, largest, thin = found.measures()
    assert (mean.measure, mean.value, mean.n, mean.unit) == ("Tb.Th", 4.625, 4, "µm")
    assert mean.sd == pytest.approx(np.std([4, 8, 6, 0.5]))
    assert "up to the surface" in mean.definition
    assert (largest.measure, largest.value) == ("Tb.Th max", 8.0)
    # Three voxels are 6 µm along the axis where voxels are longest.
    assert (thin.measure, thin.value, thin.n) == ("Tb.Th unresolved", 0.5, 2)
    (histogram,) = found.histograms()
    assert histogram.counts.sum() == 4
    # An eighth of a voxel, of which two are joined to make at most 40 bins.
    assert histogram.edges[1] == 0.25


def test_nothing_has_no_thickness():
    found = PhaseThickness("LCN.Th", "the LCN", Scale(None), "centre")
    found.add(np.full((1, 2, 2), np.nan, np.float32))
    assert all(math.isnan(row.value) for row in found.measures())
    assert found.histograms() == []
    assert found.measures()[0].unit == "voxel"
