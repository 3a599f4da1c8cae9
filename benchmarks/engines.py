"""What an engine costs per job, and what Ray gains with two workers.

``python -m benchmarks.engines``: (a) the wall time of a job that does next to nothing, less that of
the same command by itself; (b) four folds of a cross-validation of phantoms, each training and
testing on one core, in turn and on Ray with two workers, against the ideal of two.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lotus.engines import Engine, Job, LocalEngine, RayEngine
from lotus.engines.cluster import connected
from lotus.studies.cross_validation import CrossValidation

LOTUS = (sys.executable, "-m", "lotus.cli")
TRIVIAL = ("--version",)
PHANTOMS = ("phantom", "sr_microct", "--patients", "12", "--slices", "2", "--size", "256")
TRAINING = ("experiments/lotus/student.yaml", "experiments/lotus/brief/student.yaml")
JOBS = 4


@dataclass(frozen=True)
class Command:
    """A job of one command."""

    folder: Path
    arguments: tuple[str, ...]
    is_finished: bool = False

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    def commands(self) -> list[list[str]]:
        """The command."""
        return [[*self.arguments]]

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def end(self) -> None:
        """Nothing is to be noted."""


def trivial(folder: Path, number: int) -> list[Job]:
    return [Command(folder / f"{time.monotonic_ns()}", TRIVIAL) for _ in range(number)]


def folds(folder: Path, data: Path) -> Sequence[Job]:
    arguments = [f"--config={config}" for config in TRAINING]
    arguments += [f"--data.init_args.manifest={data}/manifest.csv"]
    # Every run makes its own cache.
    arguments += [f"--data.init_args.cache={folder}/cache", "--trainer.max_epochs=16"]
    return CrossValidation.plan(folder / "cv", arguments, JOBS, 0).jobs


def seconds(engine: Engine, jobs: Sequence[Job]) -> float:
    begun = time.perf_counter()
    engine.run(jobs, lambda line: None)
    return time.perf_counter() - begun


def bare() -> float:
    begun = time.perf_counter()
    subprocess.run([*LOTUS, *TRIVIAL], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print both."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        alone = statistics.median(bare() for _ in range(JOBS))
        print(f"lotus --version by itself: {alone:.2f} s")
        local, ray = LocalEngine(), RayEngine()
        each = seconds(local, trivial(folder, JOBS)) / JOBS - alone
        print(f"local: {each:.2f} s more per job")
        begun = time.perf_counter()
        with connected(None):
            print(f"ray: {time.perf_counter() - begun:.1f} s once to start a cluster")
            first = seconds(ray, trivial(folder, 1)) - alone
            print(f"ray: {first:.2f} s more for the first job of a worker")
            in_turn = RayEngine(cpus_per_job=2)
            again = seconds(in_turn, trivial(folder, JOBS)) / JOBS - alone
            print(f"ray: {again:.2f} s more per further job")
            data = folder / "data"
            subprocess.run([*LOTUS, *PHANTOMS, "--output", str(data)], check=True)
            together = seconds(ray, folds(folder / "ray", data))
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})  # The jobs inherit it.
        one_by_one = seconds(local, folds(folder / "local", data))
        os.sched_setaffinity(0, cores)
        print(
            f"{JOBS} folds of one core each: local {one_by_one:.1f} s in turn, ray {together:.1f} "
            f"s with two workers: {one_by_one / together:.2f} times faster, ideal 2"
        )


if __name__ == "__main__":
    main()
