"""The patch index of a 3300x3300 slice, beside NumPy's sliding windows, and a batch of patches.

``python -m benchmarks.patches``: processor time of one thread, the fastest of a few. The index is
read from a compressed mask of the tissue, as `lotus patches` does; a batch is 30 patches of 55 px,
resized to 224, cut out of prepared slices on disk.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from data_modules import PatchClassificationDataModule
from data_modules.manifest import Record, write_manifest
from data_modules.patches import choose_patches, write_patches
from lotus.transforms import DtypeRange, bone_fractions

SIDE = 3300
SIZE = 55
STRIDES = (55, 11)
REPEATS = 3
PATIENTS = 6


def best_seconds(function: Callable[[], object]) -> float:
    """Processor time of the fastest of a few calls."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def with_numpy(bone: NDArray[np.bool_], stride: int) -> NDArray[np.float64]:
    """The shares of bone from views of all windows."""
    windows = sliding_window_view(bone, (SIZE, SIZE))[::stride, ::stride]
    return np.asarray(windows.mean(axis=(2, 3)).ravel())


def write_slices(folder: Path, side: int, patients: int) -> list[Record]:
    """Float slices and masks of half their area, in blobs, compressed."""
    random = np.random.default_rng(0)
    records = []
    for number in range(patients):
        blobs = gaussian_filter(random.random((side, side), np.float32), 40.0)
        bone = blobs > np.median(blobs)
        image, tissue = folder / f"s{number}.tif", folder / f"t{number}.tif"
        tifffile.imwrite(image, np.where(bone, random.random(bone.shape), 0).astype(np.float32))
        tifffile.imwrite(tissue, bone.astype(np.uint8) * 255, compression="zlib")
        group = ("healthy", "osteoporotic")[number % 2]
        values = {"mask_kind": "binary", "modality": "ct", "group": group, "pixel_size_um": 1.6}
        records.append(Record(image, None, patient=f"p{number}", tissue=tissue, **values))  # type: ignore[arg-type]
    return records


def index_of_a_slice(folder: Path) -> None:
    """Print the time of the index and of its shares of bone."""
    (record,) = write_slices(folder, SIDE, 1)
    bone = tifffile.imread(folder / "t0.tif") > 0
    for stride in STRIDES:
        whole = best_seconds(lambda stride=stride: choose_patches(record, stride=stride))  # type: ignore[misc]
        ours = best_seconds(lambda stride=stride: bone_fractions(bone, size=SIZE, stride=stride))  # type: ignore[misc]
        peer = best_seconds(lambda stride=stride: with_numpy(bone, stride))  # type: ignore[misc]
        found = bone_fractions(bone, size=SIZE, stride=stride)
        is_same = np.array_equal(found, with_numpy(bone, stride))
        print(
            f"index of {SIDE}x{SIDE}, stride {stride}: {whole:.3f} s with reading, shares of bone "
            f"{ours:.3f} s, NumPy's sliding windows {peer:.3f} s, ratio {peer / ours:.1f}, "
            f"same result: {is_same}"
        )


def batch_of_patches(folder: Path) -> None:
    """Print the time of a training batch."""
    records = write_slices(folder, 1024, PATIENTS)
    write_manifest(folder / "manifest.csv", records)
    chosen = [(record, choose_patches(record)) for record in records]
    write_patches(folder / "patches.csv", chosen)
    data = PatchClassificationDataModule(
        folder / "manifest.csv",
        "ct",
        folder / "patches.csv",
        preprocessing=DtypeRange(),
        samples_per_epoch=300,
        cache=folder / "cache",
    )
    loader = data.train_dataloader()
    seconds = best_seconds(lambda: list(loader)) / len(loader)
    print(
        f"batch of {data.batch_size} patches of {SIZE} px, resized to {data.resize}: "
        f"{seconds * 1e3:.0f} ms"
    )


def main() -> None:
    """Measure both."""
    torch.set_num_threads(1)
    for measure in (index_of_a_slice, batch_of_patches):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()
