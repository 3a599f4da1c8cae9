"""Bone that both modalities of the phantoms image: groups, patients and sections.

Patients of a group vary around the group's values, slices of a patient around the patient's, and
less. Healthy lacunae follow synchrotron microCT of human femora (Dong et al., Bone 2014): volume
410 ± 150 µm³, 20,600 ± 2,900 per mm³, axes 18.9 x 9.2 x 4.8 µm. Osteoporotic bone has fewer lacunae
per area (134 against 206 per mm², Qiu et al. 2003; 214 against 249, Mullender et al. 2005), larger
and rounder ones in osteopenia (van Hove et al. 2009) and less bone; COVID-19 resembles osteoporosis
at the scale of lacunae (Buccino et al. 2023). Reports disagree (Mullender et al. 1996 found more
lacunae in osteoporosis), so the groups are plausible choices, not findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_modules.phantoms.architecture import (
    Architecture,
    cortical_architecture,
    trabecular_architecture,
)
from data_modules.phantoms.drawing import Ellipses, draw_labels
from data_modules.phantoms.formation import Turnover, draw_turnover
from data_modules.phantoms.lacunae import (
    REACH_UM,
    Ellipsoids,
    LacunaPopulation,
    cut_ellipsoids,
    sample_centres,
    shape_ellipsoids,
)

MINIMUM_SIZE = 32
# Standard deviations of the logarithm: between patients of a group, between slices of a patient.
PATIENT_SPREAD = 0.13
SLICE_SPREAD = 0.04
# Cells closer to the surface than this are lining cells, not osteocytes.
_SURFACE_GAP_UM = 6.0


@dataclass(frozen=True)
class BoneProperties:
    """Bone of a group, a patient or a slice.

    Attributes:
        lacunae: Density, size and shape of the lacunae.
        bone_fraction: Trabecular bone volume fraction BV/TV, between 0 and 1.
        canal_radius_um: Mean radius of Haversian canals in µm.
        empty_share: Share of lacunae without an osteocyte.
    """

    lacunae: LacunaPopulation
    bone_fraction: float
    canal_radius_um: float
    empty_share: float


GROUPS: dict[str, BoneProperties] = {
    "healthy": BoneProperties(LacunaPopulation(20_600.0, 410.0, 150.0, 3.9, 1.9), 0.40, 27.0, 0.10),
    "osteoporotic": BoneProperties(
        LacunaPopulation(15_500.0, 470.0, 180.0, 3.2, 1.7), 0.26, 40.0, 0.24
    ),
    "covid19": BoneProperties(
        LacunaPopulation(17_000.0, 500.0, 200.0, 3.4, 1.75), 0.31, 35.0, 0.20
    ),
}


@dataclass(frozen=True)
class Patient:
    """A donor of phantoms.

    Attributes:
        name: ``P01`` and so on.
        group: A key of ``GROUPS``.
        bone: The patient's own bone.
        turnover: How the patient forms bone; it does not depend on the group.
    """

    name: str
    group: str
    bone: BoneProperties
    turnover: Turnover


@dataclass(frozen=True)
class Section:
    """A section through bone.

    Attributes:
        architecture: Bone, canals and lamellae on the pixel grid.
        outlines: Sections of the lacunae that are seen, in pixels.
        visibility: Share of the section's thickness that each of them fills, (N,), in (0, 1].
        occupied: Whether each of them holds an osteocyte, (N,).
        labels: Uint16 (Y, X) instance label map; number i is ``outlines`` i - 1.
        bone: The properties that this slice was drawn from.
        pixel_size_um: Edge of a pixel in µm.
    """

    architecture: Architecture
    outlines: Ellipses
    visibility: NDArray[np.float64]
    occupied: NDArray[np.bool_]
    labels: NDArray[np.uint16]
    bone: BoneProperties
    pixel_size_um: float


@dataclass(frozen=True)
class SectionConfig:
    """How a section is cut.

    Attributes:
        size: Rows and columns in pixels, at least 32.
        pixel_size_um: Edge of a pixel in µm.
        thickness_um: Thickness of the section in µm.
        cortical_share: Share of the slices that show cortical bone, the rest is trabecular.
        minimum_area_um2: Smaller cuts of a lacuna are neither drawn nor counted.
    """

    size: int = 512
    pixel_size_um: float = 1.0
    thickness_um: float = 1.0
    cortical_share: float = 0.3
    minimum_area_um2: float = 15.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: With the name of the value, what was found and what would be right.
        """
        if self.size < MINIMUM_SIZE:
            raise ValueError(f"size {self.size}: at least {MINIMUM_SIZE} pixels are needed")
        if not 0.1 <= self.pixel_size_um <= 5.0:
            raise ValueError(f"pixel_size_um {self.pixel_size_um:g}: take a value from 0.1 to 5")
        if self.thickness_um < 0 or not 0.0 <= self.cortical_share <= 1.0:
            raise ValueError(
                f"thickness_um {self.thickness_um:g}, cortical_share {self.cortical_share:g}: "
                "take a thickness of at least 0 and a share from 0 to 1"
            )


