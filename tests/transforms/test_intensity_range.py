import numpy as np
import pytest

from lotus.transforms import DtypeRange, PercentileRange, finite_range


def test_dtype_range_divides_by_the_largest_value_of_the_type():
    values = DtypeRange()(np.array([[[0, 51, 255]]], np.uint8))
    np.testing.assert_allclose(values, [[[0.0, 0.2, 1.0]]], rtol=1e-6)
    assert values.dtype == np.float32
    assert DtypeRange()(np.array([[[0, 65535]]], np.uint16)).max() == 1.0


def test_dtype_range_keeps_floats_and_blanks_missing_pixels():
    image = np.array([[[0.25, np.nan, 0.5, np.inf]]], np.float32)
    np.testing.assert_array_equal(DtypeRange()(image), [[[0.25, 0.0, 0.5, 0.0]]])


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.array([[[0.0, 1.5]]]), r"\[0, 1.5\]"),
        (np.array([[[0, 5]]], np.int16), "int16"),
    ],
)
def test_dtype_range_refuses_what_has_no_full_range(image, found):
    with pytest.raises(ValueError, match=found):
        DtypeRange()(image)


def test_percentile_range_matches_percentiles_of_finite_pixels():
    image = np.random.default_rng(0).normal(size=(2, 40, 40)).astype(np.float32)
    image[0, :5] = np.nan
    low, high = np.nanpercentile(image, (5, 90))
    expected = np.nan_to_num(np.clip((image - low) / (high - low), 0, 1))
    np.testing.assert_allclose(PercentileRange(5, 90)(image), expected, atol=1e-6)


def test_percentiles_that_coincide_fall_back_to_the_full_range():
    image = np.zeros((1, 50, 50), np.uint16)
    image[0, 3, 3] = 400
    image[0, 4, 4] = 200
    scaled = PercentileRange(1, 99)(image)
    assert scaled[0, 3, 3] == 1.0
    assert scaled[0, 4, 4] == 0.5


@pytest.mark.parametrize("limits", [(-1.0, 50.0), (50.0, 50.0), (10.0, 101.0)])
def test_impossible_percentiles_are_refused(limits):
    with pytest.raises(ValueError, match="percentiles"):
        PercentileRange(*limits)


def test_repr_tells_settings_apart():
    assert repr(PercentileRange(0.0, 99.0)) == "PercentileRange(lower=0.0, upper=99.0)"


def test_finite_range_ignores_infinities():
    assert finite_range(np.array([-np.inf, 2.0, np.nan, 5.0])) == (2.0, 5.0)
