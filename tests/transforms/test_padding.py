import numpy as np
import pytest

from lotus.transforms import SRMicroCTEnhancement, enhance_slice
from lotus.transforms.padding import without_padding

SIDE = 200
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
ROUND = np.hypot(ROWS - 99.5, COLUMNS - 99.5) < 100
ROTATED = abs(ROWS - 100 + 0.2 * (COLUMNS - 100)) + abs(COLUMNS - 100 - 0.2 * (ROWS - 100)) < 110
STRIP = COLUMNS < 180
FIELDS = {"round": ROUND, "rotated": ROTATED, "strip": STRIP}


@pytest.fixture
def image():
    """Air and bone with pores, float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    radius = np.hypot(ROWS - 100, COLUMNS - 100)
    grey = np.where(radius < 75, 0.8, 0.15)
    for y, x in rng.integers(70, 130, (12, 2)):
        grey[y : y + 3, x : x + 4] = 0.3
    return (grey + rng.normal(0, 0.02, grey.shape)).astype(np.float32)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [-32768.0, 0.0, -1.0, 0.5, 1.0])
def test_a_constant_border_is_found_and_counts_nowhere(image, field, value):
    padded = np.where(FIELDS[field], image, np.float32(value))
    missing = np.where(FIELDS[field], image, np.float32(np.nan))
    found, said = without_padding(padded)
    assert said == value
    np.testing.assert_array_equal(found, missing)
    enhanced, bone = enhance_slice(padded, opening_px=8, closing_px=4)
    low, high = np.percentile(image[FIELDS[field]], (1, 99))
    expected = np.clip((image - low) / (high - low), 0, 1)
    np.testing.assert_allclose(enhanced[bone], expected[bone], atol=1e-5)
    alone = enhance_slice(missing, opening_px=8, closing_px=4, padding_value="none")[1]
    np.testing.assert_array_equal(bone, alone)
    assert not bone[~FIELDS[field]].any()
    true = np.hypot(ROWS - 100, COLUMNS - 100) < 75
    assert np.mean(bone == (true & FIELDS[field])) > 0.98


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_integers_are_padded_too(image, dtype):
    counts = np.round(np.clip(image, 0.01, 1) * 100).astype(dtype)
    value = -32768 if dtype == np.int16 else 0
    found, said = without_padding(np.where(ROUND, counts, value).astype(dtype))
    assert said == value
    np.testing.assert_array_equal(found, np.where(ROUND, counts, np.nan))


def clipped_air(image):
    """Air whose noise is cut off at 0: most pixels of the border are 0, and many are not."""
    return np.clip(image - 0.17, 0, 1)


def coarse_air(image):
    """A background of few grey levels, as in 8-bit fluorescence."""
    return np.round(image * 30)


def bone_without_surroundings(image):
    """A masked slice of several pieces."""
    pieces = (ROWS % 100 > 20) & (COLUMNS % 100 > 20)
    return np.where(pieces, image, 0)


def dented(image):
    return np.where((ROWS > 30) & ((abs(COLUMNS - 100) > 40) | (ROWS > 120)), image, 0)


def one_corner(image):
    return np.where((ROWS + COLUMNS) > 100, image, 0)


def thin_line(image):
    return np.where(COLUMNS > 0, image, 0)


@pytest.mark.parametrize(
    "draw",
    [clipped_air, coarse_air, bone_without_surroundings, dented, one_corner, thin_line, np.array],
)
def test_what_may_be_data_is_left_alone(image, draw):
    drawn = draw(image)
    found, value = without_padding(drawn)
    assert value is None
    assert found is drawn


def test_a_field_has_contrast():
    for image in (np.zeros((30, 30)), np.where(ROUND, 0.9, 0.1)):
        assert without_padding(image)[1] is None


def test_a_value_given_by_hand_counts_at_the_border_alone(image):
    dark = dented(image)
    dark[150, 100] = 0
    found, value = without_padding(dark, 0)
    assert value == 0
    expected = np.where(dark == 0, np.nan, dark)
    expected[150, 100] = 0
    np.testing.assert_array_equal(found, expected)
    assert without_padding(image, -1)[1] is None
    padded = np.where(ROUND, image, -1)
    assert without_padding(padded, "none") == (padded, None)


def test_the_preprocessing_says_it_once(image, caplog):
    padded = np.where(ROUND, image, np.float32(-77.0))
    enhancement = SRMicroCTEnhancement(opening_px=8, closing_px=4)
    for _ in range(2):
        enhanced = enhancement(padded[None])
    np.testing.assert_array_equal(enhanced[0], enhance_slice(padded, opening_px=8, closing_px=4)[0])
    (record,) = caplog.records
    assert "-77" in record.message
    whole = SRMicroCTEnhancement(opening_px=8, closing_px=4, padding_value="none")
    assert (whole(padded[None]) != enhanced).any()


def test_a_padding_value_that_is_none(image):
    with pytest.raises(ValueError, match="'black'; expected a number, auto or none"):
        SRMicroCTEnhancement(padding_value="black")
