"""What a mask looks like that tells numbers of objects from classes and grey values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from lotus.masks.values import Labels

SHOWN = 8
"""So many of a mask's values are kept."""
MOST_CLASSES = 16
SEVERAL_PLACES = 3
FULL_RANGE = (255, 65535)
"""Highest values of the usual types: white in a picture, or pixels of which nothing is known."""


@dataclass(frozen=True)
class MaskFacts:
    """What tells the values of a mask apart; values are those besides 0.

    Attributes:
        pixels: Pixels of which something is known.
        background: Pixels of value 0 among them.
        ignored: Pixels of which nothing is known.
        n_values: How many different values there are.
        values: The lowest of them and the two highest, in order.
        places: 8-connected components of equal values, all together.
        scattered: Values that are in several places.
        enclosed: Values of which no pixel has a neighbour of value 0, but such of one or two other
            values: rings in rings.
        highest_places: Places of the highest value.
    """

    pixels: int
    background: int
    ignored: int
    n_values: int
    values: tuple[int, ...]
    places: int
    scattered: int
    enclosed: int
    highest_places: int


class FolderFacts:
    """What the masks of one folder look like together.

    Args:
        masks: Each file's facts, at least one.

    Attributes:
        place: The folder that all of them are in.
        pixels: Pixels of which something is known.
        objects: Pixels of another value than 0 among them.
        ignored: Pixels of which nothing is known.
        n_values: Sum of the numbers of values.
        values: Values besides 0, as far as the files' facts hold them.
        strange: How many are in several places or enclosed, as numbers of objects rarely are.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from lotus.masks import FolderFacts, Labels, mask_facts
        >>> masks = {"a.png": [[7, 0, 7, 9]], "b.png": [[0, 0, 7, 7]]}
        >>> facts = {Path(name): mask_facts(Labels(np.array(m), None)) for name, m in masks.items()}
        >>> folder = FolderFacts(facts)
        >>> folder.values, folder.strange, folder.objects
        ([7, 9], 1, 5)
    """

    def __init__(self, masks: Mapping[Path, MaskFacts]) -> None:
        facts = masks.values()
        self.masks = masks
        self.place = os.path.commonpath([path.parent for path in masks])
        self.pixels = sum(mask.pixels for mask in facts)
        self.objects = self.pixels - sum(mask.background for mask in facts)
        self.ignored = sum(mask.ignored for mask in facts)
        self.n_values = sum(mask.n_values for mask in facts)
        self.values = sorted({value for mask in facts for value in mask.values})
        self.strange = sum(max(mask.scattered, mask.enclosed) for mask in facts)

    @property
    def strange_share(self) -> float:
        """Share of the strange ones in [0, 1]."""
        return self.strange / max(self.n_values, 1)

    @cached_property
    def several(self) -> dict[Path, MaskFacts]:
        """Masks of several values besides 0, those of most first."""
        several = [item for item in self.masks.items() if item[1].n_values > 1]
        return dict(sorted(several, key=lambda item: -item[1].n_values))

    @property
    def without_background(self) -> Path | None:
        """A mask of several values in which 0 is not one; None if there is none."""
        bare = (path for path, mask in self.several.items() if not mask.background)
        return next(bare, None)

    @property
    def outlier(self) -> Path | None:
        """A mask of one value that is hardly an object's number; None if there is none."""
        for path, mask in self.masks.items():
            if mask.n_values == 1 and (
                mask.values[0] in FULL_RANGE or mask.places >= SEVERAL_PLACES
            ):
                return path
        return None

    @property
    def look_like_classes(self) -> bool:
        """Whether the values are 1, 2, … and few, and most are in several places."""
        scattered = sum(mask.scattered for mask in self.masks.values())
        return self.are_few and 2 * scattered >= self.n_values

    @property
    def are_few(self) -> bool:
        """Whether the values are 1, 2, … and few."""
        return len(self.values) <= MOST_CLASSES and self.values == [*range(1, len(self.values) + 1)]


def mask_facts(labels: Labels) -> MaskFacts:
    """Look at a mask.

    Args:
        labels: The mask in the usual values.

    Example:
        >>> import numpy as np
        >>> from lotus.masks.facts import mask_facts
        >>> from lotus.masks.values import Labels
        >>> facts = mask_facts(Labels(np.array([[7, 0, 7, 9]]), None))
        >>> facts.n_values, facts.places, facts.scattered
        (2, 3, 1)
    """
    values, number, counts = _numbered(labels.values)
    ignored = 0 if labels.ignored is None else int(np.count_nonzero(labels.ignored))
    background = labels.values.size - int(counts.sum()) - ignored
    places = _places(number, len(values))
    shown = values.tolist() if len(values) <= SHOWN else [*values[: SHOWN - 2], *values[-2:]]
    return MaskFacts(
        pixels=labels.values.size - ignored,
        background=background,
        ignored=ignored,
        n_values=len(values),
        values=tuple(int(value) for value in shown),
        places=int(places.sum()),
        scattered=int(np.count_nonzero(places > 1)),
        enclosed=_count_enclosed(number),
        highest_places=int(places[-1]) if len(places) else 0,
    )


def _numbered(
    labels: NDArray[np.integer[Any]],
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], NDArray[np.int64]]:
    """The values besides 0 in order, each pixel's position among them from 1, and their pixels."""
    highest = int(labels.max(initial=0))
    if highest >= 2**20:  # numbers of objects may be as far apart as their type allows
        values, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
        first = int(values[0] == 0)
        return values[first:], number.reshape(labels.shape) + (1 - first), counts[first:]
    counts = np.bincount(labels.ravel())
    values = np.flatnonzero(counts[1:]) + 1
    position = np.zeros(highest + 1, np.min_scalar_type(len(values)))
    position[values] = np.arange(1, len(values) + 1)
    return values, position[labels], counts[values]


def _places(number: NDArray[np.integer[Any]], n_values: int) -> NDArray[np.int64]:
    """How many components each value has."""
    components = cc3d.connected_components(number.astype(np.uint32), connectivity=8)
    owner = np.zeros(int(components.max(initial=0)) + 1, np.int64)
    owner[components.ravel()] = number.ravel()
    return np.bincount(owner[1:], minlength=n_values + 1)[1:]


def _count_enclosed(number: NDArray[np.integer[Any]]) -> int:
    """Values that touch one or two others and never 0, sides of pixels counting."""
    beside = []
    for one, other in ((number[1:], number[:-1]), (number[:, 1:], number[:, :-1])):
        differ = one != other
        beside += [(one[differ], other[differ]), (other[differ], one[differ])]
    pairs = np.concatenate([np.stack(pair, axis=1) for pair in beside]).astype(np.int64)
    base = int(number.max(initial=0)) + 1
    value, neighbour = np.divmod(np.unique(pairs[:, 0] * base + pairs[:, 1]), base)
    n_neighbours = np.bincount(value, minlength=base)
    beside_background = np.bincount(value[neighbour == 0], minlength=base) > 0
    enclosed = ~beside_background & (n_neighbours > 0) & (n_neighbours <= 2)
    return int(np.count_nonzero(enclosed[1:]))
