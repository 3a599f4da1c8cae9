"""Rows of the object table, written as objects come."""

from __future__ import annotations

from typing import TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lotus.morphometry.objects import MIDDLE, object_table
from lotus.windows import FinishedObjects, PartialObject


class ObjectRows:
    """Writes a CSV file with one row per object.

    Columns are those of :func:`~lotus.morphometry.objects.object_table`, then ``class`` where
    there are several, and ``mean_probability`` of the foreground.

    Args:
        stream: Text file, open for writing.
        class_names: Foreground classes.
        spacing_um: (Y, X) pixel size; None leaves out the columns in µm.
    """

    def __init__(
        self, stream: TextIO, class_names: list[str], spacing_um: tuple[float, float] | None
    ) -> None:
        self._stream = stream
        self._class_names = np.array(class_names)
        self._spacing_um = spacing_um
        self._empty = object_table(np.zeros((1, 1), np.int32), spacing_um=spacing_um)
        self._write(self._empty, np.empty((0, 1 + len(class_names))), header=True)

    def write(self, objects: FinishedObjects) -> None:
        """Measure objects and write their rows, by ascending number."""
        rows = object_table(
            objects.labels, spacing_um=self._spacing_um, offset_yx=objects.offset_yx
        )
        self._write(rows, objects.means)

    def write_large(self, objects: dict[int, PartialObject]) -> None:
        """Write objects of which only sums are known; other columns stay empty."""
        for number, part in objects.items():
            y, x, *means = part.means.tolist()
            y, x = y + MIDDLE, x + MIDDLE
            known = dict(
                zip(("y_min_px", "x_min_px", "y_max_px", "x_max_px"), part.box, strict=True),
                label=number,
                centroid_y_px=y,
                centroid_x_px=x,
                area_px=part.pixels,
            )
            if self._spacing_um is not None:
                side_y, side_x = self._spacing_um
                known |= {
                    "centroid_y_um": y * side_y,
                    "centroid_x_um": x * side_x,
                    "area_um2": part.pixels * side_y * side_x,
                }
            row = pd.DataFrame([known]).reindex(columns=self._empty.columns)
            self._write(row, np.array([means]))

    def _write(self, rows: pd.DataFrame, means: NDArray[np.float64], header: bool = False) -> None:
        if len(self._class_names) > 1:
            rows = rows.assign(**{"class": self._class_names[class_of(means)]})
        rows = rows.assign(mean_probability=means[:, 0])
        rows.to_csv(self._stream, index=False, header=header, float_format="%.6g")


def class_of(means: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the foreground class with the greatest mean probability, per row of (N, V)."""
    classes: NDArray[np.int64] = np.argmax(means[:, 1:], axis=1)
    return classes
