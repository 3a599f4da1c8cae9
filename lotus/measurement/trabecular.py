"""What `lotus measure trabecular` finds in a volume of bone and marrow."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lotus.measurement.outputs import Measured
from lotus.measurement.volume import LabelVolume, scale_warnings
from lotus.morphometry.summary import Measure

BONE = ("bone", "shade_off")
"""Classes that are bone: what phase contrast shades off is bone all the same."""


def measure_trabecular(volume: LabelVolume, convention: Literal["surface", "centre"]) -> Measured:
    """Measure trabecular bone; the whole volume is the tissue volume TV.

    Args:
        volume: With the class ``bone``; ``shade_off`` counts as bone.
        convention: Of thickness.

    Raises:
        ValueError: One slice, or no bone.
    """
    if volume.shape[0] == 1:
        raise ValueError(f"{volume.path} is one slice; trabecular bone is measured in volumes")
    scale = volume.scale
    bone = volume.mask(*BONE)
    count = int(np.count_nonzero(bone))
    if not count:
        raise ValueError(f"{volume.path} holds no bone: no voxel has the value {_values(volume)}")
    total, mm3 = scale.millimetres(bone.size * scale.voxel_volume, 3)
    solid, _ = scale.millimetres(count * scale.voxel_volume, 3)
    measures = [
        Measure(measure="BV", value=solid, n=count, unit=mm3, definition="bone volume: voxels"),
        Measure(measure="TV", value=total, n=bone.size, unit=mm3, definition="the whole volume"),
        Measure(measure="BV/TV", value=count / bone.size, unit="", definition="BV / TV"),
    ]
    return Measured(
        title=f"Trabecular bone of {volume.path.name}",
        facts=[("voxels", " x ".join(map(str, volume.shape))), ("thickness", convention)],
        measures=measures,
        warnings=scale_warnings(volume),
    )


def _values(volume: LabelVolume) -> str:
    return " or ".join(str(volume.classes[name]) for name in BONE if name in volume.classes)
