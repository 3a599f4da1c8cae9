"""What `lotus measure lacunae` finds: number, volume, shape and canaliculi of lacunae."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lotus.measurement.lcn import Lcn
from lotus.measurement.lcn_measures import (
    lacuna_count_measures,
    lacuna_warnings,
    volume_measures,
)
from lotus.measurement.outputs import Measured
from lotus.measurement.part import Part, gathered
from lotus.measurement.picture import StructurePicture
from lotus.morphometry.cells import cell_table
from lotus.morphometry.histogram import histogram
from lotus.morphometry.summary import Measure, mean_measure
from lotus.reports.measurement import Picture

_ELLIPSOID = "axis of the ellipsoid with the same moments"


def measure_lacunae(lcn: Lcn) -> Measured:
    """Measure the lacunae of a volume.

    Args:
        lcn: The network.

    Returns:
        What was found, with a row of ``cells`` per lacuna. Those that the volume's edge cuts count,
        but have no part in means.

    Raises:
        ValueError: One slice.
    """
    volume = lcn.volume
    if volume.shape[0] == 1:
        raise ValueError(f"{volume.path} is one slice; lacunae are measured in volumes")
    moments = lcn.lacunae.moments
    cells = cell_table(moments, volume.shape, volume.scale.spacing_um)
    cells["label"] = lcn.lacuna_names
    if lcn.network is not None:
        cells["canaliculi"] = lcn.network.lacuna_degrees
    parts = [
        Part(volume_measures(lcn), warnings=lcn.doubts),
        Part(lacuna_count_measures(lcn), warnings=lacuna_warnings(lcn)),
        _shapes(lcn, cells),
        Part(pictures=[_picture(lcn)] if len(moments) else []),
    ]
    return gathered(volume, "Lacunae", parts, cells=cells)


def _shapes(lcn: Lcn, cells: pd.DataFrame) -> Part:
    """Means and histograms over the lacunae that are whole."""
    scale = lcn.volume.scale
    suffix = "um" if scale.spacing_um else "px"
    volume = f"volume_{suffix}3" if scale.spacing_um else "volume_px"
    volume_unit, length_unit = scale.micrometres(0, 3)[1], scale.length_unit
    whole = cells[~cells["touches_border"]]
    columns = {
        "Lc.V": (volume, volume_unit, "volume of a lacuna"),
        "Lc.St": ("stretch", "", "stretch 1 - √(e2/e0): 0 of a ball, to 1 of a thread or plate"),
        "Lc.Ob": (
            "oblateness",
            "",
            "oblateness 2 (√e1 - √e2) / (√e0 - √e2) - 1: -1 of a rod, 1 of a plate",
        ),
        "Lc major axis": (f"major_axis_{suffix}", length_unit, f"longest {_ELLIPSOID}"),
        "Lc middle axis": (f"middle_axis_{suffix}", length_unit, f"middle {_ELLIPSOID}"),
        "Lc minor axis": (f"minor_axis_{suffix}", length_unit, f"shortest {_ELLIPSOID}"),
        "Lc canaliculi": ("canaliculi", "", "canaliculi that leave a lacuna"),
    }
    known = {name: each for name, each in columns.items() if each[0] in whole}
    cut = len(cells) - len(whole)
    edge = Measure(
        measure="Lc.N cut",
        value=cut,
        unit="",
        definition="lacunae that the volume's edge cuts; left out of the means over lacunae",
    )
    means = [
        mean_measure(whole[column], measure=name, unit=unit, definition=text)
        for name, (column, unit, text) in known.items()
    ]
    histograms = [
        histogram(whole[column], measure=name, unit=unit, counted="lacunae")
        for name, (column, unit, _) in known.items()
    ]
    return Part([edge, *means], histograms)


def _picture(lcn: Lcn) -> Picture:
    """Each lacuna in the colour of its volume."""
    scale = lcn.volume.scale
    volumes = np.concatenate([[0.0], lcn.lacunae.moments.count * scale.voxel_volume])
    picture = StructurePicture(lcn.volume.shape, scale)
    for start, labels in lcn.lacunae.blocks():
        picture.add(start, volumes[labels])
    return picture.drawn("Lacunae", "volume", power=3)
