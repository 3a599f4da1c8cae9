"""What the values of a mask stand for."""

import numpy as np
import pytest

from lotus.masks import USUAL_VALUES, MaskValues, classes_and_objects

STORED = np.array([[1, 2, 255], [2, 3, 1]], np.uint8)


@pytest.mark.parametrize(
    "text",
    [
        *("", "background=1", "background=1 object=2", "ignore=255", "binarise-at=128 ignore=7"),
        *("background=3 bone=2 canal=1 ignore=255", "binarise-at=0.5", "background=0"),
    ],
)
def test_text_and_values_are_the_same(text):
    values = MaskValues.parse(text)
    assert MaskValues.parse(str(values)) == values
    assert set(str(values).split()) == set(text.split())


def test_usual_values_are_those_of_the_file():
    labels = USUAL_VALUES.apply(STORED)
    np.testing.assert_array_equal(labels.values, STORED)
    assert labels.ignored is None


def test_named_classes_are_numbered_in_their_order():
    labels = MaskValues.parse("background=1 canal=3 bone=2 ignore=255").apply(STORED)
    np.testing.assert_array_equal(labels.values, [[0, 2, 0], [2, 1, 0]])
    np.testing.assert_array_equal(labels.ignored, STORED == 255)


def test_named_classes_leave_0_to_the_background():
    stored = np.array([[0, 5, 5]])
    labels = MaskValues.parse("object=5").apply(stored)
    np.testing.assert_array_equal(labels.values, [[0, 1, 1]])


def test_a_background_alone_changes_places_with_0():
    stored = np.array([[0, 1, 1, 7]])
    labels = MaskValues.parse("background=1").apply(stored)
    np.testing.assert_array_equal(labels.values, [[1, 0, 0, 7]])


def test_shades_are_object_from_the_threshold_on():
    stored = np.array([[0, 127, 128, 255, 9]], np.uint8)
    labels = MaskValues.parse("binarise-at=128 ignore=9").apply(stored)
    np.testing.assert_array_equal(labels.values, [[0, 0, 1, 1, 0]])
    np.testing.assert_array_equal(labels.ignored, [[False, False, False, False, True]])


def test_ignored_pixels_are_background_and_known_as_ignored():
    labels = MaskValues.parse("ignore=2").apply(STORED)
    np.testing.assert_array_equal(labels.values, [[1, 0, 255], [0, 3, 1]])
    np.testing.assert_array_equal(labels.ignored, STORED == 2)
    assert MaskValues.parse("ignore=9").apply(STORED).ignored is None


def test_a_value_without_a_name_is_refused():
    with pytest.raises(ValueError, match=r"found the value 3, which 'background=1 object=2"):
        MaskValues.parse("background=1 object=2 ignore=255").apply(STORED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("background", r"found 'background' in 'background'; expected NAME=VALUE"),
        ("ignore=-1", "expected NAME=VALUE"),
        ("object=1.5", "expected NAME=VALUE"),
        ("object=1 object=2", "found 'object=2'"),
        ("background=1 object=1", "gives 1 two meanings"),
        ("object=0", "gives 0 two meanings"),
        ("background=0 ignore=0", "gives 0 two meanings"),
        ("binarise-at=0", "no threshold above 0"),
        ("binarise-at=9 object=1", "no threshold above 0 that stands alone"),
    ],
)
def test_values_that_contradict_each_other_are_refused(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        MaskValues.parse(text)
    assert "\n" not in str(caught.value)


def test_values_say_the_kind_where_they_can():
    kinds = {"": None, "background=1": None, "ignore=9": None, "object=2": "binary"}
    kinds |= {"binarise-at=9": "binary", "bone=1 canal=2": "semantic"}
    assert {text: MaskValues.parse(text).kind for text in kinds} == kinds
    MaskValues.parse("object=2").check_kind("semantic")
    MaskValues.parse("background=1").check_kind("instances")
    refused = [("object=2", "instances"), ("binarise-at=9", "semantic"), ("a=1 b=2", "binary")]
    for text, kind in refused:
        with pytest.raises(ValueError, match=f"found the kind {kind}"):
            MaskValues.parse(text).check_kind(kind)


def test_kinds_give_classes_and_objects():
    values = np.array([[2, 2, 0, 5, 0, 2]])
    found = {
        kind: classes_and_objects(values, kind) for kind in ("binary", "semantic", "instances")
    }
    classes = {kind: pair[0].astype(int).tolist()[0] for kind, pair in found.items()}
    objects = {kind: pair[1].tolist()[0] for kind, pair in found.items()}
    foreground, components = [1, 1, 0, 1, 0, 1], [1, 1, 0, 2, 0, 3]
    assert classes == {
        "binary": foreground,
        "semantic": [2, 2, 0, 5, 0, 2],
        "instances": foreground,
    }
    assert objects == {
        "binary": components,
        "semantic": components,
        "instances": [2, 2, 0, 5, 0, 2],
    }
