"""One function applied to many items, on this machine or on a Ray cluster.

Jobs are whole `lotus` commands; this is for the parts of one command that know nothing of each
other, such as slices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lotus.engines.cluster import Lifeline, Workplace, connected, workplace
from lotus.process_pool import map_in_processes

Item = TypeVar("Item")
Result = TypeVar("Result")

LOOK_S = 1.0


@dataclass(frozen=True)
class LocalMap:
    """Applies a function in processes of this machine.

    Attributes:
        processes: How many; 1 is this process itself.
    """

    processes: int = 1

    def __call__(
        self, function: Callable[[Item], Result], items: Sequence[Item], /
    ) -> Iterator[Result]:
        """Yield the result of each item.

        Raises:
            ValueError: Fewer than one process.
            ChildProcessError: A process was killed.
        """
        return map_in_processes(function, items, self.processes)


@dataclass(frozen=True)
class RayMap:
    """Applies a function in tasks of a Ray cluster; see :class:`~lotus.engines.RayEngine`.

    Attributes:
        folder: What is written; all machines must share its file system.
        address: ``host:port`` of a cluster's head, or ``auto``. None: that of ``RAY_ADDRESS``, else
            a cluster of this machine alone for the time being.
        cpus: Cores that an item occupies.
        retries: How often an item may lose its worker.
    """

    folder: Path
    address: str | None = None
    cpus: float = 1
    retries: int = 3

    def __call__(
        self, function: Callable[[Item], Result], items: Sequence[Item], /
    ) -> Iterator[Result]:
        """Yield the result of each item as it comes.

        Raises:
            ConnectionError: There is no cluster at the address, or its head is lost.
            ChildProcessError: An item lost its worker too often.
        """
        if self.cpus <= 0 or self.retries < 0:
            raise ValueError(
                f"found {self.cpus:g} cores and {self.retries} retries; expected more than 0, and "
                "at least 0"
            )
        if items:
            with connected(self.address), workplace([self.folder], self.cpus, 0) as place:
                yield from self._apply(function, items, place)

    def _apply(
        self, function: Callable[[Item], Result], items: Sequence[Item], place: Workplace
    ) -> Iterator[Result]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        task = ray.remote(num_cpus=self.cpus, max_retries=self.retries)(_in_workplace)
        lifeline = Lifeline()
        running = [task.remote(function, item, place) for item in items]
        while running:
            lifeline.look()
            ended, running = ray.wait(running, timeout=LOOK_S)
            try:
                yield from ray.get(ended)
            except RayTaskError as error:
                raise error.cause from error
            except RayError as error:
                raise ChildProcessError(
                    f"a worker was lost more than {self.retries} times: "
                    f"{' '.join(str(error).split()).partition('. ')[0]}"
                ) from error


def _in_workplace(function: Callable[[Item], Result], item: Item, place: Workplace) -> Result:
    place.enter()
    return function(item)