def vary(bone: BoneProperties, spread: float, rng: np.random.Generator) -> BoneProperties:
    """Bone with every property multiplied by a log-normal factor of mean 1.

    Args:
        bone: Where to start from.
        spread: Standard deviation of the factors' logarithm.
        rng: Random generator.

    Returns:
        The varied bone; shape varies half as much, fractions stay in a possible range.
    """
    factor = np.exp(spread * rng.standard_normal(6) - spread**2 / 2)
    shape = np.sqrt(factor[4])
    lacunae = bone.lacunae
    return BoneProperties(
        replace(
            lacunae,
            density_per_mm3=float(np.clip(lacunae.density_per_mm3 * factor[0], 2e3, 4e4)),
            volume_um3=float(lacunae.volume_um3 * factor[1]),
            volume_sd_um3=float(lacunae.volume_sd_um3 * factor[1]),
            length_to_depth=float(lacunae.length_to_depth * shape),
            width_to_depth=float(lacunae.width_to_depth * np.sqrt(shape)),
        ),
        bone_fraction=float(np.clip(bone.bone_fraction * factor[2], 0.1, 0.8)),
        canal_radius_um=float(bone.canal_radius_um * factor[3]),
        empty_share=float(np.clip(bone.empty_share * factor[5], 0.0, 0.9)),
    )


def draw_patient(
    number: int, *, seed: int, groups: Mapping[str, BoneProperties] = GROUPS
) -> Patient:
    """Draw a patient; the groups take turns.

    Args:
        number: 0 for the first patient. A patient does not depend on how many others there are.
        seed: Seed of the whole data set, not negative.
        groups: Bone of each group, in the order of the turns.

    Returns:
        The patient.
    """
    group = list(groups)[number % len(groups)]
    rng = np.random.default_rng([seed, number])
    bone = vary(groups[group], PATIENT_SPREAD, rng)
    return Patient(f"P{number + 1:02d}", group, bone, draw_turnover(number, seed=seed))


def cut_section(patient: Patient, config: SectionConfig, rng: np.random.Generator) -> Section:
    """Cut a section out of a patient's bone.

    Args:
        patient: Whose bone it is.
        config: Size, pixel and thickness.
        rng: Random generator of this slice.

    Returns:
        The section with its true instance label map.
    """
    bone = vary(patient.bone, SLICE_SPREAD, rng)
    margin = int(np.ceil(REACH_UM / config.pixel_size_um))
    shape = (config.size + 2 * margin,) * 2
    if rng.random() < config.cortical_share:
        wide = cortical_architecture(shape, config.pixel_size_um, bone.canal_radius_um, rng)
    else:
        wide = trabecular_architecture(shape, config.pixel_size_um, bone.bone_fraction, rng)
    ellipsoids = fill_with_lacunae(wide, bone.lacunae, config, rng)
    outlines, visibility, _ = cut_ellipsoids(
        ellipsoids,
        thickness_um=config.thickness_um,
        pixel_size_um=config.pixel_size_um,
        minimum_area_um2=config.minimum_area_um2,
    )
    outlines = Ellipses(outlines.centre - margin, outlines.semi_axes, outlines.angle)
    architecture = wide.crop(margin)
    labels = draw_labels((config.size, config.size), outlines) * architecture.bone.astype(np.uint16)
    return Section(
        architecture=architecture,
        outlines=outlines,
        visibility=visibility,
        occupied=rng.random(len(outlines)) >= bone.empty_share,
        labels=labels,
        bone=bone,
        pixel_size_um=config.pixel_size_um,
    )


def fill_with_lacunae(
    architecture: Architecture,
    population: LacunaPopulation,
    config: SectionConfig,
    rng: np.random.Generator,
) -> Ellipsoids:
    """Draw the lacunae of all bone that can reach into a section.

    Args:
        architecture: Bone and lamellae; the same above and below the section.
        population: Density, size and shape.
        config: Pixel size and thickness.
        rng: Random generator.

    Returns:
        The lacunae whose centre lies in bone and not at its surface.
    """
    pixel = config.pixel_size_um
    rows, columns = architecture.bone.shape
    height = config.thickness_um + 2 * REACH_UM
    centre = sample_centres(
        (height, rows * pixel, columns * pixel), population.density_per_mm3, rng
    )
    centre[:, 0] -= height / 2
    index = np.minimum((centre[:, 1:] / pixel).astype(np.intp), [rows - 1, columns - 1])
    deep = architecture.surface_um[index[:, 0], index[:, 1]] > _SURFACE_GAP_UM
    centre, index = centre[deep], index[deep]
    normal = architecture.normal_angle()[index[:, 0], index[:, 1]].astype(np.float64)
    elevation = rng.normal(*architecture.elevation, len(centre))
    return shape_ellipsoids(centre, normal, elevation, population, rng)


def measure_truth(section: Section) -> dict[str, float | str]:
    """True measures of a section, as columns of ``truth.csv``.

    Args:
        section: The section.

    Returns:
        Counts and areas of what the label map shows, and the 3-D values that it was drawn from.
        Fractions of lacunae are of bone area (lacunae included); NaN where there are none.
    """
    areas = np.bincount(section.labels.ravel())[1:] * section.pixel_size_um**2
    areas = areas[areas > 0]
    bone = section.architecture.bone
    bone_um2 = float(bone.sum()) * section.pixel_size_um**2
    return {
        "bone_type": section.architecture.kind,
        "n_lacunae": len(areas),
        "bone_area_fraction": float(bone.mean()),
        "lacunar_area_fraction": float(areas.sum()) / bone_um2 if bone_um2 else float("nan"),
        "mean_lacunar_area_um2": float(areas.mean()) if len(areas) else float("nan"),
        "lacunae_per_mm2": len(areas) / bone_um2 * 1e6 if bone_um2 else float("nan"),
        "lacunae_per_mm3": section.bone.lacunae.density_per_mm3,
        "mean_lacunar_volume_um3": section.bone.lacunae.volume_um3,
        "length_to_depth": section.bone.lacunae.length_to_depth,
        "empty_share": section.bone.empty_share,
        "trabecular_bone_fraction": section.bone.bone_fraction,
    }
