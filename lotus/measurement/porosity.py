"""What `lotus measure porosity` finds: porosity, cells, thickness and network of the LCN."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from lotus.masks import BlockComponents
from lotus.measurement.lcn import Integers, Lcn
from lotus.measurement.lcn_measures import (
    distance_measures,
    lacuna_count_measures,
    lacuna_warnings,
    lcn_warnings,
    network_measures,
    porosity_measures,
    thickness_measures,
    volume_measures,
)
from lotus.measurement.outputs import Measured
from lotus.measurement.part import Part, gathered
from lotus.measurement.picture import StructurePicture
from lotus.measurement.thickness_map import written_thickness
from lotus.morphometry.cells import cell_table
from lotus.morphometry.histogram import histogram
from lotus.morphometry.network import Network
from lotus.morphometry.porosity import porosity_profile
from lotus.morphometry.summary import Measure, mean_measure
from lotus.morphometry.tally import Tally
from lotus.morphometry.thickness import Convention

PROFILE = "porosity_by_slice"
_BINS_PER_VOXEL = 8
_NONE = np.zeros(0, np.int64)
_UNKNOWN = Network(math.nan, np.zeros(0), _NONE, _NONE)


def measure_porosity(lcn: Lcn, convention: Convention, output: Path) -> Measured:
    """Measure the lacuna-canalicular network of a volume.

    Args:
        lcn: The network.
        convention: Of thickness.
        output: Gets the map of thickness.

    Returns:
        What was found; of a single slice the porosity alone.
    """
    volume = lcn.volume
    inside, bone = lcn.counts()
    spacing = volume.scale.spacing_um
    measures = volume_measures(lcn, inside, bone) + porosity_measures(inside, bone)
    parts = [Part(measures, warnings=lcn_warnings(lcn, inside))]
    cells: pd.DataFrame | None = None
    if volume.shape[0] == 1:
        parts.append(Part(warnings=[f"{volume.path} is one slice: only its porosity is measured"]))
    else:
        cells = cell_table(lcn.cells().moments, volume.shape, spacing)
        lacunae = lcn.lacunae()
        parts += [
            _cells(lcn, cells),
            _lacunae(lcn, lacunae, inside, bone),
            _thickness(lcn, convention, output),
            _network(lcn, lacunae, inside, bone),
            _distances(lcn, inside),
        ]
    return gathered(
        volume,
        "Porosity",
        parts,
        facts={"thickness": f"up to the {convention} of voxels"},
        cells=cells,
        tables={PROFILE: porosity_profile(inside, bone, spacing and spacing[0])},
    )


def _cells(lcn: Lcn, cells: pd.DataFrame) -> Part:
    scale = lcn.volume.scale
    volumes, unit = cells["volume_px"] * scale.voxel_volume, scale.micrometres(0, 3)[1]
    what = f"26-connected parts of the LCN of >= {lcn.minimum_voxels} voxels"
    count = Measure(measure="Cell.N", value=len(cells), unit="", definition=f"cells: {what}")
    volume = mean_measure(volumes, measure="Cell.V", unit=unit, definition="volume of a cell")
    return Part([count, volume], [histogram(volumes, measure="Cell.V", unit=unit, counted="cells")])


def _lacunae(lcn: Lcn, lacunae: BlockComponents, inside: Integers, bone: Integers) -> Part:
    count, tissue = len(lacunae.moments), int(inside.sum() + bone.sum())
    shares = (
        ("lacunae", int(lacunae.moments.count.sum()), "as counted"),
        ("canaliculi", int(inside.sum() - lacunae.moments.count.sum()), "the rest of the LCN"),
    )
    rows = [
        Measure(
            measure=f"{name}/(bone+LCN)",
            value=voxels / tissue if tissue else np.nan,
            n=voxels,
            unit="",
            definition=f"volume of {name} ({what}) / (BV + LCN.V)",
        )
        for name, voxels, what in shares
    ]
    return Part([*lacuna_count_measures(lcn, count, bone), *rows], warnings=lacuna_warnings(count))


def _thickness(lcn: Lcn, convention: Convention, output: Path) -> Part:
    volume, spacing = lcn.volume, lcn.volume.scale.spacing
    tally, thin = Tally(min(spacing) / _BINS_PER_VOXEL), 0
    picture = StructurePicture(volume.shape, volume.scale)
    for start, block in written_thickness(output, volume, lcn.network_mask, convention):
        values = block[block > 0]
        tally.add(values)
        thin += int(np.count_nonzero(values < lcn.resolved_width))
        picture.add(start, block)
    unit = volume.scale.length_unit
    return Part(
        thickness_measures(lcn, tally, thin, convention),
        [tally.histogram(measure="LCN.Th", unit=unit, counted="voxels")],
        [picture.drawn("Thickness of the LCN", "LCN.Th")] if tally.count else [],
    )


def _network(lcn: Lcn, lacunae: BlockComponents, inside: Integers, bone: Integers) -> Part:
    scale = lcn.volume.scale
    unit, tissue = scale.length_unit, float(inside.sum() + bone.sum()) * scale.voxel_volume
    graph = lcn.network(lacunae)
    if graph is None:
        return Part(network_measures(_UNKNOWN, tissue, scale))
    return Part(
        network_measures(graph, tissue, scale),
        [
            histogram(graph.lengths, measure="edge length", unit=unit, counted="edges"),
            histogram(graph.degrees, measure="node degree", unit="", counted="nodes"),
        ],
    )


def _distances(lcn: Lcn, inside: Integers) -> Part:
    scale = lcn.volume.scale
    tally = Tally(min(scale.spacing) / _BINS_PER_VOXEL)
    if inside.any():
        for values in lcn.matrix_distances():
            tally.add(values)
    what, unit = "distance to LCN", scale.length_unit
    return Part(
        distance_measures(tally, scale),
        [tally.histogram(measure=what, unit=unit, counted="voxels of bone")],
    )
