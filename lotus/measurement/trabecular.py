"""What `lotus measure trabecular` finds in a volume of bone and marrow.

Measures are called as in the guidelines of Bouxsein et al., J. Bone Miner. Res. 25, 2010.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lotus.measurement.outputs import Measured
from lotus.measurement.part import Part, gathered
from lotus.measurement.phase_thickness import DIAMETERS, PhaseThickness
from lotus.measurement.scale import Scale
from lotus.measurement.volume import BONE, LabelVolume
from lotus.morphometry.anisotropy import SAMPLING, anisotropy
from lotus.morphometry.connectivity import euler
from lotus.morphometry.summary import Measure
from lotus.morphometry.surface import surface_area
from lotus.morphometry.thickness import Convention, thickness_blocks

Mask = NDArray[np.bool_]


def measure_trabecular(volume: LabelVolume, convention: Convention) -> Measured:
    """Measure trabecular bone; the whole volume is the tissue volume TV.

    Args:
        volume: With the class ``bone``; ``shade_off`` counts as bone.
        convention: Of thickness.

    Raises:
        ValueError: One slice, or no bone.
    """
    if volume.shape[0] == 1:
        raise ValueError(f"{volume.path} is one slice; trabecular bone is measured in volumes")
    bone, scale = volume.mask(*BONE), volume.scale
    if not bone.any():
        raise ValueError(f"{volume.path} holds no bone: no voxel has the value {_values(volume)}")
    thickness = PhaseThickness("Tb.Th", "bone", scale, convention)
    spacing = PhaseThickness("Tb.Sp", "marrow", scale, convention)
    steps: dict[str, Callable[[], Part]] = {
        "volume and surface": lambda: Part(volume_measures(bone, scale)),
        "thickness": lambda: _thickness(thickness, bone, scale, convention),
        "spacing": lambda: _thickness(spacing, ~bone, scale, convention),
        "number": lambda: Part([number_measure(thickness.mean, spacing.mean, scale)]),
        "connectivity": lambda: Part(connectivity_measures(bone, scale)),
        "anisotropy": lambda: Part(anisotropy_measures(bone, scale)),
    }
    parts: list[Part] = []
    with tqdm(steps.items(), unit="part", delay=2.0, leave=False, disable=None) as progress:
        for name, measured in progress:
            progress.set_description(name)
            parts.append(measured())
    return gathered(
        volume,
        "Trabecular bone",
        [*parts, Part(warnings=_doubts(volume, bone, thickness))],
        cells=None,
        facts={"thickness": DIAMETERS[convention]},
    )


def volume_measures(bone: Mask, scale: Scale) -> list[Measure]:
    """Rows BV, TV, BS and their ratios.

    Args:
        bone: Bool (Z, Y, X).
        scale: Size of a voxel.
    """
    count = int(np.count_nonzero(bone))
    solid, total = (number * scale.voxel_volume for number in (count, bone.size))
    area = surface_area(bone, scale.spacing)
    (bv, volume), (tv, _) = scale.millimetres(solid, 3), scale.millimetres(total, 3)
    bs, squared = scale.millimetres(area, 2)
    per_bone, reciprocal = scale.millimetres(area / solid, -1)
    per_tissue, _ = scale.millimetres(area / total, -1)
    surface = "marching cubes at 1/2 of the binary, not where the volume's border cuts bone"
    return [
        Measure(measure="BV", value=bv, n=count, unit=volume, definition="bone: its voxels"),
        Measure(measure="TV", value=tv, n=bone.size, unit=volume, definition="the whole volume"),
        Measure(measure="BV/TV", value=count / bone.size, unit="", definition="BV / TV"),
        Measure(measure="BS", value=bs, unit=squared, definition=f"bone surface: {surface}"),
        Measure(measure="BS/BV", value=per_bone, unit=reciprocal, definition="BS / BV"),
        Measure(measure="BS/TV", value=per_tissue, unit=reciprocal, definition="BS / TV"),
    ]


def number_measure(thickness: float, spacing: float, scale: Scale) -> Measure:
    """The row Tb.N.

    Args:
        thickness: Mean of Tb.Th.
        spacing: Mean of Tb.Sp.
        scale: Size of a voxel.
    """
    number, unit = scale.millimetres(1.0 / (thickness + spacing), -1)
    return Measure(measure="Tb.N", value=number, unit=unit, definition="1 / (Tb.Th + Tb.Sp)")


def connectivity_measures(bone: Mask, scale: Scale) -> list[Measure]:
    """Rows of the Euler characteristic and Conn.D.

    Args:
        bone: Bool (Z, Y, X).
        scale: Size of a voxel.
    """
    found = euler(bone)
    density, unit = scale.millimetres(found.connectivity / (bone.size * scale.voxel_volume), -3)
    return [
        Measure(
            measure="Euler",
            value=found.characteristic,
            unit="",
            definition="parts - tunnels + cavities of bone, whose voxels touch by faces, edges or "
            "corners",
        ),
        Measure(
            measure="Euler corrected",
            value=found.corrected,
            unit="",
            definition="the same, what the volume's border cuts shared with the volumes beside it "
            "(Odgaard & Gundersen; BoneJ's Δχ)",
        ),
        Measure(
            measure="Conn.D",
            value=density,
            unit=unit,
            definition="(1 - corrected Euler characteristic) / TV; for bone in one part without "
            "cavities",
        ),
    ]


def anisotropy_measures(bone: Mask, scale: Scale) -> list[Measure]:
    """Rows of DA and of the direction in which bone and marrow go on longest.

    Args:
        bone: Bool (Z, Y, X).
        scale: Size of a voxel.
    """
    found = anisotropy(bone, scale.spacing)
    degree = Measure(
        measure="DA",
        value=found.degree,
        unit="",
        definition="1 - (shortest / longest axis)² of the ellipsoid of mean intercept lengths, "
        "every phase change counted (BoneJ 1's convention), along parallel lines through the "
        f"largest ball in the volume, sampled every {SAMPLING:g} voxels",
    )
    longest = [
        Measure(
            measure=f"DA axis {axis}",
            value=float(part),
            unit="",
            definition=f"{axis} of the unit vector along the longest axis of that ellipsoid",
        )
        for axis, part in zip("zyx", found.axes[0], strict=True)
    ]
    return [degree, *longest]


def _thickness(found: PhaseThickness, mask: Mask, scale: Scale, convention: Convention) -> Part:
    blocks = thickness_blocks(
        lambda first, last: mask[first:last], mask.shape, scale.spacing, convention=convention
    )
    for _, block in blocks:
        found.add(block)
    return Part(found.measures(), found.histograms())


def _values(volume: LabelVolume) -> str:
    return " or ".join(str(volume.classes[name]) for name in BONE if name in volume.classes)


def _doubts(volume: LabelVolume, bone: Mask, thickness: PhaseThickness) -> list[str]:
    """What makes measures of this volume doubtful."""
    if bone.all():
        return [f"{volume.path} is all bone: thickness and spacing are not defined"]
    if thickness.mean < thickness.resolved_width:
        width = f"{thickness.resolved_width:g} {volume.scale.length_unit}"
        return [f"Tb.Th is below 3 voxels ({width}): the voxels are too large for this bone"]
    return []
