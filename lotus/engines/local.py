"""Jobs on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from threading import Event, Lock

from lotus.engines.job import Job, JobFailed, refuse_failures
from lotus.engines.job_commands import available_cores, job_environment, run_job
from lotus.engines.wandb_server import go_offline_without_server


class LocalEngine:
    """Runs jobs on this machine, each command in a process of its own.

    Args:
        processes: Jobs at a time. The cores and the visible GPUs are divided among them.

    Raises:
        ValueError: Fewer than one process.
    """

    def __init__(self, processes: int = 1) -> None:
        if processes < 1:
            raise ValueError(f"found {processes} processes; expected at least 1")
        self.processes = processes

    def run(
        self,
        jobs: Sequence[Job],
        notify: Callable[[str], None] = print,
        on_end: Callable[[Job], None] = lambda job: None,
    ) -> None:
        """Bring every job to its end; see :class:`lotus.engines.job.Engine`."""
        go_offline_without_server(notify)
        stopping = Event()
        slots: SimpleQueue[Mapping[str, str]] = SimpleQueue()
        for environment in self._environments():
            slots.put(environment)

        one_at_a_time = Lock()

        def say(line: str) -> None:
            with one_at_a_time:
                notify(line)

        def run(job: Job) -> str | None:
            environment = slots.get()
            try:
                return _run(job, environment, stopping, say, on_end)
            finally:
                slots.put(environment)

        with ThreadPoolExecutor(self.processes) as pool:
            try:
                # Inside, since the first job runs while the others are handed over.
                futures = [pool.submit(run, job) for job in jobs]
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                # The running jobs are interrupted too; those that wait must not start.
                stopping.set()
                pool.shutdown(cancel_futures=True)
                raise
        refuse_failures(jobs, [future.result() for future in futures])

    def _environments(self) -> list[dict[str, str]]:
        """The variables of the jobs in each of the slots."""
        environment = job_environment(os.environ, max(available_cores() // self.processes, 1))
        if self.processes == 1:
            return [environment]
        dealt = deal_devices(visible_gpus(), self.processes)
        return [
            {**environment, "CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else environment
            for gpus in dealt
        ]


def _run(
    job: Job,
    environment: Mapping[str, str],
    stopping: Event,
    notify: Callable[[str], None],
    on_end: Callable[[Job], None],
) -> str | None:
    """Why the job failed, if it did."""

    def watch() -> None:
        if stopping.is_set():
            raise JobFailed("interrupted")

    try:
        watch()
        for line in run_job(job, environment, watch):
            notify(line)
    except JobFailed as failure:
        notify(f"{job.name}: failed: {failure}")
        return str(failure)
    try:
        on_end(job)
    except BaseException:
        stopping.set()  # before this thread takes another job
        raise
    return None


def visible_gpus() -> list[str]:
    """The GPUs of this process as ``CUDA_VISIBLE_DEVICES`` names them; none is initialised."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    from torch.cuda import device_count

    return [str(number) for number in range(device_count())]


def deal_devices(devices: Sequence[str], slots: int) -> list[list[str]]:
    """The devices of each slot: as many for every one, so that results do not depend on the slot.

    Args:
        devices: Names of all devices.
        slots: Jobs at a time.

    Returns:
        Disjoint lists where there are enough devices, else one device, shared by turns; empty
        lists if there is none.
    """
    share = max(len(devices) // slots, 1)
    starts = [slot * share % max(len(devices), 1) for slot in range(slots)]
    return [list(devices[start : start + share]) for start in starts]
