"""Jobs in the test's own process, where the process is not what a test is about."""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from lotus.cli import main
from lotus.commands.engine_arguments import ENGINES
from lotus.engines import Engine, Job, JobFailed
from lotus.engines.job import refuse_failures
from lotus.engines.job_commands import available_cores
from lotus.engines.wandb_server import go_offline_without_server
from lotus.runs import RunFolder


class InProcessEngine:
    """Runs one job after the other without starting Python, and importing Lightning, for each."""

    def run(
        self,
        jobs: Sequence[Job],
        notify: Callable[[str], None] = print,
        on_end: Callable[[Job], None] = lambda job: None,
    ) -> None:
        """Bring every job to its end; see `lotus.engines.job.Engine`."""
        go_offline_without_server(notify)
        reasons = []
        for job in jobs:
            try:
                _run(job, notify)
            except (JobFailed, OSError) as error:
                failure = reason_of(error)
                notify(f"{job.name}: failed: {failure}")
                reasons.append(failure)
            else:
                on_end(job)
                reasons.append("")
        refuse_failures(jobs, reasons)


def reason_of(error: JobFailed | OSError) -> str:
    """As one line without the number of the error."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)


@contextmanager
def threads() -> Iterator[None]:
    """As many as `LocalEngine` gives to one job at a time; weights depend on it in the last bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(available_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(job: Job, notify: Callable[[str], None]) -> None:
    if job.is_finished:
        notify(f"{job.name}: finished earlier")
        return
    begun = time.monotonic()
    job.folder.mkdir(parents=True, exist_ok=True)
    log = RunFolder(job.folder).log
    log.touch()
    job.begin()
    for arguments in job.commands():
        notify(f"{job.name}: lotus {arguments[0]}")
        with log.open("a") as output, redirect_stdout(output), redirect_stderr(output), threads():
            status = main(arguments)
        if status:
            last = log.read_text().rstrip().rpartition("\n")[2].strip()
            raise JobFailed(f"{last} (exit status {status})")
    job.end()
    notify(f"{job.name}: finished in {time.monotonic() - begun:.0f} s")


def _in_process(arguments: argparse.Namespace) -> Engine:
    return InProcessEngine()


ENGINES["in-process"] = _in_process
IN_PROCESS = ("--engine", "in-process")
