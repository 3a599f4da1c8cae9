"""The same work on many items, in several processes where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ITEMS_PER_PROCESS = 100
"""A process takes about as long to start as to score this many images of 512 x 512 pixels."""
CHUNK = 4


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int
) -> Iterator[Result]:
    """Apply a function to items; results come in the order of the items.

    Processes are started afresh rather than forked, which is safe beside threads and GPUs. Few
    items are worked on in this process.

    Args:
        function: Of a module, or a ``functools.partial`` of one.
        items: What it is applied to.
        processes: At most this many, each for at least ``ITEMS_PER_PROCESS`` items.

    Yields:
        The result of each item.

    Raises:
        ValueError: Fewer than one process.
        ChildProcessError: A process was killed.

    Example:
        >>> from lotus.evaluation.process_pool import map_in_processes
        >>> list(map_in_processes(abs, [-1, 2], processes=4))
        [1, 2]
    """
    if processes < 1:
        raise ValueError(f"found {processes} processes; expected at least 1")
    processes = min(processes, len(items) // ITEMS_PER_PROCESS)
    if processes < 2:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    try:
        yield from pool.map(function, items, chunksize=CHUNK)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process was killed, likely for lack of memory; give fewer processes"
        ) from error
    finally:
        # After an error nobody waits for what is left.
        pool.shutdown(cancel_futures=True)
