"""Drawings as ImageJ ROIs, read back by roifile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from roifile import ROI_TYPE, roiread

from lotus.imaging.drawings import Drawing, write_imagej_rois

SQUARE = np.array([[1.25, 2.0], [1.25, 8.5], [6.0, 8.5], [6.0, 2.0]])
LINE = np.array([[0.0, 10.0], [4.5, 12.0], [9.0, 30.25]])


def test_imagej_reads_names_kinds_and_places_below_a_pixel(tmp_path: Path) -> None:
    path = tmp_path / "rois.zip"
    write_imagej_rois(
        path, [Drawing("B.Pm", "polygon", (SQUARE,)), Drawing("sL.Pm", "line", (LINE, LINE + 1))]
    )
    rois = roiread(path)
    assert [roi.name for roi in rois] == ["B.Pm", "sL.Pm", "sL.Pm 2"]
    assert [roi.roitype for roi in rois] == [ROI_TYPE.POLYGON, *[ROI_TYPE.POLYLINE] * 2]
    # ImageJ has x first.
    np.testing.assert_allclose(rois[0].coordinates(), SQUARE[:, ::-1])
    np.testing.assert_allclose(rois[2].coordinates(), LINE[:, ::-1] + 1)


def test_written_again_it_holds_the_new_drawings_alone(tmp_path: Path) -> None:
    path = tmp_path / "rois.zip"
    for name in ("old", "new"):
        write_imagej_rois(path, [Drawing(name, "line", (LINE,))])
    [roi] = roiread(path)
    assert roi.name == "new"


def test_nothing_to_write_and_another_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no drawing"):
        write_imagej_rois(tmp_path / "rois.zip", [])
    with pytest.raises(ValueError, match=r"ending in \.zip"):
        write_imagej_rois(tmp_path / "rois.roi", [Drawing("a", "line", (LINE,))])
    assert not list(tmp_path.iterdir())
