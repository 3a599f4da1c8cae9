"""How well exact masks of lacunae tell the groups of phantoms apart, patch by patch.

``python -m benchmarks.lacunae``: what a network that sees lacunae perfectly may reach where groups
differ in lacunae alone. Number, area and shape of the true lacunae in each patch of 55 px that lies
in bone, and a linear classifier that leaves one pair of patients out.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from data_modules.phantoms.anatomy import Patient, draw_patient
from data_modules.phantoms.groups import Differ, study_groups
from data_modules.phantoms.sr_microct import SRMicroCTConfig, simulate_sr_microct
from lotus.transforms import bone_mask, bone_patches

SIZE = 55
MEASURES = ("area", "eccentricity", "axis_major_length")
CASES: tuple[tuple[Differ, float], ...] = (("lacunae", 1.0), ("lacunae", 2.0), ("nothing", 1.0))


def features_of(labels: NDArray[np.unsignedinteger]) -> list[float]:
    """Number of lacunae in a patch, their area, and means of their measures."""
    table = regionprops_table(labels, properties=MEASURES)
    count = len(table["area"])
    means = [float(np.mean(table[name])) if count else 0.0 for name in MEASURES]
    return [float(count), float(count == 0), float(np.sum(table["area"])), *means, 1.0]


def patches_of(
    patient: Patient, slices: int, config: SRMicroCTConfig, seed: int
) -> Iterator[list[float]]:
    """Features of all patches of a patient."""
    for part in range(slices):
        rng = np.random.default_rng([seed, int(patient.name[1:]), part])
        phantom = simulate_sr_microct(patient, config, rng)
        for y, x in bone_patches(bone_mask(phantom.image), size=SIZE, stride=SIZE):
            yield features_of(phantom.labels[y : y + SIZE, x : x + SIZE])


def accuracies(
    differ: Differ, effect: float, seed: int, arguments: argparse.Namespace
) -> tuple[float, float]:
    """Accuracy over patches, and over patients by their mean score."""
    groups = study_groups(("healthy", "osteoporotic"), differ, effect)
    section = replace(
        SRMicroCTConfig().section,
        size=arguments.size,
        pixel_size_um=arguments.pixel_size_um,
        cortical_share=arguments.cortical_share,
    )
    config = SRMicroCTConfig(section=section)
    patients = [draw_patient(n, seed=seed, groups=groups) for n in range(arguments.patients)]
    found = [[*patches_of(patient, arguments.slices, config, seed)] for patient in patients]
    owner = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    features = np.array([row for rows in found for row in rows])
    truth = np.array([patient.group == "osteoporotic" for patient in patients])
    score = np.zeros(len(owner))
    for pair in range(len(patients) // 2):
        tested = owner // 2 == pair
        weights = np.linalg.lstsq(features[~tested], truth[owner[~tested]].astype(float))[0]
        score[tested] = features[tested] @ weights
    of_patients = np.bincount(owner, score) / np.bincount(owner)
    by_patch = float(np.mean((score > 0.5) == truth[owner]))
    return by_patch, float(np.mean((of_patients > 0.5) == truth))


def main() -> None:
    """Print a line for each way in which groups may differ."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--slices", type=int, default=3)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--pixel-size-um", type=float, default=1.6)
    parser.add_argument("--cortical-share", type=float, default=0.7)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for differ, effect in CASES:
        found = [accuracies(differ, effect, seed, arguments) for seed in range(arguments.seeds)]
        by_patch, by_patient = (
            ", ".join(f"{value:.3f}" for value in each) for each in zip(*found, strict=True)
        )
        print(
            f"--differ {differ} --effect {effect:g}: patches {by_patch}; patients {by_patient}",
            flush=True,
        )


if __name__ == "__main__":
    main()
