"""Loops over voxels as machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a loop by numba when it is first called; threads may run it side by side.

    The machine code is kept for the next process, unless there is nowhere to keep it.

    Args:
        loop: On NumPy arrays and numbers, without Python objects.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.compiled import compiled
        >>> @compiled
        ... def total(values):
        ...     sum = 0.0
        ...     for value in values:
        ...         sum += value
        ...     return sum
        >>> total(np.array([1.0, 2.0]))
        3.0
    """
    try:
        return cast("Loop", numba.njit(nogil=True, cache=True)(loop))
    except RuntimeError:  # Not a folder of this installation nor of this user can be written.
        return cast("Loop", numba.njit(nogil=True)(loop))
