"""Speed of `lotus evaluate`: label maps on disk to a table of all scores.

Run `python -m benchmarks.scoring`. The peer is the same work in one process. Other programs on the
machine lengthen wall time, but hardly processor time, which is that of all processes together.
Tables that differ end the run with an error.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from lotus.evaluation.folders import evaluate_folders
from lotus.imaging.raster import write_label_map

KINDS = ("predictions", "targets")
DRAWN = 50


def draw(folder: Path, images: int, size: int, instances: int) -> None:
    """Write predicted and true label maps of crowded discs; the first few again and again."""
    # The scoring processes import this module too, and need none of what the other one imports.
    from benchmarks.metrics import nuclei

    for seed in range(min(DRAWN, images)):
        for kind, labels in zip(KINDS, nuclei(size, instances, seed), strict=True):
            write_label_map(folder / kind / f"{seed:05d}.tif", labels)
    for number in range(DRAWN, images):
        for kind in KINDS:
            (folder / kind / f"{number:05d}.tif").hardlink_to(
                folder / kind / f"{number % DRAWN:05d}.tif"
            )


def scored(folder: Path, processes: int) -> tuple[float, float, pd.DataFrame]:
    """Seconds of wall and of processor time, starting the processes included, and the table."""
    begun, used = time.perf_counter(), processor_time()
    predictions, targets = (folder / kind for kind in KINDS)
    table = evaluate_folders(predictions, targets, "instances", processes=processes)
    return time.perf_counter() - begun, processor_time() - used, table


def processor_time() -> float:
    """Seconds that this process and its ended children computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Draw images, score them in one process and in several, and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512, help="height and width in pixels")
    parser.add_argument("--instances", type=int, default=200, help="about how many per image")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, arguments.images, arguments.size, arguments.instances)
        print(f"{arguments.images} images, {arguments.size}×{arguments.size} pixels")
        tables = []
        for processes in sorted({1, arguments.processes}):
            wall, processor, table = scored(folder, processes)
            tables.append(table)
            pd.testing.assert_frame_equal(table, tables[0], check_exact=True)
            print(
                f"{processes} processes: {wall:6.1f} s, {arguments.images / wall:6.1f} images/s, "
                f"processor time {processor:6.1f} s"
            )


if __name__ == "__main__":
    main()
