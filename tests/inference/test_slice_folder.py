"""Slices to label in a folder: what was drafted is told from what a person made of it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from data_modules.manifest import Record
from data_modules.slice_choice import VolumeSlice
from lotus.imaging import read_label_map
from lotus.inference.slice_folder import Listed, SliceFolder


@pytest.fixture
def slices():
    row = Record(Path("/d/a.tif"), None, "semantic", "ct", "P", "unknown", None, depth=9)
    return [VolumeSlice(row, z) for z in (2, 4, 7)]


@pytest.fixture
def folder(tmp_path, slices):
    folder = SliceFolder(tmp_path / "out")
    rng = np.random.default_rng(0)
    for each in slices:
        grey = rng.random((5, 6)).astype(np.float32)
        folder.write_slice(each, grey, rng.integers(0, 4, (5, 6)).astype(np.uint8), (0.1, 0.1))
    unsure = {slices[1]: 0.5, slices[0]: 0.25, slices[2]: float("nan")}
    folder.write_list({each: Listed(value) for each, value in unsure.items()}, "key")
    return folder


def test_what_was_drafted_is_open(folder, slices):
    assert folder.is_drawn_by("key")
    again = SliceFolder(folder.path)
    assert again.is_drawn_by("key")
    assert not again.is_drawn_by("other")
    listed = again.read_list(slices)
    assert [each.z for each in listed] == [4, 2, 7]
    assert [one.uncertainty for one in listed.values()][:2] == [0.5, 0.25]
    assert {one.decision for one in listed.values()} == {""}
    assert not any(map(again.is_corrected, slices))
    assert tifffile.imread(again.image_of(slices[0])).dtype == np.float32


def test_other_values_are_a_correction_and_other_bytes_are_not(folder, slices):
    first, second, _ = (folder.label_of(each) for each in slices)
    labels = read_label_map(first)
    tifffile.imwrite(first, labels.astype(np.uint16), compression="lzw")
    tifffile.imwrite(second, np.where(read_label_map(second) == 1, 3, read_label_map(second)))
    again = SliceFolder(folder.path)
    assert [again.is_corrected(each) for each in slices] == [False, True, False]
    assert again.is_drawn_by("key")
    with pytest.raises(ValueError, match=r"a_z0004\.tif was changed by hand, for slices that anot"):
        again.is_drawn_by("other")


def test_a_list_of_a_person_is_kept(folder, slices):
    text = folder.list.read_text()
    folder.list.write_text(text.replace("a,2,0.250000,", "a,2,0.250000,accept"))
    again = SliceFolder(folder.path)
    assert again.read_list(slices)[slices[0]].decision == "accept"
    with pytest.raises(ValueError, match=r"slices\.csv was changed by hand"):
        again.is_drawn_by("other")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a,7", "a,8", "row 4: slice 8 of 'a' is none that may be labelled"),
        ("a,7", "b,7", "row 4: slice 7 of 'b' is none"),
        ("a,7", "a,2", "row 4: slice 2 of 'a' stands here twice"),
        ("a,7,,", "a,7,,yes", "row 4, column decision: found 'yes', expected accept, reject or"),
    ],
)
def test_what_the_list_may_not_say(folder, slices, old, new, message):
    folder.list.write_text(folder.list.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        folder.read_list(slices)


def test_labels_that_are_gone_are_missed(folder, slices):
    folder.label_of(slices[0]).unlink()
    with pytest.raises(FileNotFoundError, match=r"reject the slice in slices\.csv"):
        folder.is_corrected(slices[0])


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ValueError, match="is a file; the output is a folder"):
        SliceFolder(tmp_path / "out")
