"""What an engine costs per job, and what Ray gains with two workers.

``python -m benchmarks.engines``: (a) the wall time of a job that does next to nothing, less that of
the same command by itself; (b) four one-core jobs, in turn and on Ray with two workers, against the
ideal of two.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lotus.engines import Engine, LocalEngine, RayEngine
from lotus.engines.cluster import connected

TRIVIAL = ("--version",)
# Some seconds on one core.
WORK = ("phantom", "histology", "--output", "{folder}/data", "--patients", "8", "--slices", "4")
JOBS = 4


@dataclass(frozen=True)
class Command:
    """A job of one command, in which {folder} stands for its own."""

    folder: Path
    arguments: tuple[str, ...]
    is_finished: bool = False

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    def commands(self) -> list[list[str]]:
        """The command."""
        return [[text.replace("{folder}", str(self.folder)) for text in self.arguments]]


def seconds(engine: Engine, folder: Path, arguments: tuple[str, ...], number: int) -> float:
    jobs = [Command(folder / f"{time.monotonic_ns()}", arguments) for _ in range(number)]
    begun = time.perf_counter()
    engine.run(jobs, lambda line: None)
    return time.perf_counter() - begun


def bare() -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "lotus.cli", *TRIVIAL]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print both."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        alone = statistics.median(bare() for _ in range(JOBS))
        print(f"lotus --version by itself: {alone:.2f} s")
        local, ray = LocalEngine(), RayEngine()
        print(f"local: {seconds(local, folder, TRIVIAL, JOBS) / JOBS - alone:.2f} s more per job")
        begun = time.perf_counter()
        with connected(None):
            print(f"ray: {time.perf_counter() - begun:.1f} s once to start a cluster")
            first = seconds(ray, folder, TRIVIAL, 1) - alone
            print(f"ray: {first:.2f} s more for the first job of a worker")
            again = seconds(RayEngine(cpus_per_job=2), folder, TRIVIAL, JOBS) / JOBS - alone
            print(f"ray: {again:.2f} s more per further job")
            in_turn = seconds(local, folder, WORK, JOBS)
            together = seconds(ray, folder, WORK, JOBS)
            print(
                f"{JOBS} one-core jobs: local {in_turn:.1f} s in turn, ray {together:.1f} s with "
                f"two workers: {in_turn / together:.2f} times faster, ideal 2"
            )


if __name__ == "__main__":
    main()
