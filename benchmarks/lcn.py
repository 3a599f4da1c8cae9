"""Cells, network and distances of a lacuna-canalicular network, beside scikit-image and skan.

``python -m benchmarks.lcn``: a volume of 420 x 512 x 512 voxels with lacunae and canaliculi. Each
part of `lotus measure porosity` but thickness, which has a benchmark of its own: time, and the most
memory that the process held until then. Cells are compared in number and volume, lengths with those
along the skeleton's voxels.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from skimage.draw import line_nd
from skimage.measure import label, regionprops_table
from skimage.morphology import skeletonize

from lotus.masks import label_in_blocks, open_with_ball
from lotus.morphometry.cells import cell_table
from lotus.morphometry.matrix_distance import distance_blocks
from lotus.morphometry.network import canalicular_network

Found = TypeVar("Found")
SPACING = (0.094, 0.094, 0.094)
SEMI_AXES = np.array([12.0, 20.0, 45.0])
CANALICULI, REACH = 60, 90
VOXELS_PER_LACUNA = 4_000_000


def simulated_network(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.bool_]:
    """Ellipsoids with straight canaliculi two voxels wide, about 1.8 % of the volume."""
    random = np.random.default_rng(seed)
    network = np.zeros(shape, np.bool_)
    for middle in random.random((max(1, network.size // VOXELS_PER_LACUNA), 3)) * shape:
        rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
        low = np.maximum(middle - SEMI_AXES.max(), 0).astype(int)
        high = np.minimum(middle + SEMI_AXES.max() + 1, shape).astype(int)
        box = tuple(map(slice, low, high))
        places = np.moveaxis(np.asarray(np.mgrid[box]), 0, -1) - middle
        body = (((places @ rotation) / SEMI_AXES) ** 2).sum(axis=-1) <= 1
        network[box] |= body
        for direction in random.normal(size=(CANALICULI, 3)):
            end = middle + REACH * direction / np.linalg.norm(direction)
            path = np.stack(line_nd(middle, end, endpoint=True), axis=1)
            for step in np.argwhere(np.ones((2, 2, 2))):
                inside = ((path + step >= 0) & (path + step < shape)).all(axis=1)
                network[tuple((path + step)[inside].T)] = True
    return network


def timed(what: str, work: Callable[[], Found]) -> Found:
    """Do something and print how long it took and the most memory held so far."""
    start = time.perf_counter()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:<62}{time.perf_counter() - start:8.2f} s{peak:8.2f} GiB", flush=True)
    return found


def main() -> None:
    """Print a line per part, then the peers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", type=int, nargs=3, default=(420, 512, 512))
    arguments = parser.parse_args()
    depth, height, width = arguments.shape
    lcn = simulated_network((depth, height, width))
    print(f"{lcn.shape}, {100 * lcn.mean():.2f} % LCN")

    def read(start: int, stop: int) -> NDArray[np.bool_]:
        return lcn[start:stop]

    parts = timed("components in blocks", lambda: label_in_blocks(read, depth, minimum_size=100))
    table = timed("table of cells", lambda: cell_table(parts.moments, lcn.shape, SPACING))
    opened = timed("lacunae: opening", lambda: open_with_ball(lcn, 1.0, SPACING))
    bodies = label_in_blocks(lambda a, b: opened[a:b], depth, minimum_size=100)
    labels = np.concatenate([block for _, block in bodies.blocks()])
    network = timed("network", lambda: canalicular_network(lcn, labels, SPACING))
    timed("distances in blocks", lambda: sum(1 for _ in distance_blocks(read, depth, SPACING)))
    print(f"{len(table)} cells, {len(bodies.moments)} lacunae, {network.length:.1f} µm canaliculi")

    peer = timed("scikit-image: label", lambda: label(lcn, connectivity=3))
    names = ("area", "centroid", "inertia_tensor_eigvals")
    rows = timed(
        "scikit-image: regionprops_table", lambda: regionprops_table(peer, properties=names)
    )
    volumes = np.sort(rows["area"][rows["area"] >= 100])
    print(f"the same volumes: {np.array_equal(volumes, np.sort(table['volume_px']))}")
    from skan import Skeleton, summarize

    skeleton = skeletonize(lcn) & (labels == 0)
    graph = timed(
        "skan: summarize", lambda: summarize(Skeleton(skeleton, spacing=SPACING[0]), separator="-")
    )
    print(f"along voxels: {graph['branch-distance'].sum():.1f} µm in {len(graph)} branches")


if __name__ == "__main__":
    main()
