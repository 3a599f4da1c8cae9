"""The four files that `lotus segment` writes for an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from lotus.imaging import TiledWriter, atomic_path, object_features, write_features, write_tiled
from lotus.imaging.raster import label_type
from lotus.inference.collecting import FinishedObjects, ObjectCollector
from lotus.inference.decoding import SameObject, decode_bands
from lotus.inference.spool import LabelSpool
from lotus.transforms import InstanceScheme


@dataclass(frozen=True)
class OutputFiles:
    """Names of the results of one image.

    Attributes:
        labels: label map, tiled OME-TIFF.
        probability: foreground probability 0-255, tiled OME-TIFF.
        outlines: GeoJSON for QuPath.
        table: CSV, one row per object.
    """

    labels: Path
    probability: Path
    outlines: Path
    table: Path

    @classmethod
    def of(cls, folder: Path, stem: str) -> OutputFiles:
        """The files of the image called ``stem`` in ``folder``."""
        return cls(
            labels=folder / f"{stem}_labels.tif",
            probability=folder / f"{stem}_probability.tif",
            outlines=folder / f"{stem}.geojson",
            table=folder / f"{stem}_objects.csv",
        )


