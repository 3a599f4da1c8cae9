"""A tomographic scan of a spine: projections, radiographs, reconstruction, in several processes.

Slices are independent but for the optics, which work on whole radiographs. So there are three
rounds: blocks of slices are drawn and projected; radiographs are formed angle by angle; blocks of
slices are reconstructed. Between the rounds all of it lies on disk, and a process holds a block at
a time, so memory does not depend on the number of slices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray

from data_modules.phantoms.beamlines import Beamline
from data_modules.phantoms.drawing import SmoothVolume
from data_modules.phantoms.optics import phase_ring_filter, radiograph
from data_modules.phantoms.spine import Spine
from data_modules.phantoms.spine_voxels import Grid, draw_voxels
from data_modules.phantoms.tomography import filtered_back_projection, project, scan_angles
from lotus.process_pool import map_in_processes

# The same whatever the number of processes: the noise of a block has a seed of its own.
_SLICES, _RADIOGRAPHS = 64, 16
# Mineralisation differs from place to place by about this share.
_TEXTURE = 0.02
# The network is not empty: dried cells and fluid refract and absorb like so much bone.
_FILLING = 0.45
Result = TypeVar("Result")
Range = tuple[int, int]


@dataclass(frozen=True)
class Scan:
    """What is scanned and how.

    Attributes:
        spine: The specimen.
        texture: Its mineralisation, as many slices as the scan has.
        size: Edge of the slices in voxels.
        beamline: Where; its pixel is the voxel.
        ring_offset_per_um: Middle of the phase ring's band in 1/µm, (z, x).
        seed: Of the photons' noise.
    """

    spine: Spine
    texture: SmoothVolume
    size: int
    beamline: Beamline
    ring_offset_per_um: tuple[float, float]
    seed: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number of slices."""
        return len(self.texture.weights[0])


@dataclass(frozen=True)
class ScanFiles:
    """Arrays on disk that processes share.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def create(self, name: str, shape: Sequence[int], dtype: DTypeLike) -> None:
        """Make an array of zeros."""
        open_memmap(self._path(name), mode="w+", dtype=dtype, shape=tuple(shape)).flush()

    def open(self, name: str) -> NDArray[Any]:
        """An array that is read and written in place."""
        return open_memmap(self._path(name), mode="r+")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def scan_bytes(depth: int, size: int) -> int:
    """What :func:`scan` needs of the disk."""
    return 4 * depth * size * (len(scan_angles(size)) + 1) + 9 * depth * size**2


def scan_steps(depth: int, size: int) -> int:
    """How often :func:`scan` reports."""
    return 2 * len(_parts(depth, _SLICES)) + len(_parts(len(scan_angles(size)) + 1, _RADIOGRAPHS))


def scan(
    job: Scan, folder: Path, processes: int, report: Callable[[], object]
) -> tuple[ScanFiles, NDArray[np.intp]]:
    """Scan a spine and reconstruct it.

    Args:
        job: What and how.
        folder: An empty one, for the arrays.
        processes: At most so many; the result does not depend on it.
        report: Called as often as :func:`scan_steps` says.

    Returns:
        The arrays ``classes`` (uint8: background, network, bone), ``clean`` and ``noisy`` (float32
        per µm: reconstructed without and with noise), each (Z, Y, X), and ``projections`` (A + 1,
        Z, X), the noise-free radiographs, the last at 180° for comparison; and the number of
        voxels of each lacuna.
    """
    files, shape = ScanFiles(folder), (job.depth, job.size, job.size)
    count = len(scan_angles(job.size)) + 1
    files.create("projections", (count, job.depth, job.size), np.float32)
    files.create("classes", shape, np.uint8)
    files.create("clean", shape, np.float32)
    files.create("noisy", shape, np.float32)
    slices, radiographs = _parts(job.depth, _SLICES), _parts(count, _RADIOGRAPHS)
    voxels = np.zeros(len(job.spine.lacunae), np.intp)
    for counted in _each(partial(_project, job, files), slices, processes, report):
        voxels += counted
    for _ in _each(partial(_take_radiographs, job, files), radiographs, processes, report):
        pass
    for _ in _each(partial(_reconstruct, job, files), slices, processes, report):
        pass
    return files, voxels


def _parts(count: int, length: int) -> list[Range]:
    return [(first, min(first + length, count)) for first in range(0, count, length)]


def _each(
    function: Callable[[Range], Result],
    parts: Sequence[Range],
    processes: int,
    report: Callable[[], object],
) -> Iterator[Result]:
    for result in map_in_processes(function, parts, processes):
        report()
        yield result


def _project(job: Scan, files: ScanFiles, slices: Range) -> NDArray[np.intp]:
    """Draw a block of slices and project it: the path through bone in µm."""
    voxels = draw_voxels(job.spine, Grid(slices, job.size, job.beamline.pixel_size_um))
    files.open("classes")[slice(*slices)] = voxels.classes()
    density = 1.0 + np.float32(_TEXTURE) * job.texture.slices(*slices)
    density *= voxels.bone - np.float32(1.0 - _FILLING) * voxels.voids
    path = project(density, np.append(scan_angles(job.size), np.pi))
    path *= np.float32(job.beamline.pixel_size_um)
    files.open("projections")[:, slice(*slices)] = path
    return np.bincount(voxels.lacunae.ravel(), minlength=len(job.spine.lacunae) + 1)[1:]


def _take_radiographs(job: Scan, files: ScanFiles, angles: Range) -> None:
    """Put the intensity of each radiograph in place of the path."""
    projections = files.open("projections")
    transfer = phase_ring_filter(projections.shape[1:], job.beamline, job.ring_offset_per_um)
    for number in range(*angles):
        projections[number] = radiograph(projections[number], job.beamline, transfer)


def _reconstruct(job: Scan, files: ScanFiles, slices: Range) -> None:
    """Reconstruct a block of slices from its radiographs as they are, and from photons counted."""
    angles = scan_angles(job.size)
    clean = np.array(files.open("projections")[: len(angles), slice(*slices)])
    noisy, photons = np.empty_like(clean), job.beamline.photons
    rng = np.random.default_rng([*job.seed, slices[0]])
    for number, intensity in enumerate(clean):
        noisy[number] = rng.poisson(intensity * photons) / photons
    # A pixel without a photon counts as one with one.
    both = -np.log(np.maximum(np.concatenate([clean, noisy], axis=1), np.float32(1.0 / photons)))
    found = filtered_back_projection(both, angles) / np.float32(job.beamline.pixel_size_um)
    depth = slices[1] - slices[0]
    files.open("clean")[slice(*slices)] = found[:depth]
    files.open("noisy")[slice(*slices)] = found[depth:]
