"""What the masks of a folder mean, and when that has to be said."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lotus.imaging.mask_files import look_at_masks
from lotus.masks import MaskValues, conclude, mask_facts

ROWS, COLUMNS = np.mgrid[:48, :48]
DISCS = [(ROWS - y) ** 2 + (COLUMNS - x) ** 2 < 36 for y, x in ((9, 9), (9, 37), (37, 9), (37, 37))]
BACKGROUND = ~np.any(DISCS, axis=0)


def discs(*values):
    """A mask of four discs, or of the first if there is one value."""
    mask = np.zeros((48, 48), np.uint8)
    for disc, value in zip(DISCS, values, strict=False):
        mask[disc] = value
    return mask


NUMBERS = discs(1, 2, 3, 4)
WHITE = discs(255, 255, 255, 255)
CLASSES = discs(1, 2, 1, 2)
SOFT = gaussian_filter(WHITE.astype(float), 1).astype(np.uint8)
STRAY = np.where((ROWS == 24) & (COLUMNS == 24), 128, WHITE).astype(np.uint8)
RIM = np.where(np.hypot(ROWS - 9, COLUMNS - 9).round() == 7, 255, discs(1, 1, 1, 1)).astype(
    np.uint8
)
RINGS = sum(((np.hypot(ROWS - 24, COLUMNS - 24) < radius) for radius in (20, 15, 10, 5)), start=0)

CELLS = np.pad(np.kron(np.arange(1, 37).reshape(6, 6), np.ones((7, 7), int)), 3)


def meaning(*masks, values="", kind=None, **options):
    said = MaskValues.parse(values)
    facts = {Path(f"masks/{i}.png"): mask_facts(said.apply(mask)) for i, mask in enumerate(masks)}
    return conclude(facts, said, kind, **options)


def share(mask):
    return f"({100 * np.count_nonzero(mask) / mask.size:.1f} % of the pixels)"


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ([WHITE, WHITE], "binary: 0 is background, 255 object"),
        ([WHITE, WHITE // 255], "binary: 0 is background, 1 and 255 object"),
        ([NUMBERS, NUMBERS], "instances: 0 is background, 8 objects"),
        ([CLASSES, CLASSES], "semantic: 0 is background, classes 1 and 2"),
        ([discs(7)], "binary: 0 is background, 7 object"),
        ([discs(1, 2, 3, 90)], "instances: 0 is background, 4 objects"),
        ([CELLS], "instances: 0 is background, 36 objects"),
    ],
)
def test_clear_masks_are_taken_for_what_they_are(masks, text):
    found = meaning(*masks)
    assert found.text == f"{text} {share(masks[0])}"
    assert found.kind == text.partition(":")[0]
    assert found.warnings == ()


def test_an_object_in_two_pieces_is_still_numbered():
    pieces = np.arange(1, 10).repeat(5).reshape(9, 5) * [1, 1, 0, 0, 0]
    pieces[0, 4] = 1
    assert meaning(pieces).kind == "instances"
    assert meaning(pieces, kind="instances").warnings == ()


def test_pixels_that_touch_at_corners_are_in_one_place():
    lines = np.array([[1, 0, 2, 0], [0, 1, 0, 2]])
    assert meaning(lines).kind == "instances"


@pytest.mark.parametrize(
    ("masks", "found", "option"),
    [
        (
            [WHITE // 255 + 1],
            "0.png does not hold 0, the background; found 1 and 2",
            "background=1",
        ),
        ([CLASSES + 1, CLASSES], "0.png does not hold 0, the background", "background=1 object=2"),
        ([WHITE, SOFT], "1.png holds [0-9]+ values up to 255 besides 0 in", "binarise-at=128"),
        ([WHITE] * 4 + [STRAY], "4.png holds 128 and 255 .* 4 other masks", "binarise-at=128"),
        ([discs(255), NUMBERS], "0.png holds one value besides 0, 255 in 1 place", "--mask-kind"),
        ([NUMBERS, discs(9, 9, 9)], "1.png holds one value besides 0, 9 in 3", "--mask-kind"),
        ([RIM], "0.png holds 1 and 255 besides 0", "ignore=255"),
        ([RINGS], "0.png holds 1, 2, 3 and 4 besides 0 in 4 places: neither", "--mask-kind"),
    ],
)
def test_masks_that_can_be_read_in_two_ways_are_refused(masks, found, option):
    with pytest.raises(ValueError, match=found) as caught:
        meaning(*masks)
    assert option in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("masks", "values", "kind", "text"),
    [
        ([WHITE // 255 + 1], "background=1 object=2", None, "binary: 1 is background, 2 object"),
        ([SOFT], "binarise-at=128", None, "binary: object from 128 on"),
        ([NUMBERS + 1], "background=1", "instances", "instances: 1 is background, 4 objects"),
        ([WHITE], "background=0", "instances", "instances: 0 is background, 1 object"),
        (
            [CLASSES + 1],
            "background=1 bone=2 canal=3",
            None,
            "semantic: 1 is background, 2 bone, 3",
        ),
        ([RIM], "ignore=255", None, "binary: 0 is background, 1 object"),
    ],
)
def test_what_is_said_is_not_asked(masks, values, kind, text):
    found = meaning(*masks, values=values, kind=kind)
    assert found.text.startswith(text)
    assert found.warnings == ()


def test_ignored_pixels_are_counted_apart():
    found = meaning(np.array([[0, 1, 1, 255, 255, 255, 255, 255]]), values="ignore=255")
    assert found.text.endswith("1 object (66.7 % of the pixels); 255 is ignored (62.5 %)")


def test_a_kind_that_the_values_do_not_have_is_refused():
    with pytest.raises(ValueError, match="found the kind instances"):
        meaning(SOFT, values="binarise-at=128", kind="instances")


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([WHITE, WHITE], "one value besides 0, 0.png has it in 4 places: .* kind binary"),
        ([discs(255, 255)], "one value besides 0, 0.png has it in 2 places: .* kind binary"),
        ([CLASSES], "2 of 2 values are in several places"),
        ([SOFT], "of kind semantic, or shades of one object .*binarise-at=128"),
        ([RINGS], "3 of 4 values are in several places or enclosed"),
        ([WHITE // 255 + 1], "does not hold 0"),
        (
            [np.where(BACKGROUND & (ROWS % 9 == 0), 255, NUMBERS)],
            "holds 1, 2, 3, 4 and 255.*ignore=255",
        ),
    ],
)
def test_masks_that_number_no_objects_are_no_instances(masks, message):
    with pytest.raises(ValueError, match=message) as caught:
        meaning(*masks, kind="instances", option="--prediction-values")
    assert "\n" not in str(caught.value)
    assert "--mask" not in str(caught.value)


@pytest.mark.parametrize(
    ("masks", "kind", "message"),
    [
        ([SOFT], "binary", r"all are object, soft edges too; --mask-values binarise-at=128"),
        ([WHITE, STRAY], "binary", r"1.png holds 128 and 255 besides 0"),
        (
            [255 - discs(255)],
            "binary",
            r"9\d.\d % of the pixels are object; .*background=255 object=0",
        ),
        ([discs(255), np.maximum(discs(255), STRAY % 255)], "binary", "1.png holds 128 and 255"),
        ([WHITE * 0], "binary", "no mask holds an object"),
        ([NUMBERS, discs(255)], "instances", "1.png holds one value besides 0, where others"),
        ([discs(1, 2, 2, 3)], "instances", "1 of 3 numbers of objects are in several places"),
        ([discs(1, 1)], "instances", "one value besides 0, 1 of them in several places: each is"),
        ([CLASSES + 1], "semantic", "does not hold 0, the background; found 1, 2 and 3"),
        ([WHITE], "semantic", "classes are numbered 1, 2, …; found 255: .* background=0 NAME=255"),
    ],
)
def test_what_may_be_meant_otherwise_is_warned_of(masks, kind, message):
    (warning,) = meaning(*masks, kind=kind).warnings
    assert re.search(message, warning)
    assert "\n" not in warning


@pytest.mark.parametrize(
    "masks", [[NUMBERS], [discs(3, 7, 20, 90)], [CLASSES], [WHITE, WHITE // 255], [RINGS]]
)
def test_label_maps_may_be_taken_for_binary_masks(masks):
    assert meaning(*masks, kind="binary").warnings == ()


def test_a_network_may_find_objects_everywhere_or_nowhere():
    for mask in (WHITE * 0 + 1, WHITE * 0):
        assert meaning(mask, kind="binary", are_predicted=True).warnings == ()
    assert meaning(NUMBERS + 1, NUMBERS, kind="binary", are_predicted=True).warnings == ()
    with pytest.raises(ValueError, match=r"0\.png does not hold 0"):
        meaning(NUMBERS + 1, NUMBERS, kind="binary")
    with pytest.raises(ValueError, match="does not hold 0"):
        meaning(NUMBERS + 1, kind="binary", are_predicted=True)


def test_numbers_far_apart_are_counted_like_small_ones():
    apart = np.array([0, 7, 2**31, 2**32 - 1], np.uint32)[CLASSES]
    near, far = (mask_facts(MaskValues().apply(mask)) for mask in (CLASSES, apart))
    assert (far.n_values, far.places, far.scattered) == (near.n_values, near.places, near.scattered)
    assert far.values == (7, 2**31)
    assert far.background == np.count_nonzero(BACKGROUND)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (
            "cortical_histology_fexhip/*_classes.png",
            "semantic: 0 is background, classes 1, 2 and 3",
        ),
        ("cortical_histology_fexhip/*_instances.png", "instances: 0 is background, 244 objects"),
        ("bone_he_utsw/*_lacunae.png", "instances: 0 is background, 356 objects"),
        ("bone_he_utsw/*_ignore.png", "binary: 0 is background, 1 object"),
        ("dsb2018/histology/labels/*.png", "instances: 0 is background"),
        ("trichrome_bone/*_classes.png", "semantic: 0 is background, classes 1 and 2"),
    ],
)
def test_real_masks_are_taken_for_what_they_are(shared_data, pattern, text):
    paths = sorted(shared_data.glob(pattern))
    assert len(paths) > 1
    found = conclude(look_at_masks(paths, MaskValues()), MaskValues())
    assert found.text.startswith(text)
    assert found.warnings == ()
