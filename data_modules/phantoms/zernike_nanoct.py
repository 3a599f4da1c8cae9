"""Zernike nanoCT phantom: a spine of bone in a phase-contrast microscope, with all its artefacts.

Halos, shade-off and streaks come from the optics and the reconstruction alone: nothing is drawn
into the slices. Ring artefacts, drift and a detector's blur are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from data_modules.phantoms.beamlines import BEAMLINES, Beamline
from data_modules.phantoms.drawing import draw_smooth_volume
from data_modules.phantoms.spine import DIAMETER_UM, draw_spine
from data_modules.phantoms.zernike_scan import Scan, ScanFiles, scan

MINIMUM_SIZE = 32
# A field of view this wide shows the whole spine.
_FIELD_UM = 45.0
_WIDEST_SHARE = 0.8
_TEXTURE_UM = 1.5
# The ring is adjusted along the rotation axis better than across it.
_OFFSET_DEGREES = 20.0


@dataclass(frozen=True)
class ZernikeConfig:
    """What a volume shows.

    Attributes:
        beamline: A key of ``BEAMLINES``.
        shape: (Z, Y, X) in voxels, Y = X of at least 32.
        binning: Detector pixels along each axis that are read out as one, at least 1; None: as
            many as it takes to see the whole spine, 45 µm wide. With a narrower field of view the
            spine is a thin one.
    """

    beamline: str = "anatomix"
    shape: tuple[int, int, int] = (420, 512, 512)
    binning: int | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: With what was found and what would be right.
        """
        if self.beamline not in BEAMLINES:
            raise ValueError(f"beamline {self.beamline}: take one of {', '.join(BEAMLINES)}")
        depth, height, width = self.shape
        if depth < 1 or height != width or width < MINIMUM_SIZE:
            raise ValueError(
                f"shape {depth} {height} {width}: take Z of at least 1, and Y = X of at least "
                f"{MINIMUM_SIZE}, as the slices of a tomogram are"
            )
        if self.binning is not None and self.binning < 1:
            raise ValueError(f"binning {self.binning}: take a whole number of at least 1")

    @cached_property
    def microscope(self) -> Beamline:
        """The beamline, its pixel binned."""
        beamline = BEAMLINES[self.beamline]
        needed = int(np.ceil(_FIELD_UM / (self.shape[2] * beamline.pixel_size_um)))
        return beamline.binned(needed if self.binning is None else self.binning)

    @property
    def voxel_um(self) -> float:
        """Edge of a voxel in µm."""
        return self.microscope.pixel_size_um

    @property
    def diameter_um(self) -> float:
        """Width of the spine in µm."""
        return min(DIAMETER_UM, _WIDEST_SHARE * self.shape[2] * self.voxel_um)


def scan_specimen(
    config: ZernikeConfig,
    seed: tuple[int, ...],
    folder: Path,
    processes: int,
    report: Callable[[], object],
) -> tuple[Scan, ScanFiles, list[int]]:
    """Draw a specimen and scan it.

    Args:
        config: Beamline and shape.
        seed: Of the specimen.
        folder: An empty one, for the arrays.
        processes: At most so many.
        report: Called after every step, see :func:`~data_modules.phantoms.zernike_scan.scan`.

    Returns:
        What was scanned, the arrays, and the number of voxels of each lacuna.
    """
    rng = np.random.default_rng(seed)
    voxel = config.voxel_um
    spine = draw_spine(config.shape[0] * voxel, config.diameter_um, voxel, rng)
    texture = draw_smooth_volume(config.shape, _TEXTURE_UM / voxel, rng)
    low, high = config.microscope.ring_offset
    distance = rng.uniform(low, high) * config.microscope.cutoff_per_um
    angle = np.deg2rad(rng.uniform(-_OFFSET_DEGREES, _OFFSET_DEGREES))
    offset = (float(distance * np.sin(angle)), float(distance * np.cos(angle)))
    job = Scan(spine, texture, config.shape[2], config.microscope, offset, seed)
    files, voxels = scan(job, folder, processes, report)
    return job, files, voxels.tolist()
