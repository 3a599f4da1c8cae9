"""What the values in a mask's file stand for."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lotus.masks.components import connected_components

MaskKind = Literal["instances", "semantic", "binary"]
"""What the values of a mask mean: an object each, a class each, or object and background."""

_BACKGROUND, _IGNORE, _BINARISE = "background", "ignore", "binarise-at"
_WORD = re.compile(r"([^\s=]+)=(\d+(?:\.\d+)?)")


class Labels(NamedTuple):
    """A mask in the usual values.

    Attributes:
        values: Whole numbers (Y, X): 0 background, 1, 2, … classes or objects.
        ignored: Bool (Y, X), where nothing is known and the value is 0; None if nowhere.
    """

    values: NDArray[np.integer[Any]]
    ignored: NDArray[np.bool_] | None


@dataclass(frozen=True)
class MaskValues:
    """What the values of a mask stand for. The usual: 0 is background, and nothing is ignored.

    Attributes:
        background: Value of the background; None if nobody said, which is 0.
        objects: Names and values of the classes 1, 2, …; empty where all values but the
            background's are what they are, numbers of classes or objects.
        ignore: Value of the pixels of which nothing is known; None if there are none.
        binarise_at: A pixel is object from this value on; None where values are numbers.

    Raises:
        ValueError: One value or name for two things, or a threshold of 0 or with names beside it.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import MaskValues
        >>> values = MaskValues.parse("background=1 object=2 ignore=255")
        >>> values.apply(np.array([[1, 2, 255]], np.uint8))
        Labels(values=array([[0, 1, 0]], dtype=uint8), ignored=array([[False, False,  True]]))
    """

    background: int | None = None
    objects: tuple[tuple[str, int], ...] = ()
    ignore: int | None = None
    binarise_at: float | None = None

    def __post_init__(self) -> None:
        """Check that the values do not contradict each other."""
        background = 0 if self.objects and self.background is None else self.background
        numbers = [background, self.ignore, *(value for _, value in self.objects)]
        things = [*numbers, *(name for name, _ in self.objects)]
        taken = Counter(thing for thing in things if thing is not None)
        if twice := [thing for thing, count in taken.items() if count > 1]:
            raise ValueError(f"'{self}' gives {twice[0]} two meanings; expected one")
        if self.binarise_at is not None and (
            self.binarise_at <= 0 or self.objects or self.background is not None
        ):
            raise ValueError(
                f"'{self}' has no threshold above 0 that stands alone; expected e.g. "
                f"{_BINARISE}=128, and names without it"
            )

    @classmethod
    def parse(cls, text: str) -> MaskValues:
        """Read what :meth:`__str__` writes.

        Args:
            text: ``NAME=VALUE`` and so on with blanks between them; ``background``, ``ignore`` and
                ``binarise-at`` have a meaning, all other names are those of classes.

        Raises:
            ValueError: Something else.
        """
        given: dict[str, str] = {}
        for word in text.split():
            found = _WORD.fullmatch(word)
            if found is None or found[1] in given or ("." in found[2] and found[1] != _BINARISE):
                raise ValueError(
                    f"found '{word}' in '{text}'; expected NAME=VALUE once per name, with whole "
                    "numbers from 0 up, such as background=1 object=2 ignore=255"
                )
            given[found[1]] = found[2]
        background, ignore = (given.pop(name, None) for name in (_BACKGROUND, _IGNORE))
        threshold = given.pop(_BINARISE, None)
        return cls(
            background=None if background is None else int(background),
            objects=tuple((name, int(value)) for name, value in given.items()),
            ignore=None if ignore is None else int(ignore),
            binarise_at=None if threshold is None else float(threshold),
        )

    def __str__(self) -> str:
        """``NAME=VALUE`` and so on, as a manifest has it; empty for the usual."""
        named = ((_BACKGROUND, self.background), *self.objects, (_IGNORE, self.ignore))
        words = [f"{name}={value}" for name, value in named if value is not None]
        words += [] if self.binarise_at is None else [f"{_BINARISE}={self.binarise_at:g}"]
        return " ".join(words)

    @property
    def are_said(self) -> bool:
        """Whether somebody said which values are background and object: there is no doubt then."""
        return self.background is not None or bool(self.objects) or self.binarise_at is not None

    @property
    def kind(self) -> MaskKind | None:
        """The kind of mask that they are of; None if that is open."""
        if len(self.objects) > 1:
            return "semantic"
        return "binary" if self.objects or self.binarise_at is not None else None

    def check_kind(self, kind: MaskKind) -> None:
        """Refuse a kind of mask that these values cannot be of.

        Raises:
            ValueError: Classes with names in a mask without classes, or a threshold in one with.
        """
        of_one_class = self.kind == "binary" and self.binarise_at is None
        if self.kind not in (None, kind) and not (of_one_class and kind == "semantic"):
            raise ValueError(f"'{self}' makes {self.kind} masks; found the kind {kind}")

    def apply(self, stored: NDArray[Any]) -> Labels:
        """Turn the values of a file into the usual ones.

        Args:
            stored: (Y, X), whole numbers from 0 up; any numbers where there is a threshold.

        Returns:
            The mask; its values are the stored ones where nothing else is said.

        Raises:
            ValueError: There are names, and the file holds a value without one.
        """
        ignored = None if self.ignore is None else stored == self.ignore
        if self.binarise_at is not None:
            values = (stored >= self.binarise_at).astype(np.uint8)
        elif self.objects:
            values = self._numbered(stored, ignored)
        elif self.background:
            # A 0 that is not the background gets the number that is free.
            swapped = np.where(stored == 0, self.background, stored)
            values = np.where(stored == self.background, 0, swapped)
        else:
            values = stored
        if ignored is None or not ignored.any():
            return Labels(values, None)
        return Labels(np.where(ignored, 0, values), ignored)

    def _numbered(
        self, stored: NDArray[Any], ignored: NDArray[np.bool_] | None
    ) -> NDArray[np.uint8]:
        """The number of each pixel's class, in the order of the names."""
        values = np.zeros(stored.shape, np.min_scalar_type(len(self.objects)))
        named = stored == (self.background or 0)
        for number, (_, value) in enumerate(self.objects, start=1):
            here = stored == value
            values[here] = number
            named |= here
        unnamed = ~named if ignored is None else ~(named | ignored)
        if unnamed.any():
            raise ValueError(
                f"found the value {stored[unnamed][0]}, which '{self}' does not name; expected a "
                "meaning for every value"
            )
        return values


USUAL_VALUES = MaskValues()
"""0 is background, all else is not, and nothing is ignored."""


def classes_and_objects(
    values: NDArray[np.integer[Any]], kind: MaskKind
) -> tuple[NDArray[np.integer[Any] | np.bool_], NDArray[np.integer[Any]]]:
    """What a mask in the usual values says of each pixel.

    Args:
        values: (Y, X), see :class:`Labels`.
        kind: What they mean.

    Returns:
        Class and object of each pixel (Y, X), 0 is background; objects of masks that do not number
        them are the 8-connected components of the foreground.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import classes_and_objects
        >>> classes, objects = classes_and_objects(np.array([[2, 0, 7]]), "binary")
        >>> classes.tolist(), objects.tolist()
        ([[True, False, True]], [[1, 0, 2]])
    """
    classes = values if kind == "semantic" else values > 0
    return classes, values if kind == "instances" else connected_components(values > 0)
