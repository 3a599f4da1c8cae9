"""Jobs on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lotus.engines.cluster import Lifeline, Workplace, connected, workplace
from lotus.engines.job import Job, refuse_failures
from lotus.engines.job_commands import run_job
from lotus.engines.wandb_server import go_offline_without_server

LOOK_S = 1.0


class RayEngine:
    """Runs jobs as tasks of a Ray cluster, each command in a process of its own.

    All machines need the same Python environment at the same path, and a shared file system for
    the working directory, the data and the runs. A job whose machine or worker is lost goes on
    elsewhere from its last checkpoint; one that fails by itself is not tried again.

    Args:
        address: ``host:port`` of a cluster's head, or ``auto`` for the one this machine is in.
            None: that of ``RAY_ADDRESS``, else a cluster of this machine alone for the time being.
        cpus_per_job: Cores that a job occupies.
        gpus_per_job: GPUs that a job occupies; half of one where two jobs share it.
        retries: How often a job may lose its worker.

    Raises:
        ValueError: No core, or a negative number.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus_per_job: float = 1,
        gpus_per_job: float = 0,
        retries: int = 3,
    ) -> None:
        if cpus_per_job <= 0 or min(gpus_per_job, retries) < 0:
            raise ValueError(
                f"found {cpus_per_job:g} cores and {gpus_per_job:g} GPUs per job and {retries} "
                "retries; expected more than 0, and at least 0"
            )
        self.address = address
        self.cpus_per_job = cpus_per_job
        self.gpus_per_job = gpus_per_job
        self.retries = retries

    def run(
        self,
        jobs: Sequence[Job],
        notify: Callable[[str], None] = print,
        on_end: Callable[[Job], None] = lambda job: None,
    ) -> None:
        """Bring every job to its end; see :class:`lotus.engines.job.Engine`.

        Raises:
            JobFailed: As there.
            ConnectionError: There is no cluster at the address, or its head is lost.
        """
        left = [job for job in jobs if not job.is_finished]
        for job in jobs:
            if job not in left:
                notify(f"{job.name}: finished earlier")
                on_end(job)
        if not left:
            return
        go_offline_without_server(notify)
        folders = [job.folder for job in left]
        with (
            connected(self.address),
            workplace(folders, self.cpus_per_job, self.gpus_per_job) as place,
        ):
            self.look_for_room(notify)
            reasons = self._run_all(left, place, notify, on_end)
        refuse_failures(jobs, [reasons.get(job.folder) for job in jobs])

    def look_for_room(self, notify: Callable[[str], None]) -> None:
        """Say so if no machine of the cluster has what a job needs.

        Args:
            notify: Gets the line.
        """
        import ray

        wanted = {"CPU": self.cpus_per_job, "GPU": self.gpus_per_job}
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(has.get(name, 0) >= n for name, n in wanted.items()) for has in machines):
            found = [f"{has.get('CPU', 0):g} cores, {has.get('GPU', 0):g} GPUs" for has in machines]
            notify(
                f"waits for a machine with {self.cpus_per_job:g} cores and {self.gpus_per_job:g} "
                f"GPUs; the cluster has: {'; '.join(found) or 'none'}"
            )

    def _run_all(
        self,
        jobs: Sequence[Job],
        place: Workplace,
        notify: Callable[[str], None],
        on_end: Callable[[Job], None],
    ) -> dict[Any, str]:
        """Why jobs failed, by their folders."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        # Ray's own retries would say nothing.
        task = ray.remote(num_cpus=self.cpus_per_job, num_gpus=self.gpus_per_job, max_retries=0)(
            _work
        )
        lifeline = Lifeline()
        lost = dict.fromkeys((job.folder for job in jobs), 0)
        reasons = {}
        running = {task.remote(job, place): job for job in jobs}
        while running:
            lifeline.look()
            for stream in ray.wait([*running], timeout=LOOK_S)[0]:
                job = running.pop(stream)
                try:
                    notify(ray.get(next(stream)))
                    running[stream] = job
                except StopIteration:
                    on_end(job)
                except RayTaskError as error:
                    reasons[job.folder] = str(error.cause)
                    notify(f"{job.name}: failed: {error.cause}")
                except RayError as error:
                    lost[job.folder] += 1
                    why = _first_sentence(error)
                    if lost[job.folder] > self.retries:
                        reasons[job.folder] = f"lost its worker {lost[job.folder]} times: {why}"
                        notify(f"{job.name}: failed: {reasons[job.folder]}")
                    else:
                        notify(f"{job.name}: lost its worker, and goes on when there is one: {why}")
                        running[task.remote(job, place)] = job
        return reasons


def _work(job: Job, place: Workplace) -> Iterator[str]:
    """A job on a worker; yields its lines while it runs."""
    yield from run_job(job, place.enter())


def _first_sentence(error: BaseException) -> str:
    return " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
