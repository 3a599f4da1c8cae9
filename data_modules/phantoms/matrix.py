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

_SECTION_UM = 5.0
_SMALLEST_LACUNA_UM2 = 15.0
_DEEPEST_UM = 400.0


def lamellae(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float64]:
    """Texture along the surfaces, of zero mean and about unit deviation, (Y, X)."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    depth = section.depth_um + 6.0 * smooth_noise(shape, 110.0 / pixel, rng)
    sheets = smooth_noise((round(_DEEPEST_UM), 1), 6.0, rng)[:, 0]
    waves = np.interp(depth, np.arange(len(sheets)), sheets)
    visible = np.clip(0.6 + 0.7 * smooth_noise(shape, 80.0 / pixel, rng), 0.0, 1.6)
    return np.asarray(waves * visible + 0.6 * smooth_noise(shape, max(5.0 / pixel, 2.0), rng))


def cracks(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float32]:
    """Slits in mineralised bone, many or few, oblique to the lamellae, 0 to 1, (Y, X)."""
    per_mm2 = np.exp(rng.uniform(np.log(100.0), np.log(2500.0)))
    slits = _streaks(section, per_mm2, (5.0, 0.5), (0.4, 1.3), rng)
    return draw_coverage(section.depth_um.shape, slits, rng.uniform(0.3, 1.0, len(slits)))


def folds(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float32]:
    """Places where the section lies double, in long narrow streaks, 0 to 1, (Y, X)."""
    streaks = _streaks(section, rng.uniform(0.0, 250.0), (13.0, 0.4), (0.7, 2.0), rng)
    return draw_coverage(section.depth_um.shape, streaks, rng.uniform(0.3, 1.0, len(streaks)))


def _streaks(
    section: FormingSection,
    per_mm2: float,
    length_um: tuple[float, float],
    width_um: tuple[float, float],
    rng: np.random.Generator,
) -> Ellipses:
    """Crowds of nearly parallel ellipses in mineralised bone.

    Args:
        section: Where.
        per_mm2: How many there are where they are crowded.
        length_um: Median of the long semi-axis, and deviation of its logarithm.
        width_um: Least and greatest short semi-axis.
        rng: Random generator.
    """
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    area = section.depth_um.size * pixel**2 * 1e-6
    centre = rng.random((rng.poisson(per_mm2 * area), 2)) * shape
    index = tuple(centre.astype(np.intp).T)
    crowded = np.clip(0.3 + 0.8 * smooth_noise(shape, 150.0 / pixel, rng), 0.0, 1.0)
    seam = section.formation.osteoid[section.nearest]
    kept = (section.depth_um - seam)[index] > 8.0
    kept &= rng.random(len(centre)) < crowded[index]
    centre, count = centre[kept], int(kept.sum())
    normal = section.surface.normals[section.nearest[tuple(centre.astype(np.intp).T)]]
    along = np.arctan2(normal[:, 0], normal[:, 1]) + np.pi / 2
    angle = along + rng.choice([0.0, 0.5, 1.0]) + 0.2 * rng.standard_normal(count)
    length = length_um[0] * np.exp(length_um[1] * rng.standard_normal(count)).clip(0.4, 4.0)
    width = np.minimum(rng.uniform(*width_um, count), 0.5 * length)
    return Ellipses(centre, np.stack([length, width], axis=1) / pixel, angle)


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
