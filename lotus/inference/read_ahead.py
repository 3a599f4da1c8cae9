"""Work that is done ahead, in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Compute the next item in a thread of its own while the current one is used.

    Args:
        items: Anything that yields; it runs in the other thread altogether.

    Yields:
        The same items in the same order; an exception appears where its item would have.
    """
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1) as thread:
        pending = thread.submit(_next_of, source)
        while item := pending.result():
            pending = thread.submit(_next_of, source)
            yield item[0]


def _next_of(source: Iterator[Item]) -> tuple[Item] | None:
    for item in source:
        return (item,)
    return None
