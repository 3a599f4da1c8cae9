from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_modules.manifest import Record
from data_modules.patches import (
    SlicePatches,
    choose_patches,
    read_patches,
    spread_slices,
    with_patches,
    write_patches,
)
from lotus.imaging.raster import write_image, write_label_map


@pytest.fixture
def records(tmp_path):
    """Slices of 20 x 30 px: tissue of one is its upper left 10 x 20 px, of the other a speck."""
    found = []
    for name, area in (("a", np.s_[:10, :20]), ("b", np.s_[12:14, 23:25])):
        tissue = np.zeros((20, 30), np.uint8)
        tissue[area] = 255
        image, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_tissue.png"
        write_image(image, np.arange(600, dtype=np.uint16).reshape(20, 30))
        write_label_map(mask, tissue)
        found.append(Record(image, None, "binary", "ct", f"P {name}", "g", 1.0, tissue=mask))
    return found


def test_patches_in_tissue_or_the_best_one(records):
    whole, speck = (choose_patches(record, size=10, stride=10) for record in records)
    assert whole.corners.tolist() == [[0, 0], [0, 10]]
    assert whole.bone_fraction.tolist() == [1.0, 1.0]
    assert speck.corners.tolist() == [[10, 20]]
    assert speck.bone_fraction.tolist() == [0.04]
    loose = choose_patches(records[0], size=10, stride=5, minimum_fraction=0.5)
    assert loose.corners.tolist() == [[0, 0], [0, 5], [0, 10], [0, 15], [5, 0], [5, 5], [5, 10]]
    assert loose.window(3) == np.s_[0:10, 15:25]


def test_what_is_written_is_read(records, tmp_path):
    path = tmp_path / "deep/patches.csv"
    chosen = [choose_patches(record, size=10, stride=10) for record in records]
    write_patches(path, zip(records, chosen, strict=True))
    table = pd.read_csv(path)
    assert table.iloc[2].to_dict() == {
        **{"name": "b", "image": "../b.png", "patient": "P b", "group": "g"},
        **{"y": 10, "x": 20, "size": 10, "bone_fraction": 0.04},
    }
    found = with_patches(records, read_patches(path, records))
    for one, other in zip(found, chosen, strict=True):
        np.testing.assert_array_equal(one.corners, other.corners)
        np.testing.assert_array_equal(one.bone_fraction, other.bone_fraction)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("name", "c", r"slice 'c' is not in the manifest"),
        ("patient", "other", r"slice 'a' is of patient 'other', in the manifest of 'P a'"),
        ("x", 21, r"the patch of 10 px at y=0, x=21 leaves slice 'a' of 20 x 30 px"),
        ("y", -1, r"the patch of 10 px at y=-1, x=0 leaves slice 'a'"),
        ("size", 9, r"found patches of 9 and 10 px; expected one size"),
        ("y", "high", r"not a table of patches \(.*high"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(records, tmp_path, column, value, message):
    path = tmp_path / "patches.csv"
    write_patches(path, [(record, choose_patches(record, size=10)) for record in records[:1]] * 2)
    table = pd.read_csv(path).astype({column: object})
    table.loc[0, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=message):
        read_patches(path, records)


def test_a_patient_may_be_written_in_two_ways(records, tmp_path):
    path = tmp_path / "patches.csv"
    write_patches(path, [(records[0], choose_patches(records[0], size=10))])
    path.write_text(path.read_text().replace("P a", "p  A"))
    assert list(read_patches(path, records)) == ["a"]
    with pytest.raises(ValueError, match="slice 'b' has no patch in the table"):
        with_patches(records, read_patches(path, records))


def test_a_patient_may_be_called_like_a_missing_value(records, tmp_path):
    record = replace(records[0], patient="NA", group="None")
    write_patches(tmp_path / "patches.csv", [(record, choose_patches(record, size=10))])
    assert list(read_patches(tmp_path / "patches.csv", [record])) == ["a"]


def test_no_table_and_other_tables(records, tmp_path):
    with pytest.raises(FileNotFoundError, match="`lotus patches` writes one"):
        read_patches(tmp_path / "none.csv", records)
    (tmp_path / "other.csv").write_text("image,y\na,1\n")
    with pytest.raises(ValueError, match=r"not a table of patches \(no column name, patient"):
        read_patches(tmp_path / "other.csv", records)
    write_patches(tmp_path / "empty.csv", [])
    with pytest.raises(ValueError, match="found a header alone"):
        read_patches(tmp_path / "empty.csv", records)


def test_a_slice_without_tissue_or_smaller_than_a_patch(records):
    with pytest.raises(
        ValueError, match=r"a.png: image is 20 pixels long; expected at least .* 21"
    ):
        choose_patches(records[0], size=21)
    bare = Record(records[0].image, None, "binary", "ct", "p", "g", None)
    with pytest.raises(ValueError, match=r"a.png: the manifest has no mask of its tissue; `lotus"):
        choose_patches(bare)


def test_slices_are_spread_over_a_patient_and_annotated_ones_come_first(tmp_path):
    records = [
        Record(tmp_path / f"{p}{i}.png", mask, "binary", "ct", p, "g", None)
        for p in ("A", "B")
        for i in range(8)
        for mask in [tmp_path / "m.png" if (p, i) in {("A", 5), ("A", 6)} else None]
    ]

    def names(count):
        return [record.name for record in spread_slices(records, count)]

    assert names(1) == ["A5", "B4"]
    assert names(3) == ["A3", "A5", "A6", "B1", "B4", "B6"]
    assert len(names(9)) == 16
    with pytest.raises(ValueError, match="0 slices per patient; expected at least 1"):
        names(0)


def test_a_smaller_choice_is_part_of_a_larger_one_in_order():
    patches = SlicePatches(np.arange(40).reshape(20, 2), 2, np.linspace(0, 1, 20))
    small, large = (patches.at_most(n, np.random.default_rng(1)) for n in (5, 9))
    assert {*small.corners[:, 0]} < {*large.corners[:, 0]}
    assert np.all(np.diff(large.corners[:, 0]) > 0)
    np.testing.assert_allclose(large.bone_fraction, large.corners[:, 0] / 38)
    assert len(patches.at_most(99, np.random.default_rng(1))) == 20
