"""The Zernike nanoCT phantom: time and memory of a volume, its tomography, thresholds on it.

Run with ``python -m benchmarks.zernike_phantom``; ``--shape`` takes a smaller volume. The peer of
projection and back projection is scikit-image, slice by slice; both are timed by the processor time
of one thread. A volume is made by `lotus phantom` in a process of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.transform import iradon, radon

from data_modules.phantoms.spine_voxels import CLASS_NAMES, LCN
from data_modules.phantoms.tomography import (
    filtered_back_projection,
    in_circle,
    project,
    scan_angles,
)
from lotus.masks import classes_in_ranges, multi_otsu_classes

SLICES = 64
PEER_SLICES = 2
BEAMLINES = ("anatomix", "p05")


def seconds_of(function: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time of a call, and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def compare_tomography(size: int) -> None:
    """Projection and back projection of a block beside scikit-image, per slice."""
    noise = np.random.default_rng(0).random((SLICES, size, size), np.float32)
    # scikit-image's circle is a hair smaller.
    slices = gaussian_filter(noise, (0, 3, 3)) * np.pad(in_circle(size - 4), 2)
    angles = scan_angles(size)
    degrees = np.rad2deg(angles)
    ours, projections = seconds_of(lambda: project(slices, angles))
    peer, _ = seconds_of(lambda: [radon(one, degrees) for one in slices[:PEER_SLICES]])
    report("projection", size, ours, peer)
    ours, found = seconds_of(lambda: filtered_back_projection(projections, angles))
    sinograms = [projections[:, number].T for number in range(PEER_SLICES)]
    peer, theirs = seconds_of(lambda: [iradon(one, degrees) for one in sinograms])
    report("filtered back projection", size, ours, peer)
    if size % 2:
        # scikit-image turns about a pixel's centre, which is the middle of odd sizes alone.
        away = max(
            np.abs(ours - peer[::-1]).max() for ours, peer in zip(found, theirs, strict=False)
        )
        print(f"largest difference of the two: {away:.1e}, of values up to {found.max():.2f}")


def report(what: str, size: int, ours: float, peer: float) -> None:
    """One line for a step."""
    mine, theirs = ours / SLICES * 1e3, peer / PEER_SLICES * 1e3
    print(
        f"{what}, {size}x{size}, {len(scan_angles(size))} angles: {mine:.1f} ms a slice, "
        f"scikit-image {theirs:.1f} ms, ratio {theirs / mine:.1f}x"
    )


def make_volume(folder: Path, beamline: str, shape: list[int], processes: int) -> None:
    """One volume by the command."""
    command = [sys.executable, "-m", "lotus.cli", "phantom", "zernike_nanoct", "--shape"]
    command += [*map(str, shape), "--beamline", beamline, "--processes", str(processes)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([*command, "--output", str(folder)], check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = "x".join(map(str, shape))
    print(
        f"{beamline} {size}, {processes} processes: {wall / 60:.1f} min ({processor / 60:.1f} min "
        f"of processor time), the largest process {after.ru_maxrss / 1024:.0f} MiB"
    )


def score_thresholds(folder: Path) -> None:
    """Dice of what grey values alone find."""
    (image,) = (folder / "zernike_nanoct/images").iterdir()
    grey = tifffile.imread(image) / np.float32(65535)
    classes = tifffile.imread(folder / "zernike_nanoct/labels" / image.name.replace(".ome", ""))
    otsu = multi_otsu_classes(grey)
    network = classes == LCN
    dark = [f"{dice(otsu == number, network):.3f}" for number in range(4)]
    print(f"Dice of multi-Otsu's four classes, from dark to bright, on the LCN: {', '.join(dark)}")
    print(f"of the darkest within the specimen: {dice((otsu == 0) & (classes > 0), network):.3f}")
    limits = np.linspace(0, 0.6, 61)
    best = max(dice(grey < limit, network) for limit in limits)
    print(f"of the best of {len(limits)} thresholds, chosen by the truth: {best:.3f}")
    fixed = classes_in_ranges(grey)
    for number, name in CLASS_NAMES.items():
        print(f"of the paper's range of {name}: {dice(fixed == number, classes == number):.3f}")


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice of two masks."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=[420, 512, 512])
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    size = arguments.shape[2]
    for edge in (size - 1, size):
        compare_tomography(edge)
    for beamline in BEAMLINES:
        with TemporaryDirectory() as name:
            make_volume(Path(name), beamline, arguments.shape, arguments.processes)
            score_thresholds(Path(name))


if __name__ == "__main__":
    main()
