from collections import Counter
from pathlib import Path

import pytest

from data_modules.diagnoses import group_of_patients, shuffled
from data_modules.manifest import Record


def records_of(groups, slices=2):
    """So many slices of every patient, whose groups these are."""
    return [
        Record(Path(f"{patient}{i}.png"), None, "binary", "ct", patient, group, None)
        for patient, group in groups.items()
        for i in range(slices)
    ]


def test_a_patient_in_two_groups_is_named_with_an_image_of_each(tmp_path):
    first, other = (
        Record(tmp_path / f"{name}.tif", None, "binary", "ct", patient, group, None)
        for name, patient, group in (("a", "P 1", "healthy"), ("b", "p 1", "osteoporotic"))
    )
    message = r"'p 1' is of group healthy \(a.tif\) and of osteoporotic \(b.tif\); expected one"
    with pytest.raises(ValueError, match=message):
        group_of_patients([first, other])
    assert group_of_patients([first, first]) == {"p 1": "healthy"}


@pytest.mark.parametrize("counts", [{"a": 4, "b": 4}, {"a": 2, "b": 6}, {"a": 3, "b": 3, "c": 3}])
def test_shuffled_groups_keep_their_sizes_and_stay_with_the_patient(counts):
    true = {f"{group}{i}": group for group, count in counts.items() for i in range(count)}
    drawn = set()
    for seed in range(8):
        records = shuffled(records_of(true), seed)
        groups = {record.patient: record.group for record in records}
        assert all(record.group == groups[record.patient] for record in records)
        assert Counter(groups.values()) == counts
        drawn.add(tuple(groups.values()))
    assert len(drawn) > 4


def test_shuffling_leaves_order_images_and_the_undiagnosed():
    true = {"x": "a", "y": "b", "z": "unknown", "v": "b", "w": "a"}
    before = records_of(true)
    after = shuffled(before, 1)
    assert [r.image for r in after] == [r.image for r in before]
    assert {r.group for r in after if r.patient == "z"} == {"unknown"}
    assert all(shuffled(before, seed) == shuffled(before, seed) for seed in range(6))
    assert {type(record.group) for record in after} == {str}


def test_every_pair_is_as_often_swapped_as_not():
    true = {"p0": "a", "p1": "a", "p2": "b", "p3": "b"}
    drawn = Counter(
        "".join({r.patient: r.group for r in shuffled(records_of(true, 1), seed)}.values())
        for seed in range(600)
    )
    assert set(drawn) == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}
    # A count of 100 on average has a standard deviation of 9.
    assert max(abs(count - 100) for count in drawn.values()) < 40
