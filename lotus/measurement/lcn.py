"""The lacuna-canalicular network (LCN) of a segmented volume, read in blocks of slices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lotus.masks import (
    BlockComponents,
    Moments,
    dilate_with_ball,
    label_in_blocks,
    open_with_ball,
)
from lotus.measurement.volume import BONE, LabelVolume
from lotus.morphometry.matrix_distance import distance_blocks
from lotus.morphometry.network import Network, canalicular_network
from lotus.morphometry.porosity import slice_counts

LCN = "lcn"
CANALICULUS_UM = 0.8
"""Canaliculi are thinner: 0.1 to 0.7 µm in human bone, where lacunae are 2 µm thick and more."""
GROWN_BACK = 0.25
"""Of the ball's diameter: with it lacunae of phantoms have their volume on the mean."""
Integers = NDArray[np.int64]


class Components(Protocol):
    """Objects of a volume: their sums, and their label map block by block."""

    @property
    def moments(self) -> Moments:
        """Of the objects 1 to N."""

    def blocks(self) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Number of the first slice and label map (Z, Y, X) of every block, in order."""


@dataclass(frozen=True)
class Lcn:
    """The network of a volume, and how lacunae are told from canaliculi; see :func:`lcn_of`.

    What is counted is counted once, when it is first asked for.

    Attributes:
        volume: The labels.
        canaliculus: What is thinner is a canaliculus, in µm, or voxels where their size is not
            known; 0: they are not told apart, and all of the network is lacunae.
        minimum_voxels: Cells and lacunae of fewer are left out.
    """

    volume: LabelVolume
    canaliculus: float
    minimum_voxels: int

    @property
    def is_resolved(self) -> bool:
        """Whether canaliculi can be told from lacunae: a ball of their thickness has neighbours."""
        return self.canaliculus >= 2 * min(self.volume.scale.spacing)

    @property
    def names_bone(self) -> bool:
        """Whether a class is bone; else all that is not the network is taken as bone."""
        return any(name in self.volume.classes for name in BONE)

    @cached_property
    def counts(self) -> tuple[Integers, Integers]:
        """Voxels (Z,) of the network and of the bone in each slice."""
        classes, (_, height, width) = self.volume.classes, self.volume.shape
        values = [classes[LCN], *(classes[name] for name in BONE if name in classes)]
        counts = [slice_counts(labels, values) for _, labels in self.volume.blocks()]
        network, *bone = np.concatenate(counts).T
        return network, np.sum(bone, axis=0) if bone else height * width - network

    @property
    def voxels(self) -> int:
        """Voxels of the network."""
        return int(self.counts[0].sum())

    @property
    def bone_voxels(self) -> int:
        """Voxels of the bone."""
        return int(self.counts[1].sum())

    @cached_property
    def cells(self) -> BlockComponents:
        """The connected parts of the network."""
        depth = self.volume.shape[0]
        return label_in_blocks(self.network_mask, depth, minimum_size=self.minimum_voxels)

    @cached_property
    def lacunae(self) -> Components:
        """The connected parts of what is as thick as a lacuna."""
        depth = self.volume.shape[0]
        return label_in_blocks(self.lacunar_mask, depth, minimum_size=self.minimum_voxels)

    @property
    def lacuna_names(self) -> Integers:
        """What each of the lacunae is called in tables (N,)."""
        return np.arange(1, len(self.lacunae.moments) + 1)

    @property
    def lacuna_rule(self) -> str:
        """What counts as a lacuna, in words."""
        rule = f"26-connected, >= {self.minimum_voxels} voxels"
        if not self.is_resolved:
            return rule
        thickness = f"{self.canaliculus:g} {self.volume.scale.length_unit}"
        return f"{rule}, of the LCN opened with a ball of {thickness} and grown back by a quarter"

    @property
    def doubts(self) -> list[str]:
        """What makes measures of this network doubtful before any is taken, a line each."""
        path, limit = self.volume.path, f"{self.canaliculus:g} {self.volume.scale.length_unit}"
        found = []
        if not self.voxels:
            found.append(f"{path} holds no LCN: no voxel has the value {self.volume.classes[LCN]}")
        elif self.voxels == math.prod(self.volume.shape):
            found.append(f"{path} is LCN throughout: thickness and network are not defined")
        if not self.names_bone:
            found.append(
                "no class is bone, so all that is not LCN counts as bone; --classes names it"
            )
        if not self.is_resolved:
            found.append(
                f"canaliculi are not told from lacunae ({limit}, the limit between them, is < 2 "
                "voxels): all of the LCN is lacunae"
            )
        return found

    @cached_property
    def network(self) -> Network | None:
        """The graph of the canaliculi, None where they are not resolved.

        The whole network has to fit into memory for it.
        """
        if not self.is_resolved:
            return None
        cores = np.zeros(self.volume.shape, np.int32)
        for start, labels in self.lacunae.blocks():
            stop = start + len(labels)
            # Canaliculi begin where no ball fits; what is given back has their roots.
            np.copyto(cores[start:stop], labels, where=self.thick_mask(start, stop))
        whole = self.network_mask(0, len(cores))
        return canalicular_network(whole, cores, self.volume.scale.spacing)

    def network_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """The network (Z, Y, X) from one slice to before another."""
        return self.volume.mask(LCN, start=start, stop=stop)

    def bone_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """The bone around it, likewise."""
        if not self.names_bone:
            return ~self.network_mask(start, stop)
        return self.volume.mask(*BONE, start=start, stop=stop)

    def thick_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """What of the network is thicker than canaliculi, likewise: its opening with a ball."""
        first, last = self._with_halo(start, stop, self.canaliculus)
        network = self.network_mask(first, last)
        thick = open_with_ball(network, self.canaliculus, self.volume.scale.spacing)
        return thick[start - first :][: stop - start]

    def lacunar_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """What of the network is lacunae, likewise; all of it where canaliculi are not resolved.

        No ball fits into their ends, so what of the network lies within a quarter of its diameter
        is given back.
        """
        network = self.network_mask(start, stop)
        if not self.is_resolved:
            return network
        grown = GROWN_BACK * self.canaliculus
        first, last = self._with_halo(start, stop, grown)
        thick = self.thick_mask(first, last)
        near = dilate_with_ball(thick, grown, self.volume.scale.spacing)
        return network & near[start - first :][: stop - start]

    def _with_halo(self, start: int, stop: int, reach: float) -> tuple[int, int]:
        """The slices from which what is asked for depends, as far as there are."""
        halo = math.ceil(reach / self.volume.scale.spacing[0]) + 1
        return max(start - halo, 0), min(stop + halo, self.volume.shape[0])

    def matrix_distances(self) -> Iterator[NDArray[np.float32]]:
        """Distance to the network (N,) of the voxels of bone, block after block."""
        depth, spacing = self.volume.shape[0], self.volume.scale.spacing
        for start, distance in distance_blocks(self.network_mask, depth, spacing):
            yield distance[self.bone_mask(start, start + len(distance))]


def lcn_of(volume: LabelVolume, canaliculus_um: float | None, minimum_voxels: int) -> Lcn:
    """The network of a volume, once it is clear what that is.

    Args:
        volume: With the class ``lcn``.
        canaliculus_um: What is thinner is a canaliculus; None: 0.8 µm where the size of a voxel is
            known, else they are not told from lacunae.
        minimum_voxels: Cells and lacunae of fewer are left out.

    Raises:
        ValueError: No class is the network; µm without a voxel size; numbers below 0.
    """
    if LCN not in volume.classes:
        named = ", ".join(f"{name}={value}" for name, value in volume.classes.items())
        raise ValueError(f"{volume.path} has the classes {named} and no lcn; name it, as in lcn=1")
    if canaliculus_um is not None and volume.scale.spacing_um is None:
        raise ValueError(
            f"{volume.path} states no voxel size, so canaliculi of {canaliculus_um:g} µm cannot be "
            "told from lacunae; give --voxel-size-um Z Y X"
        )
    if (canaliculus_um or 0) < 0 or minimum_voxels < 0:
        raise ValueError(
            f"canaliculi of {canaliculus_um} µm and cells of {minimum_voxels} voxels; numbers from "
            "0 are expected"
        )
    if canaliculus_um is None:
        canaliculus_um = 0.0 if volume.scale.spacing_um is None else CANALICULUS_UM
    return Lcn(volume, canaliculus_um, minimum_voxels)
