"""Jobs on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from lotus.engines.job import Job, JobFailed, refuse_failures
from lotus.engines.process import available_cores, job_environment, run_job


class LocalEngine:
    """Runs jobs on this machine, each command in a process of its own.

    Args:
        processes: Jobs at a time. The processor's cores are divided among them.

    Raises:
        ValueError: Fewer than one process.
    """

    def __init__(self, processes: int = 1) -> None:
        """See the class."""
        if processes < 1:
            raise ValueError(f"found {processes} processes; expected at least 1")
        self.processes = processes

    def run(self, jobs: Sequence[Job], notify: Callable[[str], None] = print) -> None:
        """Bring every job to its end; see :class:`lotus.engines.job.Engine`."""
        stopping = Event()
        with ThreadPoolExecutor(self.processes) as pool:
            try:
                reasons = list(pool.map(lambda job: self._run(job, notify, stopping), jobs))
            except KeyboardInterrupt:
                # The running jobs are interrupted too; those that wait must not start.
                stopping.set()
                pool.shutdown(cancel_futures=True)
                raise
        refuse_failures(jobs, reasons)

    def _run(self, job: Job, notify: Callable[[str], None], stopping: Event) -> str | None:
        def watch() -> None:
            if stopping.is_set():
                raise JobFailed("interrupted")

        threads = max(available_cores() // self.processes, 1)
        try:
            for line in run_job(job, job_environment(os.environ, threads), watch):
                notify(line)
        except JobFailed as failure:
            notify(f"{job.name}: failed: {failure}")
            return str(failure)
        return None
