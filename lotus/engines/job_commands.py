"""The commands of a job, each in a process of its own, with the run folder to themselves."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO

from lotus.engines.job import Job, JobFailed
from lotus.runs import RunFolder
from lotus.runs.curves import read_curve

LOOK_S = 0.2
PROGRESS_S = 60
GRACE_S = 30

# What batch systems and launchers tell their own processes. A job that inherited it would take
# itself for one of several processes of a distributed training, and wait for the others.
_LAUNCHERS = ("SLURM_", "PMI_", "PMIX_", "OMPI_", "JSM_", "LSB_", "TORCHELASTIC_", "GROUP_")
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
_ADDRESS = ("MASTER_ADDR", "MASTER_PORT")


def job_environment(variables: Mapping[str, str], threads: int) -> dict[str, str]:
    """The variables of a job, which owns its devices whatever started the engine.

    Args:
        variables: Of the engine's own process.
        threads: Processor threads that one job may use.

    Returns:
        The same without those of SLURM, MPI and torchrun, with ``OMP_NUM_THREADS``.
    """
    kept = {
        name: value
        for name, value in variables.items()
        if not name.startswith(_LAUNCHERS) and name not in (*_RANKS, *_ADDRESS)
    }
    return {**kept, "OMP_NUM_THREADS": str(threads)}


def available_cores() -> int:
    """Processor cores that this process may use; inside an allocation not all of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def granted_cores() -> int:
    """Processor cores for the work of this process; in a job those that its engine gave it.

    Those of ``OMP_NUM_THREADS`` where that is set, as :func:`job_environment` does, and there are
    as many.
    """
    granted = os.environ.get("OMP_NUM_THREADS", "")
    available = available_cores()
    return min(max(int(granted), 1), available) if granted.isdigit() else available


def run_job(
    job: Job, environment: Mapping[str, str], watch: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Run what is left of a job; what its commands print is added to the folder's log.txt.

    The log is locked by all processes that write to it, so that two of them never train in one
    folder: not when the same command is started twice, and not when a job goes on elsewhere while
    a machine that was given up for lost still works on it.

    Args:
        job: What to run.
        environment: All variables of its commands.
        watch: Called several times a second. What it raises stops the job, as Ctrl-C would.

    Yields:
        A line when the job starts, goes on and ends.

    Raises:
        JobFailed: A command did not end well, or the folder cannot be written.
    """
    begun = time.monotonic()
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with RunFolder(job.folder).log.open("a+b") as log:
            if not _locked(log):
                yield f"{job.name}: waits for another process that works in {job.folder}"
                while not _locked(log):
                    watch()
                    time.sleep(LOOK_S)
            if job.is_finished:
                yield f"{job.name}: finished earlier"
                return
            job.begin()
            for arguments in job.commands():
                yield f"{job.name}: lotus {arguments[0]}"
                yield from _run_command(arguments, log, environment, watch, job)
            job.end()
    except OSError as error:
        raise JobFailed(f"{error.filename or job.folder}: {error.strerror or error}") from error
    yield f"{job.name}: finished in {time.monotonic() - begun:.0f} s"


def _locked(log: BinaryIO) -> bool:
    """Whether this process, and those it hands the file to, now have it to themselves."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # A file system without locks.
    return True


def _run_command(
    arguments: Sequence[str],
    log: BinaryIO,
    environment: Mapping[str, str],
    watch: Callable[[], None],
    job: Job,
) -> Generator[str, None, None]:
    """Run one `lotus` command, whose memory is given back at its end."""
    start = log.seek(0, os.SEEK_END)
    command = [sys.executable, "-m", "lotus.engines.tethered", "lotus.cli", *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=dict(environment),
        start_new_session=True,
    ) as process:
        try:
            yield from _wait(process, watch, job)
        except BaseException:
            _interrupt(process)
            raise
    if process.returncode != 0:
        raise JobFailed(f"{_last_line(log, start)} (exit status {process.returncode})")


def _wait(process: subprocess.Popen[bytes], watch: Callable[[], None], job: Job) -> Iterator[str]:
    """Yield the epoch, once a minute if it is another one."""
    said, last = time.monotonic(), _epoch(job)
    while True:
        try:
            process.wait(LOOK_S)
            return
        except subprocess.TimeoutExpired:
            watch()
        if time.monotonic() - said >= PROGRESS_S:
            said, before = time.monotonic(), last
            last = _epoch(job)
            if last != before:
                yield f"{job.name}: epoch {last}"


def _epoch(job: Job) -> int | None:
    return max(read_curve(RunFolder(job.folder).curves, "epoch"), default=None)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C for the command and its own processes; a kill if they do not listen."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(log: BinaryIO, start: int) -> str:
    log.seek(start)
    lines = log.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
