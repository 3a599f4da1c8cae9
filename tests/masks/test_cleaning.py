"""Cleaning of segmented pores, beside one of a whole volume in plain steps."""

import numpy as np
import pytest
from scipy import ndimage

from lotus.masks import PoreCleaning, clean_pores

LCN, SHADE_OFF, BONE = 1, 2, 3
FULL = np.ones((3, 3, 3))


def volume(seed=0, shape=(13, 14, 15)):
    """Bone with shade-off, pores of all sizes and fragments beside it."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
    labels = np.where(smooth > -0.15, BONE, 0)
    labels[rng.random(shape) < 0.1] = SHADE_OFF
    labels[ndimage.gaussian_filter(rng.normal(size=shape), 0.8) > 0.35] = LCN
    return labels.astype(np.uint8)


def cleaned_at_once(labels, radius, minimum_size, *, keep_fragments=False):
    """The four steps, one after the other, on the whole volume."""
    labels = np.where(labels == SHADE_OFF, BONE, labels)
    reach = np.arange(-radius, radius + 1)
    z, y, x = np.meshgrid(reach, reach, reach, indexing="ij")
    ball = z * z + y * y + x * x <= radius * radius
    dilated = ndimage.binary_dilation(labels == LCN, ball)
    closed = ndimage.binary_erosion(dilated, ball, border_value=True)
    labels[closed & (labels == BONE)] = LCN
    pores, count = ndimage.label(labels == LCN, FULL)
    removed = 0
    for number in range(1, count + 1):
        if (pores == number).sum() < minimum_size:
            labels[pores == number] = BONE
            removed += 1
    bodies, count = ndimage.label(labels != 0, FULL)
    sizes = [(bodies == number).sum() for number in range(1, count + 1)]
    if not keep_fragments:
        labels[bodies != 1 + int(np.argmax(sizes))] = 0
    return labels, removed, count - 1


def joined(cleaned):
    starts, blocks = zip(*cleaned.blocks(), strict=True)
    assert list(starts) == np.cumsum([0, *map(len, blocks[:-1])]).tolist()
    return np.concatenate(blocks)


@pytest.mark.parametrize("block_depth", [1, 3, 64])
@pytest.mark.parametrize(("radius", "minimum_size"), [(1, 12), (2, 30), (0, 5)])
def test_the_result_is_that_of_the_whole_volume_whatever_the_blocks(
    radius, minimum_size, block_depth
):
    labels = volume()
    given = labels.copy()
    cleaning = PoreCleaning(
        merged={SHADE_OFF: BONE}, closing_radius=radius, minimum_size=minimum_size
    )
    found = clean_pores(lambda a, b: labels[a:b], len(labels), cleaning, block_depth=block_depth)
    expected, pores, fragments = cleaned_at_once(labels, radius, minimum_size)
    assert pores > 0
    assert fragments > 0
    np.testing.assert_array_equal(joined(found), expected)
    assert (found.removed_pores, found.removed_fragments) == (pores, fragments)
    assert found.box == ndimage.find_objects((expected > 0).astype(int))[0]
    np.testing.assert_array_equal(labels, given)


def test_fragments_may_stay():
    labels = volume(seed=1)
    cleaning = PoreCleaning(merged={SHADE_OFF: BONE}, minimum_size=9, keep_fragments=True)
    found = clean_pores(lambda a, b: labels[a:b], len(labels), cleaning, block_depth=4)
    expected, *_ = cleaned_at_once(labels, 1, 9, keep_fragments=True)
    np.testing.assert_array_equal(joined(found), expected)
    assert found.removed_fragments == 0


def test_gaps_are_closed_in_bone_and_not_outside():
    row = np.array([[[LCN, BONE, LCN, 0, LCN, BONE, BONE, BONE, LCN]]])
    cleaning = PoreCleaning(minimum_size=0, keep_fragments=True)
    found = clean_pores(lambda a, b: row[a:b], 1, cleaning)
    assert joined(found).ravel().tolist() == [1, 1, 1, 0, 1, 3, 3, 3, 1]


@pytest.mark.parametrize("value", [0, LCN, BONE])
def test_a_volume_of_one_class_is_left_as_it_is(value):
    labels = np.full((3, 4, 5), value)
    found = clean_pores(lambda a, b: labels[a:b], 3, PoreCleaning(minimum_size=10))
    np.testing.assert_array_equal(joined(found), labels)
    sides = (0, 0, 0) if value == 0 else labels.shape
    assert found.box == tuple(slice(0, side) for side in sides)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pores": 0}, "pores are 0 and the matrix 3"),
        ({"matrix": 1}, "pores are 1 and the matrix 1"),
        ({"minimum_size": -1}, "neither can be below 0"),
        ({"merged": {1: 3}}, "1 becomes 3, and is what pores"),
        ({"merged": {2: 4, 4: 3}}, "4 becomes 3"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PoreCleaning(**settings)
