import csv

import numpy as np
import pytest

from lotus.transforms.enhancement import SRMicroCTEnhancement
from lotus.transforms.slice_facts import (
    SliceFacts,
    bone_fraction,
    problem_of,
    refuse_unusable,
    suspicions,
    write_slice_table,
)

FRACTIONS = [0.40, 0.41, 0.40, 0.42, 0.41, 0.40, 0.41]


def facts(fraction, number=0, stack="a", low=0.0, high=1.0, **more):
    return SliceFacts(
        "scan", number, "scan.tif", "bone.tif", stack, "otsu", fraction, low, high, **more
    )


def stack(fractions, **more):
    return [facts(fraction, number, **more) for number, fraction in enumerate(fractions)]


def test_an_even_stack_has_no_suspect():
    assert suspicions(stack(FRACTIONS)) == [""] * len(FRACTIONS)


def test_a_jump_of_the_bone_fraction_is_named_with_its_neighbours():
    fractions = [*FRACTIONS[:3], 0.60, *FRACTIONS[4:]]
    found = suspicions(stack(fractions))
    # The neighbours hold 0.41, 0.40, 0.41 and 0.40.
    assert found[3] == "60.0 % bone beside 40.5 % in its neighbours"
    assert [number for number, reason in enumerate(found) if reason] == [3]


def test_in_a_stack_that_varies_a_jump_as_usual_is_none():
    fractions = [0.2, 0.5, 0.3, 0.6, 0.2, 0.55, 0.3]
    assert suspicions(stack(fractions)) == [""] * len(fractions)


def test_stacks_are_no_neighbours_of_each_other():
    both = [*stack(FRACTIONS[:3], stack="a"), *stack([0.8, 0.81, 0.8], stack="b")]
    assert suspicions(both) == [""] * 6


def test_a_grey_range_unlike_its_neighbours():
    slices = stack(FRACTIONS)
    slices[2] = facts(0.40, 2, low=0.0, high=0.4)
    assert suspicions(slices)[2] == "grey range 0.4 times that of its neighbours"
    # The acquisition error shifts grey values and leaves their range.
    slices[2] = facts(0.40, 2, low=-1.0, high=0.0)
    assert suspicions(slices)[2] == ""


def test_blank_slices_are_suspect_and_nobody_s_neighbour():
    slices = stack(FRACTIONS)
    slices[3] = SliceFacts("scan", 3, "scan.tif", "bone.tif", "a", problem="image is constant")
    assert suspicions(slices) == ["", "", "", "image is constant", "", "", ""]


def test_the_table_leaves_undefined_values_empty(tmp_path):
    blank = SliceFacts("scan", 1, "scan.tif", "bone.tif", "a", problem="image is constant")
    write_slice_table(tmp_path / "slices.csv", [facts(0.25, padding=-1.0), blank])
    with (tmp_path / "slices.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        **{"name": "scan", "slice": "0", "source": "scan.tif", "route": "otsu"},
        **{"bone_fraction": "0.25", "grey_low": "0.0", "grey_high": "1.0", "padding": "-1.0"},
        "suspect": "",
    }
    assert (rows[1]["route"], rows[1]["grey_low"], rows[1]["padding"]) == ("", "", "")
    assert rows[1]["suspect"] == "image is constant"


@pytest.fixture
def raw():
    """A bright square of 60 in 120 pixels with noise, grey values around 0.2 and 0.7."""
    image = np.full((120, 120), 0.2, np.float32)
    image[30:90, 30:90] = 0.7
    return image + np.random.default_rng(0).normal(0, 0.03, image.shape).astype(np.float32)


def enhanced(image):
    return SRMicroCTEnhancement().enhance(image)


def test_bone_is_a_fraction_of_the_field_of_view(raw):
    assert bone_fraction(enhanced(raw).bone, raw) == pytest.approx(0.25, abs=0.01)
    raw[:, 105:] = np.nan
    assert bone_fraction(enhanced(raw).bone, raw) == pytest.approx(60**2 / (120 * 105), abs=0.01)


@pytest.mark.parametrize("offset", [0.0, -1.0, -0.3])
def test_grey_values_on_one_side_of_0_are_those_of_a_route(raw, offset):
    """Noise of the air may cross 0, as a third of the way between both grey values does not."""
    found = enhanced(raw + np.float32(offset))
    assert found.route == ("kmeans" if offset == -1.0 else "otsu" if offset == 0.0 else "kmeans")
    is_neither = "lie on both sides of 0" in problem_of(found, raw)
    assert is_neither == (offset == -0.3)
    if is_neither:
        with pytest.raises(ValueError, match=r"grey values from -0\.1\d* to 0\.\d+ lie on both"):
            refuse_unusable(found, 20)
    else:
        refuse_unusable(found, 20)


def test_missing_pixels_within_the_field_are_named_and_those_around_it_not(raw):
    around = raw.copy()
    around[:, :10] = np.nan
    assert problem_of(enhanced(around), around) == ""
    within = raw.copy()
    within[50:62, 50:62] = np.nan
    assert problem_of(enhanced(within), within) == "1 % of the pixels are NaN or infinite"
    around[:12, :10] = np.inf
    found = problem_of(enhanced(around), around)
    assert found == "0.83 % of the pixels are NaN or infinite"


def test_a_slice_without_bone_and_one_of_nothing_else(raw):
    specks = np.random.default_rng(0).random((120, 120)).astype(np.float32)
    specks[::10] = 5.0
    found = enhanced(specks)
    assert problem_of(found, specks) == "no bone"
    with pytest.raises(ValueError, match="found no bone: nothing bright is as large as the open"):
        refuse_unusable(found, 20)
    full = found._replace(bone=np.ones_like(found.bone))
    assert problem_of(full, specks) == "nothing but bone"
    speck = np.zeros_like(found.bone)
    speck[0, :7] = True
    assert problem_of(found._replace(bone=speck), specks) == "hardly any bone (0.049 %)"
