"""`lotus segment` of volumes: the network's share of the time, cost per voxel, memory.

The share is that of networks as large as those of the recipes, with random weights, on few slices.
Cost per voxel and memory are those of everything else: the network is a convolution of one voxel,
and volumes grow in depth. Each volume is labelled in a process of its own, in one thread.

Usage: python -m benchmarks.volume_segmentation [--gigavoxels 0.1 0.5 1 2] [--side 512]
[--slices 6] [--figure PATH]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lotus.imaging.volume_stores import volume_store
from lotus.imaging.voxels import Shape
from lotus.inference.segment_volume import segment_volume
from lotus.inference.volume_options import VolumeOptions
from lotus.networks import Sensor3D, UNet

SPACING = (0.094, 0.094, 0.094)
CLASSES = ["lcn", "shade_off", "bone"]
HERE = "benchmarks.volume_segmentation"


class Timed:
    """Adds up the time that a network takes."""

    seconds: ClassVar[float] = 0.0

    def __call__(self, *arguments: Any) -> Any:
        """The network's answer."""
        begun = time.perf_counter()
        found = super().__call__(*arguments)  # type: ignore[misc]
        Timed.seconds += time.perf_counter() - begun
        return found


class TimedUNet(Timed, UNet):
    """Slice by slice."""


class TimedSensor3D(Timed, Sensor3D):
    """Three slices at a time."""


class GreyThresholds(nn.Module):
    """Classes by grey value alone."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor([0.0, 10.0, 20.0, 30.0])[:, None, None])
        self.offset = nn.Parameter(torch.tensor([0.0, -2.0, -6.0, -13.0])[:, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 4, Y, X) of grey images (B, 1, Y, X)."""
        return self.steepness * image + self.offset


@dataclass(frozen=True)
class Cost:
    """What labelling a volume took.

    Attributes:
        voxels: Of the volume.
        seconds: Altogether.
        network_seconds: Of that, in the network.
        peak_mib: Most memory of the process.
    """

    voxels: int
    seconds: float
    network_seconds: float
    peak_mib: float


def write_volume_of(path: Path, shape: Shape) -> None:
    """Noise on a slow wave, uint8, block by block."""
    store = volume_store(path, path.with_name("begun"), shape, np.uint8, SPACING)
    store.begin()
    random = np.random.default_rng(0)
    wave = 100 + 60 * np.sin(np.arange(shape[2]) / 20)
    for start in range(0, shape[0], store.depth):
        size = (min(store.depth, shape[0] - start), *shape[1:])
        block = wave + random.integers(-40, 40, size, dtype=np.int16)
        store.write(start, block.clip(0, 255).astype(np.uint8))
    store.finish()


def checkpoint(path: Path, kind: str, settings: dict[str, Any]) -> Path:
    """One with the random weights of a network of this module."""
    torch.manual_seed(0)
    network = getattr(import_module(HERE), kind)(**settings)
    record = {
        "network": {"class_path": f"{HERE}.{kind}", "init_args": settings},
        "class_names": CLASSES,
        "in_channels": 1,
        "preprocessing": {"class_path": "lotus.transforms.PercentileRange", "init_args": {}},
        "spacing_um": SPACING,
        "window": 512,
        "overlap": 0.25,
        "precision": "32",
    }
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "volume_segmenter": record}, path)
    return path


def cost_of(shape: Shape, kind: str, settings: dict[str, Any]) -> Cost:
    """Label a volume of this size with a network of this module."""
    timed = import_module(HERE).Timed
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trained = checkpoint(folder / "a.ckpt", kind, settings)
        # Of one slice, so that what is loaded once is not counted.
        for name, size in (("one", (1, *shape[1:])), ("all", shape)):
            source, output = folder / f"{name}.ome.zarr", folder / f"{name}_labels.ome.zarr"
            write_volume_of(source, size)
            timed.seconds = 0.0
            begun = time.perf_counter()
            segment_volume(source, output, trained, VolumeOptions(device="cpu"), notify=_silent)
            seconds = time.perf_counter() - begun
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return Cost(int(np.prod(shape)), seconds, timed.seconds, peak)


def _silent(_: str) -> None:
    pass


def in_a_process(*arguments: Any) -> Cost:
    """The same in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(cost_of, *arguments).result()


def draw(costs: list[Cost], path: Path) -> None:
    """Cost per voxel and memory over the size of the volume."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    gigavoxels = [cost.voxels / 1e9 for cost in costs]
    left.plot(gigavoxels, [1e9 * cost.seconds / cost.voxels for cost in costs], "o-")
    left.set(
        xlabel="volume (10⁹ voxels)", ylabel="time per voxel (ns)", xscale="log", ylim=(0, None)
    )
    right.plot(gigavoxels, [cost.peak_mib for cost in costs], "o-")
    right.set(xlabel="volume (10⁹ voxels)", ylabel="memory (MiB)", xscale="log", ylim=(0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigavoxels", type=float, nargs="*", default=[0.1, 0.5, 1.0, 2.0])
    parser.add_argument("--side", type=int, default=512, help="of a slice in voxels")
    parser.add_argument("--slices", type=int, default=6, help="that the large networks label")
    parser.add_argument("--filters", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    side = arguments.side
    for kind in ("TimedUNet", "TimedSensor3D"):
        settings = {"in_channels": 1, "out_channels": 4, "filters": arguments.filters}
        cost = in_a_process((arguments.slices, side, side), kind, settings)
        print(
            f"{kind.removeprefix('Timed')}: {arguments.slices} slices in {cost.seconds:.1f} s, "
            f"{cost.network_seconds / cost.seconds:.1%} of it in the network; "
            f"{cost.peak_mib:.0f} MiB",
            flush=True,
        )
    costs = []
    for size in arguments.gigavoxels:
        shape = (max(round(1e9 * size / side**2), 1), side, side)
        costs.append(cost := in_a_process(shape, "GreyThresholds", {}))
        print(
            f"{cost.voxels / 1e9:.3g} Gvox without a network: {cost.seconds:.1f} s, "
            f"{1e9 * cost.seconds / cost.voxels:.1f} ns per voxel; {cost.peak_mib:.0f} MiB",
            flush=True,
        )
    if arguments.figure is not None:
        draw(costs, arguments.figure)


if __name__ == "__main__":
    main()
