"""What lies in bone that forms bone, and around it, for any stain: lamellae, cracks, marrow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_modules.phantoms.anatomy import Patient, SectionConfig, fill_with_lacunae
from data_modules.phantoms.architecture import Architecture
from data_modules.phantoms.drawing import Ellipses, draw_coverage, smooth_noise
from data_modules.phantoms.forming_section import FormingSection
from data_modules.phantoms.lacunae import cut_ellipsoids
from data_modules.phantoms.marrow import draw_marrow

_CRACKS_PER_MM2 = (40.0, 900.0)
_SECTION_UM = 5.0
_SMALLEST_LACUNA_UM2 = 15.0


def lamellae(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float64]:
    """Texture along the surfaces, of zero mean and about unit deviation, (Y, X)."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    depth = section.depth_um + 5.0 * smooth_noise(shape, 120.0 / pixel, rng)
    visible = np.clip(0.5 + 0.7 * smooth_noise(shape, 80.0 / pixel, rng), 0.0, 1.5)
    waves = np.sin(2 * np.pi * depth / 8.0) + 0.7 * np.sin(2 * np.pi * depth / 4.7 + 1.0)
    return np.asarray(waves * visible + 0.6 * smooth_noise(shape, max(5.0 / pixel, 2.0), rng))


def cracks(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float32]:
    """Slits in mineralised bone, along the lamellae or in parallel across them, 0 to 1, (Y, X)."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    area = section.depth_um.size * pixel**2 * 1e-6
    density = np.exp(rng.uniform(*np.log(_CRACKS_PER_MM2)))
    centre = rng.random((rng.poisson(density * area), 2)) * shape
    index = tuple(centre.astype(np.intp).T)
    crowded = np.clip(0.4 + 0.8 * smooth_noise(shape, 150.0 / pixel, rng), 0.0, 1.0)
    seam = section.formation.osteoid[section.nearest]
    kept = (section.depth_um - seam)[index] > 8.0
    kept &= rng.random(len(centre)) < crowded[index]
    centre, count = centre[kept], int(kept.sum())
    normal = section.surface.normals[section.nearest[tuple(centre.astype(np.intp).T)]]
    along = np.arctan2(normal[:, 0], normal[:, 1]) + np.pi / 2
    angle = along + rng.choice([0.0, 0.7]) + 0.2 * rng.standard_normal(count)
    length = np.exp(rng.normal(np.log(6.0), 0.5, count)).clip(2.0, 22.0)
    width = np.minimum(rng.uniform(0.5, 1.4, count), 0.5 * length)
    slits = Ellipses(centre, np.stack([length, width], axis=1) / pixel, angle)
    return draw_coverage(shape, slits, rng.uniform(0.3, 1.0, count))


def lacunae(
    section: FormingSection, patient: Patient, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Lacunae of the osteocytes, 0 to 1, (Y, X)."""
    size, pixel = section.depth_um.shape[0], section.pixel_size_um
    config = SectionConfig(size, pixel, _SECTION_UM)
    ellipsoids = fill_with_lacunae(_architecture(section), patient.bone.lacunae, config, rng)
    outlines, visibility, _ = cut_ellipsoids(
        ellipsoids,
        thickness_um=_SECTION_UM,
        pixel_size_um=pixel,
        minimum_area_um2=_SMALLEST_LACUNA_UM2,
    )
    return draw_coverage((size, size), outlines, visibility * rng.uniform(0.2, 1.0, len(outlines)))


def marrow_of(
    section: FormingSection, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Amounts of nuclei and of other cell matter in marrow with fat cells, (Y, X) each."""
    return draw_marrow(_architecture(section), section.pixel_size_um, rng)


def _architecture(section: FormingSection) -> Architecture:
    """The section as what other phantoms draw into."""
    depth = section.depth_um.astype(np.float32)
    nothing = np.zeros_like(depth)
    return Architecture(
        kind="trabecular",
        bone=depth > 0,
        canal=depth > np.inf,
        surface_um=depth,
        lamella_um=depth,
        cement=nothing,
        packet=nothing,
        elevation=(0.0, np.deg2rad(38.0)),
    )
