"""Rows of the summary about the lacuna-canalicular network (LCN), and what makes them doubtful."""

from __future__ import annotations

import math

import numpy as np

from lotus.measurement.lcn import Lcn
from lotus.measurement.scale import Scale
from lotus.morphometry.network import Network
from lotus.morphometry.porosity import porosity_of_bone, porosity_of_tissue
from lotus.morphometry.summary import Measure, mean_measure
from lotus.morphometry.tally import Tally

FEWEST_LACUNAE = 400
"""Lacunae of a specimen from which on means are to be trusted, by the review of the ECTS."""

_NONE = np.zeros(0, np.int64)
_UNKNOWN = Network(math.nan, np.zeros(0), _NONE, _NONE)


def volume_measures(lcn: Lcn) -> list[Measure]:
    """Volumes of the network and of the bone.

    Args:
        lcn: The network.
    """
    scale = lcn.volume.scale
    matrix = "bone and shade-off" if lcn.names_bone else "all that is not LCN"
    rows = (
        ("LCN.V", lcn.voxels, "volume of the lacuna-canalicular network: its voxels"),
        ("BV", lcn.bone_voxels, f"volume of the bone without the network: voxels of {matrix}"),
    )
    measures = []
    for name, voxels, definition in rows:
        volume, unit = scale.micrometres(voxels * scale.voxel_volume, 3)
        measures.append(
            Measure(measure=name, value=volume, n=voxels, unit=unit, definition=definition)
        )
    return measures


def porosity_measures(lcn: Lcn) -> list[Measure]:
    """The two ways to relate network and bone.

    Args:
        lcn: The network.
    """
    rows = (
        ("LCN/bone", porosity_of_bone, "LCN.V / BV"),
        ("LCN/(bone+LCN)", porosity_of_tissue, "LCN.V / (BV + LCN.V)"),
    )
    return [
        Measure(
            measure=name,
            value=float(porosity(lcn.voxels, lcn.bone_voxels)),
            unit="",
            definition=f"porosity: {formula}",
        )
        for name, porosity, formula in rows
    ]


def lacuna_count_measures(lcn: Lcn) -> list[Measure]:
    """Number of lacunae, also per volume of bone.

    Args:
        lcn: The network.
    """
    scale, count = lcn.volume.scale, len(lcn.lacunae.moments)
    volume, _ = scale.millimetres(lcn.bone_voxels * scale.voxel_volume, 3)
    _, unit = scale.millimetres(0.0, -3)
    return [
        Measure(
            measure="Lc.N",
            value=count,
            n=count,
            unit="",
            definition=f"lacunae: {lcn.lacuna_rule}; with those that the volume's edge cuts",
        ),
        Measure(
            measure="Lc.N/BV",
            value=count / volume if volume else math.nan,
            n=count,
            unit=unit,
            definition="lacunae per volume of bone without the network",
        ),
    ]


def network_measures(lcn: Lcn) -> list[Measure]:
    """Length, branches and nodes of the canaliculi; undefined where they are not resolved.

    Args:
        lcn: The network.
    """
    scale, network = lcn.volume.scale, lcn.network or _UNKNOWN
    length, unit = scale.micrometres(network.length)
    tissue = (lcn.voxels + lcn.bone_voxels) * scale.voxel_volume
    density = network.length / tissue if tissue else math.nan
    return [
        Measure(
            measure="Ca.L",
            value=length,
            n=len(network.lengths),
            unit=unit,
            definition="length of all canaliculi outside lacunae, along smoothed skeleton paths",
        ),
        Measure(
            measure="Ca.Dn",
            value=density,
            unit=scale.micrometres(0, -2)[1],
            definition="canalicular density: Ca.L / (BV + LCN.V)",
        ),
        mean_measure(
            network.lengths,
            measure="edge length",
            unit=unit,
            definition="of a branch from node to node: lacuna, junction or end",
        ),
        mean_measure(
            network.degrees[network.degrees > 2],
            measure="node degree",
            unit="",
            definition="branches at a junction of canaliculi",
        ),
        mean_measure(
            network.lacuna_degrees,
            measure="canaliculi per lacuna",
            unit="",
            definition="branches that leave a lacuna",
        ),
    ]


def distance_measures(distances: Tally, scale: Scale) -> list[Measure]:
    """How far bone is from the network.

    Args:
        distances: Of the voxels of bone.
        scale: Of the volume.
    """
    return [
        Measure(
            measure="distance to LCN",
            value=distances.mean,
            sd=distances.sd,
            n=distances.count,
            unit=scale.length_unit,
            definition="from each voxel of bone to the nearest one of the network",
        ),
        Measure(
            measure="distance to LCN max",
            value=distances.maximum,
            unit=scale.length_unit,
            definition="the greatest of these distances",
        ),
    ]


def lacuna_warnings(lcn: Lcn) -> list[str]:
    """Say that lacunae are few.

    Args:
        lcn: The network.
    """
    count = len(lcn.lacunae.moments)
    if count >= FEWEST_LACUNAE:
        return []
    return [f"{count} lacunae are few: the ECTS review asks for {FEWEST_LACUNAE} of each specimen"]
