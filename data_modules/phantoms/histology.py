"""H&E histology phantom: decalcified bone under a bright-field microscope.

Beer-Lambert's law per colour channel: I = I0 exp(-(h H + e E)), with the stain vectors h, e of
Ruifrok and Johnston (2001) for haematoxylin and of Macenko et al. (2009) for eosin (that of Ruifrok
and Johnston renders decalcified bone magenta), turned and scaled a little on every slide.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_modules.phantoms.anatomy import (
    Patient,
    Section,
    SectionConfig,
    cut_section,
    measure_truth,
)
from data_modules.phantoms.drawing import Ellipses, draw_coverage, smooth_noise
from data_modules.phantoms.image import PhantomImage
from data_modules.phantoms.marrow import draw_marrow

HAEMATOXYLIN = np.array([0.650, 0.704, 0.286])
EOSIN = np.array([0.216, 0.801, 0.558])
_CANALICULI_PER_LACUNA = 16


@dataclass(frozen=True)
class HistologyConfig:
    """Image formation of the histology phantom.

    Attributes:
        section: Size, pixel (1 µm, a tenfold objective) and thickness of the section (5 µm).
        stain_variation: Standard deviation of the logarithm of each stain's amount per slide.
        hue_variation: Standard deviation of the stain vectors' components per slide.
        blur_um: Standard deviation of the microscope's point spread in µm.
        noise: Standard deviation of the camera's noise in grey levels of 255.
        halo: Loss of eosin in the matrix around a lacuna, 0 to 1.
    """

    section: SectionConfig = field(
        default_factory=lambda: SectionConfig(pixel_size_um=1.0, thickness_um=5.0)
    )
    stain_variation: float = 0.16
    hue_variation: float = 0.035
    blur_um: float = 0.55
    noise: float = 2.0
    halo: float = 0.22

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: With what was found and what would be right.
        """
        if not 0.0 <= self.halo <= 1.0:
            raise ValueError(f"halo {self.halo:g}: take a value from 0 to 1")
        if min(self.stain_variation, self.hue_variation, self.blur_um, self.noise) < 0:
            raise ValueError("stain_variation, hue_variation, blur_um and noise must not be < 0")


def simulate_histology(
    patient: Patient, config: HistologyConfig, rng: np.random.Generator
) -> PhantomImage:
    """Image a stained section of a patient's bone.

    Args:
        patient: Whose bone it is.
        config: Section and image formation.
        rng: Random generator of this slide.

    Returns:
        RGB uint8 image with label map and truth.
    """
    section = cut_section(patient, config.section, rng)
    haematoxylin, eosin = _matrix(section, rng)
    haematoxylin, eosin = _draw_lacunae(section, config, haematoxylin, eosin, rng)
    marrow = draw_marrow(section.architecture, section.pixel_size_um, rng)
    # Sub-pixel surfaces, as the covered share of a pixel.
    bone = np.clip(section.architecture.surface_um / section.pixel_size_um + 0.5, 0.0, 1.0)
    haematoxylin = bone * haematoxylin + (1.0 - bone) * marrow[0]
    eosin = bone * eosin + (1.0 - bone) * marrow[1]
    image = _expose(haematoxylin, eosin, section.pixel_size_um, config, rng)
    return PhantomImage(image, section.labels, section.pixel_size_um, measure_truth(section))


