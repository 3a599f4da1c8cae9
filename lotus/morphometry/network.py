"""The lacuna-canalicular network (LCN) as a graph: lengths, nodes, canaliculi of each lacuna."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from lotus.masks import UnionFind, connected_components
from lotus.morphometry.branch_length import smoothed_lengths

Integers = NDArray[np.integer]


@dataclass(frozen=True)
class Network:
    """Canaliculi and the nodes in which they meet.

    Attributes:
        length: Of all canaliculi together, in the unit of the voxel size.
        lengths: (E,) of each branch from node to node.
        degrees: (N,) branches at each node that is no lacuna: 1 at an end, 3 or more at a junction.
        lacuna_degrees: (L,) canaliculi that leave each of the lacunae 1 to L.
    """

    length: float
    lengths: NDArray[np.float64]
    degrees: Integers
    lacuna_degrees: Integers


@dataclass(frozen=True)
class _Branches:
    """Paths of the skeleton from node to node, V being its voxels.

    Attributes:
        voxels: (V, 3) places.
        degrees: (V,) neighbours within the skeleton.
        ends: (E, 2) first and last voxel of each path.
        lengths: (E,).
    """

    voxels: Integers
    degrees: Integers
    ends: Integers
    lengths: NDArray[np.float64]


def canalicular_network(
    lcn: NDArray[np.bool_],
    lacunae: Integers | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
) -> Network:
    """The graph of the network's skeleton, of which lacunae are nodes.

    The skeleton is that of Lee, Kashyap & Chu (CVGIP 1994); within lacunae it is left out. What
    lies within a structure's own thickness is no branch: junctions no further from each other than
    the sum of their radii are one, and an end no further from its junction than the radius there
    is a spur of the thinning and is left out. Where that leaves two branches at a node they are
    one. Thinning takes about the radius away from a free end; at a lacuna up to a voxel is missing.

    Args:
        lcn: Bool (Z, Y, X).
        lacunae: Labels (Z, Y, X) from 1 of the lacunae within the network; None: there are none.
        spacing: Size of a voxel (Z, Y, X), such as in µm. Thinning itself goes by voxels.

    Returns:
        The network; without canaliculi one of length 0.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.network import canalicular_network
        >>> lcn = np.zeros((5, 21, 21), bool)
        >>> lcn[2, 10, :] = lcn[2, :11, 10] = True  # a T
        >>> network = canalicular_network(lcn, spacing=(0.5, 0.5, 0.5))
        >>> round(network.length, 1), sorted(network.degrees.tolist())
        (14.6, [1, 1, 1, 3])
    """
    count = 0 if lacunae is None else int(lacunae.max(initial=0))
    skeleton = skeletonize(lcn)
    if lacunae is not None:
        skeleton &= lacunae == 0
    # Voxels by themselves have no length, and skan refuses a skeleton of nothing else.
    skeleton = connected_components(skeleton, minimum_size=2) > 0
    if not skeleton.any():
        nothing = np.zeros(0, np.int64)
        return Network(0.0, np.zeros(0), nothing, np.zeros(count, np.int64))
    branches = _branches(skeleton, spacing)
    places = branches.voxels[branches.ends]
    radii = edt.edt(lcn, anisotropy=tuple(spacing))[tuple(places.T)].T
    touched = np.zeros_like(branches.ends) if lacunae is None else _touched(lacunae, places)
    return _graph(branches, radii, touched, count)


def _branches(skeleton: NDArray[np.bool_], spacing: Sequence[float]) -> _Branches:
    # With numba and networkx it takes a second, and most commands measure no network.
    from skan import Skeleton

    graph = Skeleton(skeleton.view(np.uint8), keep_images=False)
    starts, path = graph.paths.indptr, graph.paths.indices
    ends = np.stack([path[starts[:-1]], path[starts[1:] - 1]], axis=1)
    voxels = np.asarray(graph.coordinates, np.int64)
    lengths = smoothed_lengths(voxels[path], starts[:-1], spacing)
    return _Branches(voxels, graph.degrees, ends, lengths)


def _touched(lacunae: Integers, places: Integers) -> Integers:
    """The lacuna (E, 2) among the neighbours of each place (E, 2, 3), 0 where there is none."""
    last = np.array(lacunae.shape) - 1
    neighbours = [np.clip(places + step, 0, last) for step in np.argwhere(np.ones((3, 3, 3))) - 1]
    found = [lacunae[tuple(np.moveaxis(place, -1, 0))] for place in neighbours]
    return np.asarray(np.max(found, axis=0))


def _graph(
    branches: _Branches, radii: NDArray[np.floating], touched: Integers, lacunae: int
) -> Network:
    """Nodes are called by a lacuna, from 1, or by a voxel, after those."""
    degrees, lengths = branches.degrees[branches.ends], branches.lengths
    same = UnionFind()
    same.extend(lacunae + len(branches.voxels))
    nodes = branches.ends + lacunae + 1
    at_lacuna = touched > 0
    for node, lacuna in zip(nodes[at_lacuna], touched[at_lacuna], strict=True):
        same.unite(int(node), int(lacuna))
    is_short = lengths <= radii.sum(axis=1)
    is_junction = (degrees > 2) & ~at_lacuna
    for first, second in nodes[is_short & is_junction.all(axis=1)]:
        same.unite(int(first), int(second))
    nodes = same.roots(nodes.ravel().astype(np.int32)).reshape(nodes.shape)
    is_end = (degrees == 1) & ~at_lacuna
    reaches_out = lengths[:, None] > radii[:, ::-1]
    is_spur = (is_end & ~is_end[:, ::-1] & ~reaches_out).any(axis=1)
    is_within = (nodes[:, 0] == nodes[:, 1]) & is_short
    is_part = ~is_spur & ~(is_within & (nodes[:, 0] <= lacunae))
    is_branch = is_part & ~is_within
    return _joined(nodes[is_branch], lengths[is_branch], float(lengths[is_part].sum()), lacunae)


def _joined(nodes: Integers, lengths: NDArray[np.float64], length: float, lacunae: int) -> Network:
    """Make one branch of two that meet where no other one does."""
    flat = nodes.ravel()
    degrees = np.bincount(flat, minlength=lacunae + 1)
    is_passed = (degrees[flat] == 2) & (flat > lacunae)
    order = np.argsort(flat[is_passed], kind="stable")
    number = np.repeat(np.arange(1, len(nodes) + 1, dtype=np.int32), 2)
    same = UnionFind()
    same.extend(len(nodes))
    for first, second in number[is_passed][order].reshape(-1, 2):
        same.unite(int(first), int(second))
    _, branch = np.unique(same.roots(number[::2]), return_inverse=True)
    others = degrees[lacunae + 1 :]
    return Network(
        length=length,
        lengths=np.bincount(branch, lengths).astype(np.float64),
        degrees=others[(others > 0) & (others != 2)],
        lacuna_degrees=degrees[1 : lacunae + 1],
    )
