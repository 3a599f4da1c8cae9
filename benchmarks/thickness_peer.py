"""Local thickness by another library, in an environment of its own: a mask in, a map out.

Called by ``benchmarks.thickness``, which says whose: ``python thickness_peer.py NAME MASK RESULT``.
It prints the seconds that the computation alone took. Nothing of this project is imported.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Peer = Callable[[NDArray[np.bool_]], NDArray[np.floating]]


def porespy(mask: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Its fastest mode of equal accuracy: the others know whole radii alone."""
    import porespy
    from edt import edt

    distances = edt(mask, parallel=2)
    radii = porespy.filters.local_thickness(
        mask, dt=distances, method="legacy", sizes=np.unique(distances[mask]), smooth=False
    )
    return np.asarray(2.0 * radii, np.float32)


def porespy_whole_radii(mask: NDArray[np.bool_]) -> NDArray[np.floating]:
    """What it does unless told otherwise."""
    import porespy

    return np.asarray(2.0 * porespy.filters.local_thickness(mask), np.float32)


def localthickness(mask: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Dilation in steps of a voxel, approximately (Dahl & Dahl 2023)."""
    import localthickness

    return np.asarray(2.0 * localthickness.local_thickness(mask), np.float32)


PEERS: dict[str, Peer] = {
    "porespy": porespy,
    "porespy_whole_radii": porespy_whole_radii,
    "localthickness": localthickness,
}


def main() -> None:
    """Compute one map; once before on a corner, so that loading and compiling do not count."""
    _, name, source, result = sys.argv
    mask = np.load(source)
    PEERS[name](mask[:32, :32, :32])
    start = time.perf_counter()
    found = PEERS[name](mask)
    print(time.perf_counter() - start)
    np.save(result, found)


if __name__ == "__main__":
    main()
