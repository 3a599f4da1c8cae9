"""What `lotus measure porosity` finds: porosity, cells, thickness and network of the LCN."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lotus.measurement.lcn import Lcn
from lotus.measurement.lcn_measures import (
    distance_measures,
    lacuna_count_measures,
    lacuna_warnings,
    network_measures,
    porosity_measures,
    volume_measures,
)
from lotus.measurement.outputs import Measured
from lotus.measurement.part import Part, gathered
from lotus.measurement.phase_thickness import BINS_PER_VOXEL, DIAMETERS, PhaseThickness
from lotus.measurement.picture import StructurePicture
from lotus.measurement.thickness_map import written_thickness
from lotus.morphometry.cells import cell_table
from lotus.morphometry.histogram import histogram
from lotus.morphometry.porosity import porosity_profile
from lotus.morphometry.summary import Measure, mean_measure
from lotus.morphometry.tally import Tally
from lotus.morphometry.thickness import Convention

PROFILE = "porosity_by_slice"


def measure_porosity(lcn: Lcn, convention: Convention, output: Path) -> Measured:
    """Measure the lacuna-canalicular network of a volume.

    Args:
        lcn: The network.
        convention: Of thickness.
        output: Gets the map of thickness.

    Returns:
        What was found; of a single slice the porosity alone.
    """
    volume, spacing = lcn.volume, lcn.volume.scale.spacing_um
    parts = [Part([*volume_measures(lcn), *porosity_measures(lcn)], warnings=lcn.doubts)]
    cells: pd.DataFrame | None = None
    if volume.shape[0] == 1:
        parts.append(Part(warnings=[f"{volume.path} is one slice: only its porosity is measured"]))
    else:
        cells = cell_table(lcn.cells.moments, volume.shape, spacing)
        parts += _parts_in_3d(lcn, cells, convention, output)
    return gathered(
        volume,
        "Porosity",
        parts,
        facts={"thickness": DIAMETERS[convention]},
        cells=cells,
        tables={PROFILE: porosity_profile(*lcn.counts, spacing and spacing[0])},
    )


def _parts_in_3d(
    lcn: Lcn, cells: pd.DataFrame, convention: Convention, output: Path
) -> Iterator[Part]:
    steps: dict[str, Callable[[], Part]] = {
        "cells": lambda: _cells(lcn, cells),
        "lacunae": lambda: _lacunae(lcn),
        "thickness": lambda: _thickness(lcn, convention, output),
        "network": lambda: _network(lcn),
        "distances": lambda: _distances(lcn),
    }
    with tqdm(steps.items(), unit="part", disable=None) as progress:
        for name, measured in progress:
            progress.set_description(name)
            yield measured()


def _cells(lcn: Lcn, cells: pd.DataFrame) -> Part:
    scale = lcn.volume.scale
    volumes, unit = cells["volume_px"] * scale.voxel_volume, scale.micrometres(0, 3)[1]
    what = f"26-connected parts of the LCN of >= {lcn.minimum_voxels} voxels"
    count = Measure(measure="Cell.N", value=len(cells), unit="", definition=f"cells: {what}")
    volume = mean_measure(volumes, measure="Cell.V", unit=unit, definition="volume of a cell")
    return Part([count, volume], [histogram(volumes, measure="Cell.V", unit=unit, counted="cells")])


def _lacunae(lcn: Lcn) -> Part:
    lacunar, tissue = int(lcn.lacunae.moments.count.sum()), lcn.voxels + lcn.bone_voxels
    shares = (
        ("lacunae", lacunar, "as counted"),
        ("canaliculi", lcn.voxels - lacunar, "the rest of the LCN"),
    )
    rows = [
        Measure(
            measure=f"{name}/(bone+LCN)",
            value=voxels / tissue if tissue else math.nan,
            n=voxels,
            unit="",
            definition=f"volume of {name} ({what}) / (BV + LCN.V)",
        )
        for name, voxels, what in shares
    ]
    return Part([*lacuna_count_measures(lcn), *rows], warnings=lacuna_warnings(lcn))


def _thickness(lcn: Lcn, convention: Convention, output: Path) -> Part:
    volume = lcn.volume
    thickness = PhaseThickness("LCN.Th", "the LCN", volume.scale, convention)
    picture = StructurePicture(volume.shape, volume.scale)
    for start, block in written_thickness(output, volume, lcn.network_mask, convention):
        thickness.add(block)
        picture.add(start, block)
    drawn = [picture.drawn("Thickness of the LCN", "LCN.Th")] if thickness.histograms() else []
    return Part(thickness.measures(), thickness.histograms(), drawn)


def _network(lcn: Lcn) -> Part:
    graph, unit = lcn.network, lcn.volume.scale.length_unit
    if graph is None:
        return Part(network_measures(lcn))
    return Part(
        network_measures(lcn),
        [
            histogram(graph.lengths, measure="edge length", unit=unit, counted="edges"),
            histogram(graph.degrees, measure="node degree", unit="", counted="nodes"),
        ],
    )


def _distances(lcn: Lcn) -> Part:
    scale = lcn.volume.scale
    tally = Tally(min(scale.spacing) / BINS_PER_VOXEL)
    if lcn.voxels:
        for values in lcn.matrix_distances():
            tally.add(values)
    what, unit = "distance to LCN", scale.length_unit
    return Part(
        distance_measures(tally, scale),
        [tally.histogram(measure=what, unit=unit, counted="voxels of bone")],
    )
