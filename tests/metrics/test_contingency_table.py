"""The contingency table against counts made one pair of masks at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lotus.metrics.functional import (
    ContingencyTable,
    aggregated_jaccard_index,
    contingency_table,
    dice,
)

SMALL_MAPS = hnp.arrays(np.uint8, (6, 7), elements=st.integers(0, 4))


def overlaps(table: ContingencyTable) -> dict[tuple[int, int], int]:
    """Shared pixels by (predicted id, true id)."""
    predicted = table.prediction_ids[table.pair_prediction].tolist()
    true = table.target_ids[table.pair_target].tolist()
    return dict(zip(zip(predicted, true, strict=True), table.intersections.tolist(), strict=True))


@given(SMALL_MAPS, SMALL_MAPS)
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_masks(prediction, target):
    table = contingency_table(prediction, target)
    expected = {
        (p, t): int(((prediction == p) & (target == t)).sum())
        for p in range(1, 5)
        for t in range(1, 5)
        if ((prediction == p) & (target == t)).any()
    }
    assert overlaps(table) == expected
    for ids, areas, labels in (
        (table.prediction_ids, table.prediction_areas, prediction),
        (table.target_ids, table.target_areas, target),
    ):
        assert sorted(ids) == [i for i in range(1, 5) if (labels == i).any()]
        assert areas.tolist() == [(labels == i).sum() for i in ids]


def test_instances_are_numbered_as_they_appear():
    table = contingency_table(np.array([[0, 9, 9, 3]]), np.array([[5, 5, 0, 2]]))
    assert table.prediction_ids.tolist() == [9, 3]
    assert table.target_ids.tolist() == [5, 2]
    assert table.iou.tolist() == [1 / 3, 1.0]


def test_volumes_are_counted_like_images():
    target = np.zeros((3, 4, 5), np.int32)
    target[1:, 1:3, 2:] = 7
    prediction = np.roll(target, 1, axis=2)
    assert overlaps(contingency_table(prediction, target)) == {(7, 7): 8}


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64]
)
def test_any_integer_type_and_any_ids(dtype):
    largest = np.iinfo(dtype).max
    target = np.array([[0, 1, 1, largest, largest, largest]], dtype=dtype)
    prediction = np.array([[3, 3, 0, largest, largest, 0]], dtype=dtype)
    table = contingency_table(prediction, target)
    assert overlaps(table) == {(3, 1): 1, (int(largest), int(largest)): 2}
    assert sorted(table.target_areas) == [2, 3]


def test_more_than_65535_instances():
    target = np.arange(300 * 300, dtype=np.int32).reshape(300, 300)
    table = contingency_table(target, target)
    assert table.n_true == table.n_pred == len(table.intersections) == 300 * 300 - 1
    assert aggregated_jaccard_index(table, one_to_one=True) == 1.0


@pytest.mark.parametrize("large", [2**32 - 1, 2**32, 2**40])
def test_ids_that_do_not_fit_into_32_bits_are_told_apart(large):
    prediction, target = [[0, large, large, 1]], [[1, 1, large + 1, large + 1]]
    expected = {(large, 1): 1, (large, large + 1): 1, (1, large + 1): 1}
    assert overlaps(contingency_table(prediction, target)) == expected


def test_types_of_the_two_maps_may_differ_and_tensors_are_taken():
    target = np.array([[0, 1, 300]], dtype=np.uint16)
    prediction = torch.tensor([[0, 1, 1]], dtype=torch.int64)
    assert overlaps(contingency_table(prediction, target)) == {(1, 1): 1, (1, 300): 1}
    assert dice(prediction > 0, target > 0) == 1.0


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"\(2, 2\).*\(2, 3\)"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "prediction has type float64"),
        (np.zeros((2, 2), int), np.full((2, 2), -3), "target holds the negative id -3"),
        (np.zeros((0, 2), int), np.zeros((0, 2), int), "no pixel"),
    ],
)
def test_maps_that_do_not_fit_are_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        contingency_table(prediction, target)


def test_a_table_comes_alone_and_a_map_with_its_partner():
    labels = np.ones((2, 2), int)
    with pytest.raises(ValueError, match="give it alone"):
        aggregated_jaccard_index(contingency_table(labels, labels), labels)
    with pytest.raises(ValueError, match="needs the true one"):
        aggregated_jaccard_index(labels)
    with pytest.raises(ValueError, match="needs the true one"):
        dice(labels)
