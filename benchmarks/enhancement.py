"""Time of the SR-microCT enhancement: of a 3300x3300 slice, of its steps, and in parallel.

Run with ``python -m benchmarks.enhancement``. The peers are scikit-image's opening with the same
square, decomposed, and its closing with the same disk, undecomposed as it is exact only then, on a
crop (it takes minutes on the whole slice). Volumes go through `lotus enhance` in processes of their
own; what starting them costs falls out by taking the difference of a longer and a shorter volume.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.morphology import closing, disk, footprint_rectangle, opening

from lotus.imaging import volume_writer
from lotus.masks import close_with_disk, open_with_square
from lotus.transforms.enhancement import CLOSING_RADIUS, OPENING_SIDE, enhance_slice

SIDE = 3300
CROP = 400
REPEATS = 3
SLICES_PER_PROCESS = (2, 6)
OUTPUTS = ("out.tif", "out.ome.zarr")


@dataclass(frozen=True)
class Cost:
    """What a call takes.

    Attributes:
        wall_s: By the clock.
        cpu_s: Of all cores, which other programs on the machine change less.
    """

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        """Both in words."""
        return f"{self.wall_s:.2f} s ({self.cpu_s:.2f} s of processor time)"


def best(function: Callable[[], object]) -> Cost:
    """The least of a few calls."""
    wall, cpu = [], []
    for _ in range(REPEATS):
        start = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    return Cost(min(wall), min(cpu))


def noisy_slice(random: np.random.Generator) -> NDArray[np.float32]:
    """Blobs of two grey values with noise, float32 in [0, 1]."""
    blobs = gaussian_filter(random.random((SIDE, SIDE), np.float32), 40.0)
    tissue = np.where(blobs > np.median(blobs), 0.7, 0.3)
    noisy = tissue + 0.05 * random.standard_normal((SIDE, SIDE), np.float32)
    return np.asarray(np.clip(noisy, 0.0, 1.0), np.float32)


def write_volume(path: Path, image: NDArray[np.float32], depth: int) -> None:
    """A volume whose slices are one slice, shifted."""
    with volume_writer(path, (depth, *image.shape), np.float32, (1.0, 1.0, 1.0)) as write:
        for number in range(depth):
            write(np.roll(image, 37 * number, axis=1))


def enhance_volume(source: Path, output: Path, processes: int) -> Cost:
    """`lotus enhance` in a process of its own."""
    command = [sys.executable, "-m", "lotus.cli", "enhance", str(source), "--output", str(output)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([*command, "--processes", str(processes)], check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu)


def per_slice(folder: Path, image: NDArray[np.float32], output: str, processes: int) -> Cost:
    """What a slice of a volume takes beyond the start of the command."""
    short, long = (count * processes for count in SLICES_PER_PROCESS)
    costs = []
    for depth in (short, long):
        source = folder / f"{depth}.tif"
        if not source.exists():
            write_volume(source, image, depth)
        costs.append(enhance_volume(source, folder / f"{processes}" / output, processes))
    slices = long - short
    return Cost(
        (costs[1].wall_s - costs[0].wall_s) / slices, (costs[1].cpu_s - costs[0].cpu_s) / slices
    )


def compare_steps(image: NDArray[np.float32]) -> None:
    """Opening and closing beside scikit-image's."""
    mask = image > 0.5
    square = footprint_rectangle((OPENING_SIDE, OPENING_SIDE), decomposition="separable")
    ours, peer = (
        best(lambda: open_with_square(mask, OPENING_SIDE)),
        best(lambda: opening(mask, square)),
    )
    is_same = np.array_equal(open_with_square(mask, OPENING_SIDE), opening(mask, square))
    print(
        f"opening, square of {OPENING_SIDE} px, {SIDE}x{SIDE}: {ours.cpu_s * 1e3:.0f} ms, "
        f"scikit-image {peer.cpu_s * 1e3:.0f} ms, ratio {peer.cpu_s / ours.cpu_s:.0f}x, "
        f"same result: {is_same}"
    )
    crop = mask[:CROP, :CROP]
    ours, peer = (
        best(lambda: close_with_disk(crop, CLOSING_RADIUS)),
        best(lambda: closing(crop, disk(CLOSING_RADIUS))),
    )
    is_same = np.array_equal(
        close_with_disk(crop, CLOSING_RADIUS), closing(crop, disk(CLOSING_RADIUS))
    )
    print(
        f"closing, disk of {CLOSING_RADIUS} px, {CROP}x{CROP}: {ours.cpu_s * 1e3:.1f} ms, "
        f"scikit-image {peer.cpu_s * 1e3:.1f} ms, ratio {peer.cpu_s / ours.cpu_s:.0f}x, "
        f"same result: {is_same}"
    )


def compare_processes(image: NDArray[np.float32]) -> None:
    """Volumes on one core and on all."""
    cores = len(os.sched_getaffinity(0))
    with TemporaryDirectory() as name:
        for output in OUTPUTS:
            alone = per_slice(Path(name), image, output, processes=1)
            print(f"lotus enhance to {output}, 1 process: {alone} per slice")
            together = per_slice(Path(name), image, output, processes=cores)
            efficiency = alone.wall_s / (cores * together.wall_s)
            print(
                f"lotus enhance to {output}, {cores} processes: {together} per slice, "
                f"efficiency {efficiency:.2f} by the clock, "
                f"{alone.cpu_s / together.cpu_s:.2f} by processor time"
            )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"the largest process held {peak / 1024:.0f} MiB")


def main() -> None:
    """Print all measurements."""
    image = noisy_slice(np.random.default_rng(0))
    print(f"enhance_slice, Otsu    {SIDE}x{SIDE}: {best(lambda: enhance_slice(image))}")
    negative = image - np.float32(1.0)
    print(f"enhance_slice, k-means {SIDE}x{SIDE}: {best(lambda: enhance_slice(negative))}")
    compare_steps(image)
    compare_processes(image)


if __name__ == "__main__":
    main()
