"""How long a volume will take, and how much memory and disk, from one slice of it."""

from __future__ import annotations

import math
import shutil
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lotus.imaging import Volume
from lotus.imaging.file_names import ZARR_SUFFIX
from lotus.imaging.voxels import VolumeStore
from lotus.inference.volume_blocks import LabelledSlices
from lotus.inference.volume_segmenter import VolumeSegmenter
from lotus.transforms.intensity_range import Limits
from lotus.windows.volume import slab_starts

PYRAMID = 8 / 7
"""Voxels of all levels to those of the finest, where every level halves each side."""
MARGIN = 1.5
"""To what the middle slice says of the disk that all of them need: others may be busier."""
LONG = 30.0
"""Seconds of a slice beside which loading does not count."""


@dataclass(frozen=True)
class Forecast:
    """What labelling a volume will take.

    Attributes:
        seconds: Of all blocks, one after the other.
        memory_bytes: Of a process.
        disk_bytes: Of the labels, with what lies beside them until they are finished.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int

    def refuse_small_disk(self, output: Path) -> None:
        """Refuse a disk that does not hold the labels.

        Args:
            output: Where they go; its folder is there.

        Raises:
            ValueError: Names what is needed and what is free.
        """
        free = shutil.disk_usage(output.parent).free
        if self.disk_bytes > free:
            raise ValueError(
                f"{output} needs about {in_bytes(self.disk_bytes)}, and {in_bytes(free)} are free "
                "on its disk; make room or write elsewhere"
            )


def forecast(
    volume: Volume,
    segmenter: VolumeSegmenter,
    limits: Limits | None,
    store: VolumeStore,
    blocks: Sequence[int],
) -> Forecast:
    """Label the middle slice, and conclude from it.

    Args:
        volume: An open volume.
        segmenter: The networks.
        limits: The grey values that become 0 and 1, where they hold for the whole volume.
        store: Where the labels will go.
        blocks: First slice of each block that is to be labelled.

    Returns:
        What all these blocks will take.
    """
    depth, height, width = volume.shape
    middle = depth // 2
    seconds, labels = _timed_slice(LabelledSlices(volume, segmenter, limits), middle)

    def slabs(start: int, stop: int) -> int:
        z_range = (start, min(stop, depth))
        return len(slab_starts(depth, z_range, segmenter.output_slices, segmenter.overlap))

    ahead = sum(slabs(start, start + store.depth) for start in blocks)
    itemsize = volume.read(middle).itemsize
    held = min(store.depth + segmenter.slices, depth) * height * width * (itemsize + 2)
    written = len(zlib.compress(labels.tobytes(), 1)) * min(len(blocks) * store.depth, depth)
    # A TIFF is put together from its slices, which lie beside it until then.
    more = PYRAMID if store.path.suffix.lower() == ZARR_SUFFIX else 2
    return Forecast(
        seconds * ahead / slabs(middle, middle + 1),
        _peak_bytes() + held,
        int(MARGIN * more * written),
    )


def _timed_slice(slices: LabelledSlices, index: int) -> tuple[float, NDArray[np.uint8]]:
    """Seconds that a slice takes, and its labels."""
    for _ in range(2):  # The first time, what is needed is loaded.
        begun = time.perf_counter()
        (labels,) = slices.between(index, index + 1)
        seconds = time.perf_counter() - begun
        if seconds > LONG:
            break
    return seconds, labels


def in_bytes(number: float) -> str:
    """A number of bytes in words, such as "1.2 GB"."""
    power = min(int(math.log10(max(number, 1))) // 3, 4)
    return f"{number / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def in_time(seconds: float) -> str:
    """A time in words, such as "35 min"."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s"


def _peak_bytes() -> int:
    """The most memory that this process has had, which knows the network by now."""
    status = Path("/proc/self/status")
    if status.is_file():  # Without that of the process that started this one.
        kilobytes = status.read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]
        return 1024 * int(kilobytes)
    import resource  # Windows has none.

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
