"""Fluorescence phantom: unstained bone with tetracycline labels, in epifluorescence.

Bone glows by itself, osteoid and marrow less, labels most. Light from out of focus lies over all of
it as a haze, the light falls off towards the edges of the field, and photons are counted. Colours
and brightness are choices: a filter that passes green to yellow light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_modules.phantoms.anatomy import Patient
from data_modules.phantoms.drawing import Ellipses, draw_coverage, smooth_noise
from data_modules.phantoms.forming_section import FormingSection, cut_forming_section
from data_modules.phantoms.image import PhantomImage
from data_modules.phantoms.matrix import cracks, lacunae, lamellae, marrow_of
from lotus.masks import MaskValues

MATRIX = np.array([0.22, 0.62, 0.40])
LABEL = np.array([0.80, 0.95, 0.22])
MARROW = np.array([0.45, 0.60, 0.22])
"""Colours (red, green, blue) at full brightness."""


@dataclass(frozen=True)
class FluorescenceConfig:
    """Image formation of the fluorescence phantom.

    Attributes:
        size: Rows and columns in pixels, at least 32.
        pixel_size_um: Edge of a pixel in µm.
        label_brightness: Least and greatest brightness of a slide's labels, bone being 0.3.
        hue_variation: Standard deviation of the logarithm of the colours per slide.
        diffuse_share: Share of slides in which labels have spread into the bone around them.
        haze: Share of the light that comes from out of focus.
        blur_um: Standard deviation of the microscope's point spread in µm.
        photons: Photons of full brightness per pixel and colour; fewer is noisier.
    """

    size: int = 512
    pixel_size_um: float = 1.0
    label_brightness: tuple[float, float] = (0.55, 1.15)
    hue_variation: float = 0.15
    diffuse_share: float = 0.35
    haze: float = 0.18
    blur_um: float = 0.8
    photons: float = 700.0


def simulate_fluorescence(
    patient: Patient, config: FluorescenceConfig, rng: np.random.Generator
) -> PhantomImage:
    """Image a section of a patient's labelled bone.

    Args:
        patient: Whose bone it is.
        config: Size and image formation.
        rng: Random generator of this section.

    Returns:
        RGB uint8 image with class map (1 mineralised, 2 osteoid, 3 label) and truth.
    """
    section = cut_forming_section(patient, config.size, config.pixel_size_um, rng)
    light = _light(section, patient, config, rng)
    image = _expose(light, config, rng)
    return PhantomImage(
        image,
        section.class_map(labels=True),
        section.pixel_size_um,
        section.truth(labels=True),
        "semantic",
        MaskValues.parse("mineralised=1 osteoid=2 label=3"),
    )


def _light(
    section: FormingSection,
    patient: Patient,
    config: FluorescenceConfig,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Light of the section, (Y, X, 3)."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    colours = np.stack([MATRIX, LABEL, MARROW])
    colours = colours * np.exp(config.hue_variation * rng.standard_normal((3, 3)))
    bone = np.clip(section.depth_um / pixel + 0.5, 0.0, 1.0)
    seam = np.clip(section.seam_um() / pixel + 0.5, 0.0, 1.0)
    matrix = 0.3 * np.exp(0.25 * rng.standard_normal()) * np.ones(shape)
    matrix *= 1.0 + 0.06 * lamellae(section, rng) + 0.16 * smooth_noise(shape, 110.0 / pixel, rng)
    matrix *= 1.0 - 0.55 * np.maximum(lacunae(section, patient, rng), cracks(section, rng))
    matrix *= 1.0 - seam * rng.uniform(0.45, 0.75)
    label = _labels(section, config, rng) * bone
    nuclei, cells = marrow_of(section, rng)
    marrow = (0.03 + 0.10 * cells + 0.06 * nuclei) * np.exp(0.4 * rng.standard_normal())
    marrow += _specks(section, rng)
    parts = (bone * matrix, label, (1.0 - bone) * marrow)
    light = sum(part[..., None] * colour for colour, part in zip(colours, parts, strict=True))
    return np.asarray(np.maximum(light, 0.0))


def _labels(
    section: FormingSection, config: FluorescenceConfig, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Brightness of the labels, (Y, X): varying along their way, diffuse on some slides."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    brightness = rng.uniform(*config.label_brightness)
    spread = rng.uniform(0.15, 0.5) if rng.random() < config.diffuse_share else 0.0
    found = np.zeros(shape)
    for which in (1, 2):
        strength = brightness * rng.uniform(0.75, 1.25)
        varying = strength * np.exp(0.3 * smooth_noise(shape, 50.0 / pixel, rng))
        inside = section.label_um(which)
        cover = np.clip(inside / pixel + 0.5, 0.0, 1.0)
        crown = 0.75 + 0.25 * np.clip(inside / 2.0, 0.0, 1.0)
        if (inside > 0).any():
            away = ndimage.distance_transform_edt(inside <= 0) * pixel
            halo = spread * np.exp(-away / 5.0)
            found = np.maximum(found, varying * np.maximum(cover * crown, halo))
    return found


def _specks(section: FormingSection, rng: np.random.Generator) -> NDArray[np.float32]:
    """Granules and dust that glow, 0 to 1, (Y, X); they are no label."""
    shape, pixel = section.depth_um.shape, section.pixel_size_um
    area = section.depth_um.size * pixel**2 * 1e-6
    count = rng.poisson(rng.uniform(0.0, 120.0) * area)
    axes = np.sort(rng.uniform(0.6, 2.6, (count, 2)), axis=1)[:, ::-1] / pixel
    specks = Ellipses(rng.random((count, 2)) * shape, axes, rng.uniform(0.0, np.pi, count))
    return draw_coverage(shape, specks, rng.uniform(0.1, 0.7, count))


def _expose(
    light: NDArray[np.float64], config: FluorescenceConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The image of a camera: blur, haze, fall-off, photons."""
    shape, pixel = light.shape[:2], config.pixel_size_um
    rows, columns = (np.linspace(-1.0, 1.0, count) for count in shape)
    centre = rng.uniform(-0.3, 0.3, 2)
    radius = np.hypot(rows[:, None] - centre[0], columns[None, :] - centre[1])
    falloff = 1.0 - rng.uniform(0.0, 0.18) * radius**2
    gain = rng.uniform(0.8, 1.15)
    image = np.empty(light.shape, np.uint8)
    for channel in range(3):
        sharp = ndimage.gaussian_filter(light[..., channel], config.blur_um / pixel)
        wide = ndimage.gaussian_filter(light[..., channel], 18.0 / pixel)
        seen = ((1.0 - config.haze) * sharp + config.haze * wide + 0.012) * falloff * gain
        counted = rng.poisson(config.photons * seen) / config.photons
        grey = 255.0 * counted + 1.2 * rng.standard_normal(shape)
        image[..., channel] = np.clip(np.rint(grey), 0, 255)
    return image
