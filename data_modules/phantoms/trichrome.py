"""Masson's trichrome phantom: undecalcified bone under a bright-field microscope.

Beer-Lambert's law per colour channel: I = I0 exp(-sum of c_i e_i), with the colours of mineralised
bone (aniline blue, or light green), osteoid, and cells. Colours, widths and what lies in the marrow
are set by eye and by medians beside fields of real bone; they are no published values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_modules.phantoms.anatomy import Patient
from data_modules.phantoms.drawing import smooth_noise
from data_modules.phantoms.forming_section import FormingSection, cut_forming_section
from data_modules.phantoms.image import PhantomImage
from data_modules.phantoms.matrix import cracks, folds, lacunae, lamellae, marrow_of
from data_modules.phantoms.surface import STEP_UM
from lotus.masks import MaskValues

BLUE = np.array([2.45, 1.02, 0.43])
GREEN = np.array([1.75, 0.62, 0.95])
OSTEOID = np.array([0.38, 1.52, 1.57])
LILAC = np.array([0.62, 0.66, 0.30])
CELLS = np.array([0.24, 0.70, 0.95])
NUCLEI = np.array([0.52, 1.25, 1.35])
"""Optical densities (natural logarithm) of red, green and blue light at full amount."""


@dataclass(frozen=True)
class TrichromeConfig:
    """Image formation of the trichrome phantom.

    Attributes:
        size: Rows and columns in pixels, at least 32.
        pixel_size_um: Edge of a pixel in µm.
        green_share: Share of slides with light green in the place of aniline blue.
        stain_variation: Standard deviation of the logarithm of each stain's amount per slide.
        hue_variation: Standard deviation of the logarithm of the densities per slide and colour.
        blur_um: Standard deviation of the microscope's point spread in µm.
        noise: Standard deviation of the camera's noise in grey levels of 255.
    """

    size: int = 512
    pixel_size_um: float = 1.0
    green_share: float = 0.2
    stain_variation: float = 0.18
    hue_variation: float = 0.10
    blur_um: float = 0.6
    noise: float = 2.0


def simulate_trichrome(
    patient: Patient, config: TrichromeConfig, rng: np.random.Generator
) -> PhantomImage:
    """Image a stained section of a patient's bone.

    Args:
        patient: Whose bone it is.
        config: Size and image formation.
        rng: Random generator of this slide.

    Returns:
        RGB uint8 image with class map (1 mineralised, 2 osteoid) and truth. The lilac zone between
        the two is mineralised, and so are cracks and lacunae in it.
    """
    section = cut_forming_section(patient, config.size, config.pixel_size_um, rng)
    density = _density(section, patient, config, rng)
    image = _expose(density, config, rng)
    return PhantomImage(
        image,
        section.class_map(labels=False),
        section.pixel_size_um,
        section.truth(labels=False),
        "semantic",
        MaskValues.parse("mineralised=1 osteoid=2"),
    )


def _density(
    section: FormingSection, patient: Patient, config: TrichromeConfig, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Optical density (Y, X, 3)."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    mineral = GREEN if rng.random() < config.green_share else BLUE
    colours = np.stack([mineral, OSTEOID, LILAC, CELLS, NUCLEI])
    amount = np.exp(config.stain_variation * rng.standard_normal((5, 1)))
    colours = colours * amount * np.exp(config.hue_variation * rng.standard_normal((5, 3)))
    bone = np.clip(section.depth_um / pixel + 0.5, 0.0, 1.0)
    seam = np.clip(section.seam_um() / pixel + 0.5, 0.0, 1.0)
    zone = (1.0 - seam) * _transition(section, rng)
    grain = 1.0 + 0.05 * smooth_noise(shape, max(4.0 / pixel, 2.0), rng)
    blue = (1.0 - seam) * (1.0 - 0.85 * zone)
    blue *= 1.0 + 0.10 * lamellae(section, rng) + 0.12 * smooth_noise(shape, 90.0 / pixel, rng)
    red = seam * (1.0 + 0.12 * smooth_noise(shape, 25.0 / pixel, rng))
    solid = 1.0 - 0.9 * np.maximum(cracks(section, rng), lacunae(section, patient, rng))
    blue *= 1.0 + 0.6 * folds(section, rng)
    nuclei, cells = marrow_of(section, rng)
    cells = 1.7 * np.maximum(cells - rng.uniform(0.1, 0.25), 0.0)
    lining = _lining(section, rng)
    density = np.zeros((*shape, 3))
    parts = (blue, red, zone * (1.0 - seam))
    for colour, part in zip(colours[:3], parts, strict=True):
        density += (bone * solid * grain * part)[..., None] * colour
    for colour, part in zip(colours[3:], (cells, nuclei), strict=True):
        density += ((1.0 - bone) * part)[..., None] * colour
    density += (lining * 0.7)[..., None] * colours[1]
    return np.maximum(density, 0.0)


def _transition(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float64]:
    """Strength of the lilac zone beneath osteoid, 0 to 1: it ends in streaks."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    seam = section.formation.osteoid
    # Wide below the middle of a seam, nothing beside it.
    spread = np.zeros_like(seam)
    for line in section.surface.lines:
        spread[line] = ndimage.gaussian_filter1d(seam[line], 25.0 / STEP_UM, mode="wrap")
    width = spread[section.nearest] * np.exp(
        0.3 * smooth_noise(shape, 150.0 / pixel, rng) + rng.normal(0.9, 0.5)
    )
    below = section.depth_um - seam[section.nearest]
    streaks = 1.0 + 0.15 * smooth_noise(shape, 14.0 / pixel, rng)
    fading = np.clip((width - below) / np.maximum(0.8 * width, 1.0), 0.0, 1.0)
    return np.asarray(np.clip(fading * streaks, 0.0, 1.0))


def _lining(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float64]:
    """A thin red line along resting surfaces that comes and goes; it is no osteoid."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    here = np.exp(-(((section.depth_um + 0.4) / 0.9) ** 2))
    return np.asarray(here * np.clip(smooth_noise(shape, 140.0 / pixel, rng), 0.0, 1.0))


def _expose(
    density: NDArray[np.float64], config: TrichromeConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The image of a camera: white background, uneven light, blur and noise."""
    shape, pixel = density.shape[:2], config.pixel_size_um
    white = np.clip(rng.normal(243.0, 10.0), 215.0, 252.0) + rng.normal(0.0, 1.5, 3)
    shade = 1.0 + 0.015 * smooth_noise(shape, 700.0 / pixel, rng)
    thickness = 1.0 + 0.06 * smooth_noise(shape, 400.0 / pixel, rng)
    image = np.empty(density.shape, np.uint8)
    for channel in range(3):
        light = np.exp(-density[..., channel] * thickness)
        seen = ndimage.gaussian_filter(light, config.blur_um / pixel)
        grey = white[channel] * shade * seen + config.noise * rng.standard_normal(shape)
        image[..., channel] = np.clip(np.rint(grey), 0, 255)
    return image
