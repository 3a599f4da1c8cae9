"""Where commands run their jobs or parts: `--engine` and what belongs to it, `--processes`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lotus.engines import Engine
    from lotus.engines.mapping import LocalMap, RayMap


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where jobs run.

    Args:
        parser: Parser of the command.
    """
    group = _add_places(parser, "job")
    group.add_argument(
        "--gpus-per-job", type=float, default=0, help="ray: GPUs of a job (%(default)s)"
    )


def add_map_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the parts of one command run.

    Args:
        parser: Parser of the command.
    """
    _add_places(parser, "block")


def add_processes_argument(parser: argparse.ArgumentParser) -> None:
    """Declare how many processes share the work of a command that runs on this machine alone.

    Args:
        parser: Parser of the command.
    """
    parser.add_argument(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        help="at most this many work at a time (%(default)s, the cores of this machine)",
    )


def _add_places(parser: argparse.ArgumentParser, unit: str) -> argparse._ArgumentGroup:
    group = parser.add_argument_group(f"where {unit}s run")
    group.add_argument("--engine", choices=ENGINES, default="local", help="where (%(default)s)")
    group.add_argument(
        "--processes", type=int, default=1, help=f"local: {unit}s at a time (%(default)s)"
    )
    group.add_argument(
        "--address", help="ray: HOST:PORT of the head, or auto; this machine alone by default"
    )
    group.add_argument(
        f"--cpus-per-{unit}",
        type=float,
        default=1,
        help=f"ray: cores of a {unit} (%(default)s)",
    )
    group.add_argument(
        "--retries", type=int, default=3, help=f"ray: workers a {unit} may lose (%(default)s)"
    )
    return group


def engine_of(arguments: argparse.Namespace) -> Engine:
    """The engine that was asked for.

    Args:
        arguments: Of :func:`add_engine_arguments`.

    Raises:
        ValueError: A number of processes, cores, GPUs or retries that cannot be, or no package
            of the engine.
    """
    return ENGINES[arguments.engine](arguments)


def map_of(arguments: argparse.Namespace) -> LocalMap | RayMap:
    """What applies a function to the parts of a command, where it was asked for.

    Args:
        arguments: Of :func:`add_map_arguments`, and ``output``, which they write.

    Raises:
        ValueError: A number that cannot be, or no package of the engine.
    """
    return MAPS[arguments.engine](arguments)


def _local(arguments: argparse.Namespace) -> Engine:
    from lotus.engines import LocalEngine

    return LocalEngine(arguments.processes)


def _ray(arguments: argparse.Namespace) -> Engine:
    from lotus.engines import RayEngine
    from lotus.engines.packages import need

    need("ray", extra="cluster")
    return RayEngine(
        arguments.address, arguments.cpus_per_job, arguments.gpus_per_job, arguments.retries
    )


def _local_map(arguments: argparse.Namespace) -> LocalMap:
    from lotus.engines.mapping import LocalMap

    return LocalMap(arguments.processes)


def _ray_map(arguments: argparse.Namespace) -> RayMap:
    from lotus.engines.mapping import RayMap
    from lotus.engines.packages import need

    need("ray", extra="cluster")
    return RayMap(arguments.output, arguments.address, arguments.cpus_per_block, arguments.retries)


ENGINES = {"local": _local, "ray": _ray}
MAPS: dict[str, Callable[[argparse.Namespace], LocalMap | RayMap]] = {
    "local": _local_map,
    "ray": _ray_map,
}
