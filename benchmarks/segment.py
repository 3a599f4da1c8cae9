"""Time and memory of `lotus segment`, against the bare network on the same windows.

The network is the project's U-Net with random weights. Its output is multiplied by a millionth and
added to a threshold on the smoothed grey value, so that it costs what a U-Net costs and finds
objects as many and as large as a real image has. It runs in the same memory format, precision and
batches in both measurements, which alternate; the ratio of each pair is taken, then the median.

Usage: python -m benchmarks.segment [SLIDE] [--repeats 3] [--precision 32|bf16] [--batch-size N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional as F

from lotus.imaging import Slide
from lotus.inference.options import SegmentOptions
from lotus.inference.outputs import SegmentedObjects
from lotus.inference.prediction import Predictor, open_pixels
from lotus.inference.segment import segment_image
from lotus.inference.segmenter import Segmenter
from lotus.networks import UNet
from lotus.schemes import BoundaryWatershed, ConnectedComponents, InstanceScheme
from lotus.transforms import DtypeRange

SHAPE = (2048, 4096)


class DarkObjects(nn.Module):
    """Finds what is darker than its surroundings, at the price of a U-Net of constant weights."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.unet = UNet(in_channels=1, out_channels=classes)
        self.classes = classes

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, Y, X): foreground, or background, interior and boundary."""
        depth = 40.0 * (0.55 - F.avg_pool2d(image, 9, stride=1, padding=4))
        if self.classes == 3:
            depth = torch.cat((-depth, depth - 2.0, 2.0 - depth.abs()), dim=1)
        logits: Tensor = self.unet(image)
        return logits * 1e-6 + depth


def segmenter_for(scheme: InstanceScheme) -> Segmenter:
    """The network above as if it came from a checkpoint."""
    return Segmenter(
        networks=[DarkObjects(scheme.channels(1)).eval()],
        preprocessing=DtypeRange(),
        instances=scheme,
        class_names=["object"],
        in_channels=1,
        spacing_um=None,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )


def write_slide(path: Path, pixels: NDArray[np.uint8]) -> None:
    tifffile.imwrite(path, pixels, tile=(256, 256), compression="zlib", ome=True)


def synthetic_pixels() -> NDArray[np.uint8]:
    """A slide of the same size with about 600 dark discs on a bright, noisy background."""
    random = np.random.default_rng(0)
    centres = np.zeros(SHAPE, np.float32)
    centres[random.integers(0, SHAPE[0], 600), random.integers(0, SHAPE[1], 600)] = 1.0
    spots = gaussian_filter(centres, 6.0) * (2.0 * np.pi * 36.0)
    noise = random.normal(0.0, 12.0, SHAPE)
    pixels: NDArray[np.float64] = 215.0 - 180.0 * np.minimum(spots, 1.0) + noise
    return pixels.clip(0, 255).astype(np.uint8)


def bare_network(segmenter: Segmenter, slide: Path, options: SegmentOptions) -> Callable[[], None]:
    """The network on every window of a slide in the same batches, its input ready in memory."""
    grid, batch_size = options.grid(SHAPE, segmenter), options.batch_size_of(segmenter)
    height, width = grid.window
    with Slide(slide) as opened:
        read_rows, normalise = open_pixels(opened, segmenter)
        precision = options.precision_of(segmenter)
        predict = Predictor(segmenter, np.asarray, precision, lambda count: None)
        pixels = normalise(read_rows(0, SHAPE[0]))
    batches = []
    for y in grid.rows:
        for first in range(0, len(grid.columns), batch_size):
            columns = grid.columns[first : first + batch_size]
            batches.append(np.stack([pixels[:, y : y + height, x : x + width] for x in columns]))

    def predict_all() -> None:
        for batch in batches:
            predict(batch)
        if segmenter.device.type == "cuda":
            torch.cuda.synchronize()

    def run() -> None:
        # In a thread of its own, as in `segment`: OpenMP waits in other ways in the main thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(predict_all).result()

    return run


def seconds(run: Callable[[], object]) -> NDArray[np.float64]:
    """Wall clock and processor time, the latter summed over threads."""
    start = np.array((time.perf_counter(), time.process_time()))
    run()
    passed: NDArray[np.float64] = np.array((time.perf_counter(), time.process_time())) - start
    return passed


def compare_times(
    scheme: InstanceScheme, slide: Path, options: SegmentOptions, repeats: int
) -> None:
    segmenter = segmenter_for(scheme)
    bare = bare_network(segmenter, slide, options)
    with tempfile.TemporaryDirectory() as folder:

        def whole() -> SegmentedObjects:
            return segment_image(segmenter, slide, Path(folder), options)

        objects = whole().count
        pairs = np.array([(seconds(bare), seconds(whole)) for _ in range(repeats)])
    (network, _), (total, _) = np.median(pairs, axis=0)
    ratio, processor_ratio = np.median(pairs[:, 1] / pairs[:, 0], axis=0)
    windows = len(options.grid(SHAPE, segmenter))
    print(
        f"{type(scheme).__name__}: {objects} objects, {windows} windows; network alone "
        f"{network:.2f} s, lotus segment {total:.2f} s, ratio {ratio:.3f} "
        f"(of processor time {processor_ratio:.3f})"
    )


def peak_of_this_process(slide: Path, options: SegmentOptions) -> float:
    with tempfile.TemporaryDirectory() as folder:
        segment_image(segmenter_for(ConnectedComponents(20)), slide, Path(folder), options)
    # Not getrusage: its peak includes that of the process this one was forked from.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak_memory(slide: Path, options: SegmentOptions) -> float:
    """Peak resident memory in MiB of a fresh process that segments the slide."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(peak_of_this_process, slide, options).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--batch-size", type=int)
    arguments = parser.parse_args()
    options = SegmentOptions(
        batch_size=arguments.batch_size, precision=arguments.precision, progress=False
    )
    with tempfile.TemporaryDirectory() as folder:
        given = arguments.slide
        pixels = synthetic_pixels() if given is None else tifffile.imread(given)
        if pixels.shape != SHAPE:
            raise ValueError(f"slide has shape {pixels.shape}; expected {SHAPE}")
        slide, tall = Path(folder) / "slide.ome.tif", Path(folder) / "tall.ome.tif"
        write_slide(slide, pixels)
        print(f"{torch.get_num_threads()} threads, precision {options.precision}")
        compare_times(ConnectedComponents(20), slide, options, arguments.repeats)
        compare_times(BoundaryWatershed(20), slide, options, arguments.repeats)
        write_slide(tall, np.tile(pixels, (4, 1)))
        small, large = peak_memory(slide, options), peak_memory(tall, options)
        print(f"peak memory: {small:.0f} MiB, four times as high {large:.0f} MiB")


if __name__ == "__main__":
    main()
