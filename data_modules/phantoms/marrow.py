"""Stain concentrations of what lies between trabeculae and within Haversian canals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from data_modules.phantoms.architecture import Architecture
from data_modules.phantoms.drawing import Ellipses, draw_coverage, smooth_noise

_ADIPOCYTE_SPACING_UM = 52.0
_MEMBRANE_UM = 1.1
_MARROW_CELLS_PER_MM2 = 14_000.0
_LINING_CELLS_PER_UM = 1 / 45.0

Stain = NDArray[np.float32]


def draw_marrow(
    architecture: Architecture, pixel_size_um: float, rng: np.random.Generator
) -> tuple[Stain, Stain]:
    """Draw fat cells, haematopoietic cells, vessels in canals and the cells that line bone.

    Args:
        architecture: Where marrow and canals are.
        pixel_size_um: Edge of a pixel in µm.
        rng: Random generator.

    Returns:
        Concentrations of haematoxylin and eosin, float32 (Y, X), meaningful outside of bone.
    """
    shape = architecture.bone.shape
    red = smooth_noise(shape, 260.0 / pixel_size_um, rng) + rng.uniform(-0.9, 0.6)
    red = np.clip(1.6 * red, 0.0, 1.0)
    fat, membrane = _adipocytes(~architecture.bone, red, pixel_size_um, rng)
    cellular = np.where(fat, 0.0, 0.3 + 0.7 * red)
    # Haversian canals hold a vessel and loose tissue, no fat.
    lumen = architecture.canal & (architecture.surface_um < -7.0)
    wall = architecture.canal & ~lumen
    fat = fat & ~architecture.canal
    texture = np.clip(1.0 + 0.35 * smooth_noise(shape, 7.0 / pixel_size_um, rng), 0.2, 2.0)
    eosin = np.where(fat, 0.03, 0.30 * texture)
    eosin = np.where(architecture.canal, np.where(lumen, 0.10, 0.32) * texture, eosin)
    eosin = np.maximum(eosin, 0.42 * membrane * ~architecture.canal)
    cellular = np.where(architecture.canal, 0.12 * wall, cellular)
    haematoxylin = np.where(fat, 0.01, 0.07)
    nuclei, cytoplasm, red_cells = _cells(cellular, lumen, pixel_size_um, rng)
    lining = _lining_cells(architecture, pixel_size_um, rng)
    haematoxylin = np.maximum(haematoxylin, np.maximum(nuclei, lining))
    eosin = np.maximum(eosin, np.maximum(0.45 * cytoplasm, 0.7 * red_cells))
    return haematoxylin.astype(np.float32), eosin.astype(np.float32)


def _adipocytes(
    space: NDArray[np.bool_], red: Stain, pixel_size_um: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], Stain]:
    """Packed fat cells: rounded Voronoi cells of jittered seeds; fat mask and membrane strength.

    They are smaller and apart where the marrow is ``red`` (0 to 1).
    """
    shape = space.shape
    extent = np.array(shape) * pixel_size_um
    step = _ADIPOCYTE_SPACING_UM
    nodes = np.indices([int(length // step) + 4 for length in extent]).reshape(2, -1).T
    seeds = (nodes - 1.5 + rng.uniform(-0.38, 0.38, nodes.shape) + rng.random(2)) * step
    index = np.argwhere(space)
    fat = np.zeros(shape, bool)
    membrane = np.zeros(shape, np.float32)
    if not len(index):
        return fat, membrane
    distance = np.asarray(cKDTree(seeds).query((index + 0.5) * pixel_size_um, k=3)[0])
    # Half the difference to the second seed is the distance to the wall; adding the third rounds
    # the corners, which leaves the gaps between fat cells where other marrow lies.
    wall = (distance[:, 1] - distance[:, 0]) / 2.0
    corner = (distance[:, 2] - distance[:, 0]) / 2.0
    inner = -4.0 * np.log(np.exp(-wall / 4.0) + np.exp(-corner / 4.0))
    depth = np.full(shape, -10.0, np.float32)
    depth[space] = inner
    depth += 1.3 * smooth_noise(shape, 30.0 / pixel_size_um, rng) - 13.0 * red
    fat = (depth > _MEMBRANE_UM) & space
    blurred = max(_MEMBRANE_UM, 0.6 * pixel_size_um)
    membrane = np.exp(-((depth / blurred) ** 2)).astype(np.float32)
    return fat, membrane


def _cells(
    density: NDArray[np.float64],
    lumen: NDArray[np.bool_],
    pixel_size_um: float,
    rng: np.random.Generator,
) -> tuple[Stain, Stain, Stain]:
    """Nuclei and cytoplasm of marrow cells where ``density`` (0-1) says so, and red blood cells."""
    shape = density.shape
    area_mm2 = density.size * pixel_size_um**2 * 1e-6
    points = rng.random((rng.poisson(_MARROW_CELLS_PER_MM2 * area_mm2), 2)) * shape
    chance = density[tuple(points.astype(np.intp).T)]
    points = points[rng.random(len(points)) < chance]
    # Neighbours share little space: of two nuclei closer than 6 µm one is dropped.
    pairs = cKDTree(points).query_pairs(6.0 / pixel_size_um, output_type="ndarray")
    points = np.delete(points, np.unique(pairs.max(axis=1, initial=0)) if len(pairs) else [], 0)
    count = len(points)
    long_axis = np.clip(rng.normal(3.1, 0.6, count), 2.0, 5.0)
    axes = np.stack([long_axis, long_axis * rng.uniform(0.7, 1.0, count)], 1) / pixel_size_um
    nuclei = Ellipses(points, axes, rng.uniform(0, np.pi, count))
    strength = rng.uniform(0.5, 1.0, count)
    drawn = draw_coverage(shape, nuclei, strength)
    drawn *= np.clip(1.0 + 0.18 * smooth_noise(shape, 3.0 / pixel_size_um, rng), 0.5, 1.5)
    around = draw_coverage(shape, nuclei.grown(2.2 / pixel_size_um), rng.uniform(0.5, 1.2, count))
    red = rng.random((rng.poisson(5000.0 * area_mm2), 2)) * shape
    where = tuple(red.astype(np.intp).T)
    chance = np.where(lumen[where], 0.9, 0.12 * density[where])
    red = red[rng.random(len(red)) < chance]
    size = rng.uniform(2.0, 3.4, (len(red), 2)) / pixel_size_um
    red_cells = Ellipses(red, np.sort(size, axis=1)[:, ::-1], rng.uniform(0, np.pi, len(red)))
    discs = draw_coverage(shape, red_cells, rng.uniform(0.5, 1.0, len(red)))
    return drawn, around, discs


def _lining_cells(
    architecture: Architecture, pixel_size_um: float, rng: np.random.Generator
) -> Stain:
    """Flat nuclei along the bone surface."""
    shape = architecture.bone.shape
    distance = architecture.surface_um
    shell = np.argwhere((distance < -0.8) & (distance > -0.8 - pixel_size_um))
    wanted = rng.poisson(_LINING_CELLS_PER_UM * pixel_size_um * len(shell))
    chosen = shell[rng.integers(0, len(shell), wanted)] if len(shell) else shell
    rows, columns = np.gradient(ndimage.gaussian_filter(distance, 1.0))
    normal = np.asarray(np.arctan2(rows, columns), np.float64)
    angle = normal[chosen[:, 0], chosen[:, 1]] + np.pi / 2
    axes = np.stack([rng.uniform(2.8, 5.0, len(chosen)), rng.uniform(0.8, 1.5, len(chosen))], 1)
    nuclei = Ellipses(chosen.astype(np.float64), axes / pixel_size_um, angle)
    return draw_coverage(shape, nuclei, rng.uniform(0.6, 1.0, len(chosen)))
