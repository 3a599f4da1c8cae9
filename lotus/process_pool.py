"""The same work on many items, in several processes where that pays."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Map(Protocol):
    """Applies a function to items, in this process or in others; results come in any order."""

    def __call__(
        self, function: Callable[[Item], Result], items: Sequence[Item], /
    ) -> Iterable[Result]:
        """Yield the result of each item."""


def in_this_process(
    function: Callable[[Item], Result], items: Sequence[Item], /
) -> Iterable[Result]:
    """Apply a function to items, one after the other."""
    return map(function, items)


def map_in_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    *,
    items_per_process: int = 1,
    chunk: int = 1,
) -> Iterator[Result]:
    """Apply a function to items; results come in the order of the items.

    Processes are started afresh rather than forked, which is safe beside threads and GPUs. Few
    items are worked on in this process. Ctrl-C is left to this process: what is being worked on is
    brought to its end.

    Args:
        function: Of a module, or a ``functools.partial`` of one.
        items: What it is applied to.
        processes: At most this many, each for at least ``items_per_process`` items.
        items_per_process: As many as take about as long as a process takes to start.
        chunk: Items that a process takes at a time.

    Yields:
        The result of each item.

    Raises:
        ValueError: Fewer than one process.
        ChildProcessError: A process was killed.

    Example:
        >>> from lotus.process_pool import map_in_processes
        >>> list(map_in_processes(abs, [-1, 2], processes=4, items_per_process=2))
        [1, 2]
    """
    if processes < 1:
        raise ValueError(f"found {processes} processes; expected at least 1")
    processes = min(processes, len(items) // items_per_process)
    if processes < 2:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _prepare_worker)
    try:
        yield from pool.map(function, items, chunksize=chunk)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process was killed, likely for lack of memory; give fewer processes"
        ) from error
    finally:
        # After an error nobody waits for what is left.
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it.

    A terminal sends Ctrl-C to all processes; one of them has to answer it. Where that one is
    killed, its workers would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)
