"""Numbers that turn out to mean one object."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray


class UnionFind:
    """Which numbers mean one object: disjoint sets named by their smallest number.

    At first there is the background alone, number 0.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import UnionFind
        >>> same = UnionFind()
        >>> same.extend(4)
        >>> same.unite(4, 2)
        >>> same.roots(np.arange(5, dtype=np.int32)).tolist()
        [0, 1, 2, 3, 2]
    """

    def __init__(self) -> None:
        self._parent = array("i", [0])

    def __len__(self) -> int:
        """One more than the greatest number."""
        return len(self._parent)

    def extend(self, count: int) -> None:
        """Add ``count`` numbers, each an object of its own."""
        self._parent.extend(range(len(self._parent), len(self._parent) + count))

    def find(self, number: int) -> int:
        """The smallest number of the same object."""
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def unite(self, first: int, second: int) -> None:
        """Declare two numbers one object."""
        first, second = sorted((self.find(first), self.find(second)))
        self._parent[second] = first

    def roots(self, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
        """:meth:`find` for each of ``numbers`` (N,)."""
        return np.fromiter((self.find(n) for n in numbers.tolist()), np.int32, len(numbers))
