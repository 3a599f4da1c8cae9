"""The table beside class maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from lotus.runs.class_maps import CLASS_MAPS, ClassMap, read_class_maps, write_class_maps

CLASSES = {"mineralised": 1, "osteoid": 2, "label": 3}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "segmented"
    inside = ClassMap(
        tmp_path / "images" / "a b.tif", folder / "a b.ome.tif", "x", CLASSES, 0.75, 2, 9, True
    )
    outside = ClassMap(
        folder / "c.tif", folder / "maps" / "c.png", "y", {"mineralised": 1}, 1.0, 0, 4, False
    )
    write_class_maps(folder, [inside, outside])
    assert read_class_maps(folder) == [inside, outside]
    # A folder may be moved with the maps in it.
    moved = folder.rename(tmp_path / "moved")
    assert read_class_maps(moved)[0].labels == moved / "a b.ome.tif"


def test_a_folder_without_it_and_damaged_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder of `lotus segment`"):
        read_class_maps(tmp_path)
    (tmp_path / CLASS_MAPS).write_text("image,labels\na,b\n")
    with pytest.raises(ValueError, match="no column certainty"):
        read_class_maps(tmp_path)
    write_class_maps(
        tmp_path, [ClassMap(tmp_path / "a", tmp_path / "b", "x", CLASSES, 1, 0, 1, False)]
    )
    text = (tmp_path / CLASS_MAPS).read_text().replace("osteoid=2", "osteoid")
    (tmp_path / CLASS_MAPS).write_text(text)
    with pytest.raises(ValueError, match=r"class_maps\.csv, row 2: invalid literal"):
        read_class_maps(tmp_path)
