"""SR-microCT phantom: absorption, phase-contrast edges, rings, cracks and Poisson noise.

The grey value of a reconstructed slice is taken as f = μ - k ∇²μ: the transport-of-intensity
equation turns the Laplacian of the projected phase into edge fringes, and for bone the phase
decrement is close to proportional to μ. Noise comes from Poisson counts of a beam attenuated by f.
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
from data_modules.phantoms.drawing import draw_coverage, smooth_noise
from data_modules.phantoms.image import PhantomImage

# Grey levels relative to bone = 1, and the window that a scan is stored with.
_MARROW, _AIR, _FLUID = 0.20, 0.02, 0.16
_WINDOW = (-0.45, 1.75)
_OPTICAL_DEPTH = 1.0


@dataclass(frozen=True)
class SRMicroCTConfig:
    """Image formation of the SR-microCT phantom.

    Attributes:
        section: Size, pixel (1.6 µm) and slice thickness.
        lacuna_contrast: Depth of the lacunae relative to a void filled with fluid, in (0, 1].
        photons: Incident photons per pixel, at least 10; fewer is noisier.
        edge_strength: Factor k of the phase-contrast edge in px², at least 0.
        blur_px: Standard deviation of the detector's point spread in pixels.
        ring_strength: Standard deviation of ring artefacts relative to bone.
        cracks_per_mm2: Microcracks per mm²; they are not in the label map.
        negative_share: Share of slices stored in [-1, 0], an acquisition error.
        air_share: Share of slices whose marrow has partly dried out.
    """

    section: SectionConfig = field(
        default_factory=lambda: SectionConfig(pixel_size_um=1.6, thickness_um=1.6)
    )
    lacuna_contrast: float = 0.8
    photons: float = 900.0
    edge_strength: float = 0.55
    blur_px: float = 0.75
    ring_strength: float = 0.02
    cracks_per_mm2: float = 1.2
    negative_share: float = 0.15
    air_share: float = 0.25

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: With what was found and what would be right.
        """
        if not 0.0 < self.lacuna_contrast <= 1.0:
            raise ValueError(
                f"lacuna_contrast {self.lacuna_contrast:g}: take a value above 0 and up to 1"
            )
        if not self.photons >= 10.0:
            raise ValueError(f"photons {self.photons:g}: at least 10 per pixel are needed")


def simulate_sr_microct(
    patient: Patient, config: SRMicroCTConfig, rng: np.random.Generator
) -> PhantomImage:
    """Image a section of a patient's bone by SR-microCT.

    Args:
        patient: Whose bone it is.
        config: Section and image formation.
        rng: Random generator of this slice.

    Returns:
        Float32 slice in [0, 1], or in [-1, 0] for the share of slices with the acquisition error,
        with label map and truth.
    """
    section = cut_section(patient, config.section, rng)
    sharp = _grey_levels(section, config, rng)
    blurred = ndimage.gaussian_filter(sharp, config.blur_px)
    fringed = blurred - config.edge_strength * ndimage.laplace(blurred)
    noisy = _count_photons(fringed, config.photons, rng)
    noisy += config.ring_strength * _rings(noisy.shape, rng)
    low, high = _WINDOW
    image = np.clip((noisy - low) / (high - low), 0.0, 1.0).astype(np.float32)
    if rng.random() < config.negative_share:
        image -= np.float32(1.0)
    return PhantomImage(image, section.labels, section.pixel_size_um, measure_truth(section))


def _grey_levels(
    section: Section, config: SRMicroCTConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Attenuation relative to bone before blur, noise and fringes."""
    architecture = section.architecture
    shape = architecture.bone.shape
    pixel = section.pixel_size_um
    # Sub-pixel surfaces: the covered share of a pixel follows from the distance to the surface.
    bone = np.clip(architecture.surface_um / pixel + 0.5, 0.0, 1.0)
    mineral = 1.0 + 0.10 * (architecture.packet - 0.6) + 0.05 * architecture.cement
    mineral += 0.018 * smooth_noise(shape, 60.0 / pixel, rng)
    mineral += 0.010 * np.sin(2 * np.pi * architecture.lamella_um / 9.0)
    lacunae = draw_coverage(shape, section.outlines, section.visibility)
    mineral -= config.lacuna_contrast * (1.0 - _FLUID) * lacunae
    mineral -= 0.55 * _cracks(section, config, rng)
    soft = _MARROW + 0.012 * smooth_noise(shape, 60.0 / pixel, rng)
    if rng.random() < config.air_share:
        dry = smooth_noise(shape, 300.0 / pixel, rng) - 0.3
        soft = soft + (_AIR - soft) * np.clip(15.0 * dry, 0.0, 1.0)
    levels: NDArray[np.float32] = (bone * mineral + (1.0 - bone) * soft).astype(np.float32)
    return levels


def _cracks(
    section: Section, config: SRMicroCTConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Thin meandering microcracks of 60-250 µm, 0 to 1."""
    shape = section.labels.shape
    canvas = np.zeros(shape, np.float32)
    area_mm2 = section.labels.size * section.pixel_size_um**2 * 1e-6
    for _ in range(rng.poisson(config.cracks_per_mm2 * area_mm2)):
        steps = int(rng.uniform(60.0, 250.0) / section.pixel_size_um * 2)
        turn = ndimage.gaussian_filter1d(rng.standard_normal(steps), 6.0) * 0.12
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(turn)
        start = rng.random(2) * shape
        rows = (start[0] + np.cumsum(np.sin(heading)) * 0.5).astype(np.intp)
        columns = (start[1] + np.cumsum(np.cos(heading)) * 0.5).astype(np.intp)
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        canvas[rows[inside], columns[inside]] = 1.0
    return canvas


def _count_photons(
    value: NDArray[np.float32], photons: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Replace exact values by those of Poisson counts behind that attenuation."""
    expected = photons * np.exp(-_OPTICAL_DEPTH * value.astype(np.float64))
    counts = np.maximum(rng.poisson(expected), 1)
    noise = -np.log(counts / photons) / _OPTICAL_DEPTH - value
    # Reconstruction filters correlate neighbouring pixels a little.
    correlated: NDArray[np.float64] = ndimage.gaussian_filter(noise, 0.45)
    return value + correlated


def _rings(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Rings around a rotation axis that may lie far outside of this part of the slice."""
    centre = (rng.random(2) * 3.0 - 1.0) * shape
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    radius = np.hypot(rows - centre[0], columns - centre[1])
    count = int(radius.max()) + 3
    profile = ndimage.gaussian_filter1d(rng.standard_normal(count), 0.7)
    strong = rng.random(count) < 0.02
    profile = profile + 2.5 * strong * rng.standard_normal(count)
    rings: NDArray[np.float64] = np.interp(radius, np.arange(count), profile)
    return rings
