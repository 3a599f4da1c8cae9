"""Lacunae that another program has told apart: each value of a label map is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lotus.masks import Moments, joined_moments, object_moments
from lotus.measurement.lcn import Integers, Lcn
from lotus.measurement.volume import Labels, LabelVolume


@dataclass(frozen=True)
class LabelledObjects:
    """Objects of a label map; :class:`~lotus.measurement.lcn.Components`.

    Attributes:
        volume: The label map.
        names: Its values (N,) that are objects, ascending.
        moments: Of these.
    """

    volume: LabelVolume
    names: Integers
    moments: Moments

    def blocks(self) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Number of the first slice and objects 1 to N (Z, Y, X) of every block, in order."""
        for start, labels in self.volume.blocks():
            yield start, _numbered(labels, self.names)


class LabelledLacunae(Lcn):
    """A label map of lacunae, as of StarDist or Cellpose: touching ones stay apart."""

    @property
    def names_bone(self) -> bool:
        """All that is no lacuna is bone."""
        return False

    @property
    def is_resolved(self) -> bool:
        """There are no canaliculi."""
        return False

    @cached_property
    def counts(self) -> tuple[Integers, Integers]:
        """Voxels (Z,) of lacunae and of the rest in each slice."""
        inside = [(labels > 0).sum(axis=(1, 2)) for _, labels in self.volume.blocks()]
        lacunar = np.concatenate(inside)
        return lacunar, self.volume.shape[1] * self.volume.shape[2] - lacunar

    @cached_property
    def lacunae(self) -> LabelledObjects:
        """The objects of at least as many voxels as are asked for."""
        blocks = self.volume.blocks
        values = np.unique(np.concatenate([np.unique(labels) for _, labels in blocks()]))
        names = values[values > 0].astype(np.int64)
        parts = [
            object_moments(_numbered(labels, names), len(names), start)
            for start, labels in blocks()
        ]
        numbers = np.tile(np.arange(1, len(names) + 1), len(parts))
        moments = joined_moments(parts).renumbered(numbers, len(names))
        is_kept = moments.count >= self.minimum_voxels
        kept = np.where(is_kept, np.cumsum(is_kept), 0)
        return LabelledObjects(
            self.volume, names[is_kept], moments.renumbered(kept, int(is_kept.sum()))
        )

    @property
    def lacuna_names(self) -> Integers:
        """Their values in the label map (N,)."""
        return self.lacunae.names

    @property
    def lacuna_rule(self) -> str:
        """What counts as a lacuna, in words."""
        return f"values of the label map with >= {self.minimum_voxels} voxels"

    @property
    def doubts(self) -> list[str]:
        """That all else is taken as bone, or that there is nothing."""
        if not self.voxels:
            return [f"{self.volume.path} holds no object: all of it is 0"]
        return ["all that is no lacuna counts as bone"]


def _numbered(labels: Labels, names: Integers) -> NDArray[np.int32]:
    """Numbers 1 to N in place of the names (N,), 0 in place of others."""
    place = np.searchsorted(names, labels)
    is_named = np.append(names, -1)[place] == labels
    return np.where(is_named, place + 1, 0).astype(np.int32)
