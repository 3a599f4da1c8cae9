"""Exact local thickness beside porespy and localthickness, and what a large network takes.

``python -m benchmarks.thickness --peers PYTHON``: PYTHON is that of an environment with porespy and
localthickness, which is GPL and stays outside; without it ours is timed alone. Times, ratios and
how the values differ, on trabecular bone (smoothed noise) and on a lacuna-canalicular network; then
time and memory of a network of 420 x 512 x 512 voxels, in both conventions.
"""

import argparse
import resource
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.lcn import simulated_network
from benchmarks.thickness_peer import PEERS
from lotus.morphometry.thickness import Convention, Thickness, local_thickness

PEER_SCRIPT = Path(__file__).with_name("thickness_peer.py")
CONVENTIONS: tuple[Convention, ...] = ("centre", "surface")


def trabecular(size: int, seed: int = 0) -> NDArray[np.bool_]:
    """A sponge with a quarter of bone, about 12 voxels thick."""
    noise = np.random.default_rng(seed).normal(size=(size, size, size))
    smooth = gaussian_filter(noise, 6)
    return np.asarray(smooth > np.quantile(smooth, 0.75), np.bool_)


def timed(mask: NDArray[np.bool_], convention: Convention) -> tuple[float, Thickness]:
    """Seconds and the map."""
    start = time.perf_counter()
    found = local_thickness(mask, convention=convention)
    return time.perf_counter() - start, found


def beside_peers(name: str, mask: NDArray[np.bool_], python: str | None) -> None:
    """Print a line for us and one for each peer, in the convention that they have."""
    ours, found = timed(mask, "centre")
    values = found[mask]
    print(f"\n{name}, {mask.shape}, {100 * mask.mean():.1f} %")
    print(f"{'lotus, centre':<24}{ours:8.2f} s  mean {values.mean():.3f}")
    for peer in PEERS if python else ():
        with TemporaryDirectory() as folder:
            source, result = (str(Path(folder, file)) for file in ("mask.npy", "result.npy"))
            np.save(source, mask)
            command = [str(python), str(PEER_SCRIPT), peer, source, result]
            seconds = float(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[
                    -1
                ]
            )
            theirs = np.load(result)[mask]
        differ = np.abs(theirs - values)
        print(
            f"{peer:<24}{seconds:8.2f} s  mean {theirs.mean():.3f}  {seconds / ours:.1f} times as "
            f"long; {100 * np.mean(differ > 1e-3):.1f} % of voxels differ, at most by "
            f"{differ.max():.2f} voxels"
        )


def main() -> None:
    """Compare, then measure the large network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", metavar="PYTHON", help="with porespy and localthickness")
    parser.add_argument("--size", type=int, default=160, help="side of the volumes compared")
    parser.add_argument("--shape", type=int, nargs=3, default=(420, 512, 512), metavar="N")
    arguments = parser.parse_args()
    for convention in CONVENTIONS:  # Compiled, or read from the cache, before anything is timed.
        timed(trabecular(24), convention)
    beside_peers("trabecular bone", trabecular(arguments.size), arguments.peers)
    network = simulated_network((arguments.size,) * 3)
    beside_peers("lacuna-canalicular network", network, arguments.peers)
    depth, height, width = arguments.shape
    network = simulated_network((depth, height, width))
    print(f"\nnetwork {network.shape}, {100 * network.mean():.2f} % LCN")
    for convention in CONVENTIONS:
        seconds, found = timed(network, convention)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{convention:<10}{seconds:8.2f} s  mean {found[network].mean():.3f}  max "
            f"{found.max():.2f} voxels  most memory so far {peak:.2f} GiB"
        )


if __name__ == "__main__":
    main()
