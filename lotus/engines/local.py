"""Jobs on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lotus.engines.job import LOG, JobFailed, TrainingJob, run_command


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

    def run(self, jobs: Sequence[TrainingJob], notify: Callable[[str], None] = print) -> None:
        """Bring every job to its end; finished ones are not run again.

        Args:
            jobs: What to run.
            notify: Gets a line when a job starts and when it ends.

        Raises:
            JobFailed: After all others were run, if jobs failed; names each and its reason.
        """
        with ThreadPoolExecutor(self.processes) as pool:
            try:
                reasons = list(pool.map(lambda job: self._run(job, notify), jobs))
            except KeyboardInterrupt:
                # The running jobs were interrupted too; those that wait must not start.
                pool.shutdown(cancel_futures=True)
                raise
        failed = [f"{job.folder}: {why}" for job, why in zip(jobs, reasons, strict=True) if why]
        if failed:
            raise JobFailed(f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}")

    def _run(self, job: TrainingJob, notify: Callable[[str], None]) -> str | None:
        if job.is_finished:
            notify(f"{job.name}: finished earlier")
            return None
        begun = time.monotonic()
        threads = max((os.cpu_count() or 1) // self.processes, 1)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        for arguments in job.commands():
            notify(f"{job.name}: lotus {arguments[0]}")
            reason = run_command(arguments, job.folder / LOG, environment)
            if reason is not None:
                notify(f"{job.name}: failed: {reason}")
                return reason
        notify(f"{job.name}: finished in {time.monotonic() - begun:.0f} s")
        return None