def _matrix(
    section: Section, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Haematoxylin and eosin of bone matrix: lamellae, packets, cement lines, osteoid."""
    architecture, pixel = section.architecture, section.pixel_size_um
    shape = architecture.bone.shape
    phase = architecture.lamella_um + 1.5 * smooth_noise(shape, 40.0 / pixel, rng)
    visible = np.clip(0.6 + 0.6 * smooth_noise(shape, 110.0 / pixel, rng), 0.0, 1.3)
    lamellae = np.sin(2 * np.pi * phase / 7.5) * visible
    lamellae += 0.5 * np.sin(2 * np.pi * phase / 4.3 + 1.0) * visible
    eosin = 0.60 + 0.045 * lamellae - 0.10 * (architecture.packet - 0.6)
    eosin += 0.045 * smooth_noise(shape, 70.0 / pixel, rng)
    eosin += 0.025 * smooth_noise(shape, max(3.0 / pixel, 2.0), rng)
    osteoid = np.clip(1.0 - architecture.surface_um / 5.0, 0.0, 1.0)
    active = np.clip(2.0 * smooth_noise(shape, 150.0 / pixel, rng) - 0.6, 0.0, 1.0)
    eosin -= 0.16 * osteoid * active
    haematoxylin = 0.075 + 0.02 * smooth_noise(shape, 90.0 / pixel, rng)
    haematoxylin += 0.16 * architecture.cement + 0.05 * (architecture.packet - 0.5)
    return haematoxylin.astype(np.float32), eosin.astype(np.float32)


def _draw_lacunae(
    section: Section,
    config: HistologyConfig,
    haematoxylin: NDArray[np.float32],
    eosin: NDArray[np.float32],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Clear the lacunae, draw their halo, rim and canaliculi, and put nuclei into them."""
    shape, outlines = section.labels.shape, section.outlines
    pixel = section.pixel_size_um
    clear = draw_coverage(shape, outlines, 0.35 + 0.65 * section.visibility)
    wide = draw_coverage(shape, outlines.grown(1.6 / pixel), section.visibility)
    around = ndimage.gaussian_filter(wide, 1.2 / pixel)
    rim = np.clip(draw_coverage(shape, outlines.grown(0.6 / pixel)) - clear, 0.0, 1.0)
    eosin = eosin * (1.0 - config.halo * around) * (1.0 - 0.14 * _canaliculi(section, rng))
    haematoxylin = haematoxylin + 0.10 * rim
    eosin = eosin * (1.0 - 0.86 * clear)
    haematoxylin = haematoxylin * (1.0 - 0.8 * clear)
    cell, strength = _osteocytes(section, rng)
    inside = section.labels > 0
    body = draw_coverage(shape, cell.scaled(1.25), 1.0) * inside
    nucleus = draw_coverage(shape, cell, strength) * inside
    nucleus *= np.clip(1.0 + 0.15 * smooth_noise(shape, max(2.5 / pixel, 2.0), rng), 0.6, 1.4)
    eosin = np.maximum(eosin, 0.30 * body).astype(np.float32)
    haematoxylin = np.maximum(haematoxylin + 0.12 * body, nucleus).astype(np.float32)
    return haematoxylin, eosin


def _osteocytes(section: Section, rng: np.random.Generator) -> tuple[Ellipses, NDArray[np.float64]]:
    """Nuclei of the osteocytes that the section meets, and their amount of haematoxylin."""
    lived_in = section.occupied & (rng.random(len(section.outlines)) < 0.93)
    lacunae = section.outlines.take(lived_in)
    pixel, count = section.pixel_size_um, len(lacunae)
    share = np.stack([rng.uniform(0.45, 0.68, count), rng.uniform(0.52, 0.80, count)], 1)
    largest = np.array([4.6, 2.8]) / pixel
    axes = np.minimum(lacunae.semi_axes * share, largest)
    # Shrinkage leaves the cell attached to one side of its lacuna.
    room = np.maximum(lacunae.semi_axes - axes, 0.0) * rng.uniform(-0.7, 0.7, (count, 2))
    cosine, sine = np.cos(lacunae.angle), np.sin(lacunae.angle)
    shift = np.stack(
        [room[:, 0] * sine + room[:, 1] * cosine, room[:, 0] * cosine - room[:, 1] * sine], 1
    )
    angle = lacunae.angle + 0.12 * rng.standard_normal(count)
    return Ellipses(lacunae.centre + shift, axes, angle), rng.uniform(0.65, 1.05, count)


def _canaliculi(section: Section, rng: np.random.Generator) -> NDArray[np.float32]:
    """Faint hair lines that leave each lacuna, mostly along its short axis, 0 to 1."""
    shape = section.labels.shape
    canvas = np.zeros(shape, np.float32)
    lacunae = section.outlines
    reach = 13.0 / section.pixel_size_um
    steps = int(2 * reach)
    count = (len(lacunae), _CANALICULI_PER_LACUNA, 1)
    side = np.pi / 2 + np.pi * rng.integers(0, 2, count)
    heading = lacunae.angle[:, None, None] + side + 0.6 * rng.standard_normal(count)
    bent = heading + 0.5 * rng.standard_normal(count) * np.linspace(0.0, 1.0, steps)
    length = reach * rng.uniform(0.4, 1.0, count) * np.linspace(0.0, 1.0, steps)
    long_axis, short_axis = (lacunae.semi_axes[:, i, None, None] for i in (0, 1))
    base = heading - lacunae.angle[:, None, None]
    # The point of the ellipse in this direction, from its polar form.
    radius = 1.0 / np.hypot(np.cos(base) / long_axis, np.sin(base) / short_axis)
    y = lacunae.centre[:, 0, None, None] + radius * np.sin(heading) + length * np.sin(bent)
    x = lacunae.centre[:, 1, None, None] + radius * np.cos(heading) + length * np.cos(bent)
    rows, columns = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    canvas[rows[inside], columns[inside]] = 1.0
    return canvas


def _expose(
    haematoxylin: NDArray[np.float32],
    eosin: NDArray[np.float32],
    pixel_size_um: float,
    config: HistologyConfig,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Turn stain amounts into an RGB image as a slide scanner would record it."""
    amount = np.exp(config.stain_variation * rng.standard_normal(2))
    stains = np.stack([HAEMATOXYLIN, EOSIN])
    stains = np.maximum(stains + config.hue_variation * rng.standard_normal((2, 3)), 0.02)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    light = 244.0 + 4.0 * rng.standard_normal(3)
    thickness = 1.0 + 0.05 * smooth_noise(eosin.shape, 400.0 / pixel_size_um, rng)
    shade = 1.0 + 0.012 * smooth_noise(eosin.shape, 600.0 / pixel_size_um, rng)
    image = np.empty((*eosin.shape, 3), np.uint8)
    for channel in range(3):
        density = haematoxylin * (amount[0] * stains[0, channel] * 1.35)
        density = (density + eosin * (amount[1] * stains[1, channel])) * thickness
        seen = ndimage.gaussian_filter(np.exp(-density), config.blur_um / pixel_size_um)
        grey = light[channel] * shade * seen + config.noise * rng.standard_normal(eosin.shape)
        image[..., channel] = np.clip(np.rint(grey), 0, 255)
    return image
