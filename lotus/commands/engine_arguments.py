"""`--engine` and what belongs to it, for every command that runs many jobs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lotus.engines import Engine


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where jobs run.

    Args:
        parser: Parser of the command.
    """
    group = parser.add_argument_group("where jobs run")
    group.add_argument("--engine", choices=ENGINES, default="local", help="where (%(default)s)")
    group.add_argument(
        "--processes", type=int, default=1, help="local: jobs at a time (%(default)s)"
    )
    group.add_argument(
        "--address", help="ray: HOST:PORT of the head, or auto; this machine alone by default"
    )
    group.add_argument(
        "--cpus-per-job", type=float, default=1, help="ray: cores of a job (%(default)s)"
    )
    group.add_argument(
        "--gpus-per-job", type=float, default=0, help="ray: GPUs of a job (%(default)s)"
    )
    group.add_argument(
        "--retries", type=int, default=3, help="ray: workers a job may lose (%(default)s)"
    )


def engine_of(arguments: argparse.Namespace) -> Engine:
    """The engine that was asked for.

    Args:
        arguments: Of :func:`add_engine_arguments`.

    Raises:
        ValueError: A number of processes, cores, GPUs or retries that cannot be, or no package
            of the engine.
    """
    return ENGINES[arguments.engine](arguments)


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


ENGINES = {"local": _local, "ray": _ray}
