"""Histomorphometry of a class map: seconds for each part of the measurement.

``python -m benchmarks.histomorphometry``: smoothed noise with trabeculae about 120 µm thick, seams
of osteoid, and single and double labels with gaps, 2048 x 2048 pixels of 0.5 µm. Beside it the time
of scikit-image's Crofton perimeter of the same bone, and both perimeters: the plainest peer.
"""

import argparse
import cProfile
import pstats
import time

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import perimeter_crofton

from lotus.morphometry.section import Section, measure_section

CLASSES = {"mineralised": 1, "osteoid": 2, "label": 3}
SPACING_UM = (0.5, 0.5)


def simulated_section(size: int, seed: int = 0) -> NDArray[np.uint8]:
    """A class map (size, size) of :data:`CLASSES`."""
    noise = np.random.default_rng(seed).normal(size=(3, size, size)).astype(np.float32)
    structure, osteoid, labelled = (gaussian_filter(each, 60, mode="wrap") for each in noise)
    bone = structure > np.quantile(structure, 0.75)
    depth = distance_transform_edt(bone)
    section: NDArray[np.uint8] = bone.astype(np.uint8)
    section[(labelled > np.quantile(labelled, 0.6)) & (abs(depth - 16) < 3)] = 3
    section[(labelled > np.quantile(labelled, 0.75)) & (abs(depth - 40) < 3)] = 3
    section[bone & (depth < 10) & (osteoid > np.quantile(osteoid, 0.7))] = 2
    return section


def timed(section: NDArray[np.uint8]) -> tuple[float, float, Section]:
    """Seconds, those of the processor, and what was found."""
    start, cpu_start = time.perf_counter(), time.process_time()
    found = measure_section(section, CLASSES, SPACING_UM)
    return time.perf_counter() - start, time.process_time() - cpu_start, found


def main() -> None:
    """Measure once, and print what took how long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="side of the image in pixels")
    parser.add_argument("--profile", action="store_true", help="also the functions that took most")
    arguments = parser.parse_args()
    section = simulated_section(arguments.size)
    timed(section[:256, :256])  # Imports and the like are not the subject.
    profile = cProfile.Profile()
    if arguments.profile:
        profile.enable()
    seconds, cpu, found = timed(section)
    if arguments.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("cumulative").print_stats(25)
    start = time.perf_counter()
    crofton = perimeter_crofton(section > 0) * SPACING_UM[0]
    peer = time.perf_counter() - start
    primary = found.primary
    print(
        f"{section.shape} pixels: {seconds:.2f} s ({cpu:.2f} s of one core) for all measures; "
        f"{len(found.surface)} outlines of {primary.bone_perimeter / 1e3:.2f} mm, "
        f"{len(found.labels.lines)} label lines, {len(found.interlabel)} "
        f"and {primary.osteoid_width.n} perpendiculars"
    )
    print(f"Crofton perimeter alone (scikit-image): {peer:.2f} s, {crofton / 1e3:.2f} mm")


if __name__ == "__main__":
    main()
