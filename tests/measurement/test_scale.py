import pytest

from lotus.measurement.scale import Scale


def test_millimetres_of_lengths_volumes_and_densities():
    scale = Scale((2.0, 3.0, 4.0))
    assert scale.voxel_volume == 24.0
    assert scale.micrometres(24.0, 3) == (24.0, "µm³")
    assert scale.micrometres(2.0, -2) == (2.0, "µm⁻²")
    assert scale.millimetres(500.0) == (pytest.approx(0.5), "mm")
    assert scale.millimetres(2e9, 3) == (pytest.approx(2.0), "mm³")
    assert scale.millimetres(3e-9, -3) == (pytest.approx(3.0), "mm⁻³")
    assert scale.millimetres(4e-3, -1) == (pytest.approx(4.0), "mm⁻¹")


def test_without_voxel_size_nothing_is_converted():
    scale = Scale(None)
    assert (scale.spacing, scale.voxel_volume) == ((1.0, 1.0, 1.0), 1.0)
    assert scale.micrometres(7.0, 3) == (7.0, "voxel³")
    assert scale.millimetres(7.0) == (7.0, "voxel")
