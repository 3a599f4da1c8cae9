"""What follows the segmentation of pores in bone: classes joined, gaps closed, islands removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.masks.block_components import BlockComponents, Read, label_in_blocks
from lotus.masks.morphology import close_with_disk


@dataclass(frozen=True)
class PoreCleaning:
    """How a label volume of bone and its pores is cleaned; 0 is what is outside the bone.

    In this order: classes become others (shade-off becomes bone), gaps of the pores are closed
    within the matrix, pores of few voxels become matrix, and whatever is not connected to the
    greatest body of bone and pores becomes background.

    Attributes:
        pores: Value of the pores.
        matrix: Value of what surrounds them.
        merged: Value of each class that becomes another one, and of that one.
        closing_radius: Of the ball in voxels; 0 closes nothing.
        minimum_size: Pores of fewer voxels (26-connected) are removed.
        keep_fragments: Whether bodies beside the greatest one stay.

    Raises:
        ValueError: Values that cannot be, or a size below 0.
    """

    pores: int = 1
    matrix: int = 3
    merged: Mapping[int, int] = field(default_factory=dict)
    closing_radius: int = 1
    minimum_size: int = 100
    keep_fragments: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if min(self.pores, self.matrix) < 1 or self.pores == self.matrix:
            raise ValueError(
                f"pores are {self.pores} and the matrix {self.matrix}; two values from 1 are "
                "expected, as 0 is outside the bone"
            )
        if min(self.closing_radius, self.minimum_size) < 0:
            raise ValueError(
                f"a closing of {self.closing_radius} voxels and pores from {self.minimum_size} "
                "voxels on; neither can be below 0"
            )
        lost = sorted(self.merged.keys() & {self.pores, self.matrix, *self.merged.values()})
        if lost:
            raise ValueError(
                f"{lost[0]} becomes {self.merged[lost[0]]}, and is what pores, matrix or another "
                "class is to be; name the class that stays"
            )


@dataclass(frozen=True)
class JoinedAndClosed:
    """Labels with classes joined and gaps closed; a block needs a margin of slices for that.

    Attributes:
        read: Gives slices of the label volume.
        depth: Number of slices.
        cleaning: What is done.
    """

    read: Read
    depth: int
    cleaning: PoreCleaning

    def __call__(self, start: int, stop: int) -> NDArray[Any]:
        """Labels (Z, Y, X) of the slices from ``start`` to before ``stop``."""
        cleaning = self.cleaning
        margin = 2 * cleaning.closing_radius
        first, last = max(start - margin, 0), min(stop + margin, self.depth)
        labels = np.array(self.read(first, last))
        for value, other in cleaning.merged.items():
            labels[labels == value] = other
        if cleaning.closing_radius:
            closed = close_with_disk(labels == cleaning.pores, cleaning.closing_radius)
            labels[closed & (labels == cleaning.matrix)] = cleaning.pores
        return labels[start - first : stop - first]


@dataclass(frozen=True)
class CleanedVolume:
    """A cleaned label volume that is made block by block, whenever it is asked for.

    Attributes:
        closed: The labels before anything was removed.
        pores: Components of the pores.
        bodies: Components of bone and pores together.
    """

    closed: JoinedAndClosed
    pores: BlockComponents
    bodies: BlockComponents

    @property
    def removed_pores(self) -> int:
        """How many pores were too small."""
        return int(np.count_nonzero(self._is_small))

    @property
    def removed_fragments(self) -> int:
        """How many bodies beside the greatest one became background."""
        return int(np.count_nonzero(~self._stays))

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where there is anything but background, (Z, Y, X); nowhere if there is none."""
        moments, stays = self.bodies.moments, self._stays
        if not stays.any():
            return (slice(0, 0),) * 3
        lower, upper = moments.lower[stays].min(axis=0), moments.upper[stays].max(axis=0)
        z, y, x = (slice(int(a), int(b)) for a, b in zip(lower, upper, strict=True))
        return z, y, x

    def blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Number of the first slice and the labels (Z, Y, X) of every block, in order."""
        cleaning = self.closed.cleaning
        is_small, goes = np.append(False, self._is_small), np.append(False, ~self._stays)
        for (start, pores), (_, bodies) in zip(
            self.pores.blocks(), self.bodies.blocks(), strict=True
        ):
            labels = self.closed(start, start + len(pores))
            labels[is_small[pores]] = cleaning.matrix
            labels[goes[bodies]] = 0
            yield start, labels

    @property
    def _is_small(self) -> NDArray[np.bool_]:
        return np.asarray(self.pores.moments.count < self.closed.cleaning.minimum_size)

    @property
    def _stays(self) -> NDArray[np.bool_]:
        count = self.bodies.moments.count
        if self.closed.cleaning.keep_fragments or not len(count):
            return np.ones(len(count), np.bool_)
        return np.asarray(np.arange(len(count)) == count.argmax())


def clean_pores(
    read: Read, depth: int, cleaning: PoreCleaning, *, block_depth: int = 64
) -> CleanedVolume:
    """Clean the labels of a volume that is read in blocks of slices.

    The result does not depend on the blocks; memory holds one of them.

    Args:
        read: ``read(start, stop)`` gives the slices (Z, Y, X) of the label volume.
        depth: Number of slices.
        cleaning: What is done.
        block_depth: Slices of a block.

    Returns:
        The cleaned volume.

    Raises:
        ValueError: A block has less than one slice.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import PoreCleaning, clean_pores
        >>> row = np.array([[[0, 3, 1, 3, 1, 2, 3, 3, 1, 0, 0, 3]]])
        >>> cleaning = PoreCleaning(merged={2: 3}, minimum_size=2)
        >>> cleaned = clean_pores(lambda a, b: row[a:b], 1, cleaning)
        >>> [labels.tolist() for _, labels in cleaned.blocks()]
        [[[[0, 3, 1, 1, 1, 3, 3, 3, 3, 0, 0, 0]]]]
        >>> cleaned.box[2], cleaned.removed_pores, cleaned.removed_fragments
        (slice(1, 9, None), 1, 1)
    """
    closed = JoinedAndClosed(read, depth, cleaning)

    def pores(start: int, stop: int) -> NDArray[np.bool_]:
        return np.asarray(closed(start, stop) == cleaning.pores)

    def bodies(start: int, stop: int) -> NDArray[np.bool_]:
        return np.asarray(closed(start, stop) != 0)

    found = label_in_blocks(pores, depth, block_depth=block_depth)
    solid = label_in_blocks(bodies, depth, block_depth=block_depth)
    return CleanedVolume(closed, found, solid)
