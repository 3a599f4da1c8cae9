"""A Ray cluster: joining it, what its workers need to know, and noticing that it is gone."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lotus.engines.job import JobFailed
from lotus.engines.job_commands import available_cores, job_environment

OBJECT_STORE_BYTES = 100 * 2**20  # Only lines of text are exchanged.
# Ray ends the process by itself, in its own words, after 60 s.
PATIENCE_S = 20


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """In a cluster, which is left in the end; the caller's own connection is used and kept.

    Args:
        address: ``host:port`` of its head, or ``auto``. None: that of ``RAY_ADDRESS``, else a
            cluster of this machine alone is started and stopped.

    Raises:
        ConnectionError: There is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would put a print of its own in Python's place. Tune, which pickles what reports a trial,
    # then finds that the print in it is not Python's.
    os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {
            "address": "local",
            "num_cpus": available_cores(),
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    elif address != "auto":
        _look_for_head(address)
    try:
        ray.init(**options, logging_level="ERROR", log_to_driver=False)
    except Exception as error:  # Ray raises this very class where it does not start in time.
        line = str(error).strip().partition("\n")[0]
        raise ConnectionError(f"no Ray cluster at {options['address']}: {line}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _look_for_head(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or "/" in host:
        raise ConnectionError(f"the address of a cluster is {address}; expected HOST:PORT or auto")
    try:
        _touch(host, int(port))
    except OSError as error:
        raise ConnectionError(f"no Ray cluster at {address}: {error.strerror or error}") from error


def _touch(host: str, port: int) -> None:
    socket.create_connection((host.strip("[]"), port), timeout=5).close()


@dataclass(frozen=True)
class Workplace:
    """What a worker needs to know of the process that sends it jobs.

    Attributes:
        folder: Its working directory, which relative paths start from.
        environment: All its variables.
        marker: A file it wrote, to see whether both share a file system.
        threads: Processor threads of a job.
        gpus: GPUs of a job.
    """

    folder: Path
    environment: dict[str, str]
    marker: Path
    threads: int
    gpus: float

    def enter(self) -> dict[str, str]:
        """Go to the sender's working directory.

        Returns:
            The variables of a job's commands: the sender's, with the GPUs that Ray assigns.

        Raises:
            JobFailed: The sender's folders are not here.
        """
        if not (self.marker.is_file() and self.folder.is_dir()):
            missing = self.folder if self.marker.is_file() else self.marker.parent
            raise JobFailed(
                f"{missing} is not the same folder on {socket.gethostname()}: the working "
                "directory and the runs must lie on a file system that all machines share"
            )
        os.chdir(self.folder)
        environment = job_environment(self.environment, self.threads)
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "") if self.gpus else ""
        return {**environment, "CUDA_VISIBLE_DEVICES": devices}


@contextmanager
def workplace(folders: Sequence[Path], cpus: float, gpus: float) -> Iterator[Workplace]:
    """What workers need to know of this process.

    Args:
        folders: The run folders of their jobs. A hidden file lies beside them meanwhile.
        cpus: Cores of a job.
        gpus: GPUs of a job.
    """
    shared = Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
    shared.mkdir(parents=True, exist_ok=True)
    marker = shared / f".engine-{secrets.token_hex(8)}"
    marker.touch()
    try:
        yield Workplace(Path.cwd(), dict(os.environ), marker, max(int(cpus), 1), gpus)
    finally:
        marker.unlink(missing_ok=True)


class Lifeline:
    """Notices that the head of the cluster, or this machine's part in it, is gone."""

    def __init__(self) -> None:
        import ray

        context = ray.get_runtime_context()
        (own,) = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
        head, _, port = context.gcs_address.rpartition(":")
        self._ends = {
            (head, int(port)): "the head of the cluster",
            (own["NodeManagerAddress"], int(own["NodeManagerPort"])): "Ray on this machine",
        }
        self._answered = dict.fromkeys(self._ends, time.monotonic())
        self._looked = 0.0

    def look(self) -> None:
        """Look whether both answer, once a second at most.

        Raises:
            ConnectionError: One has not answered for 20 s.
        """
        if time.monotonic() - self._looked < 1:
            return
        self._looked = time.monotonic()
        for (host, port), name in self._ends.items():
            try:
                _touch(host, port)
            except OSError as error:
                if time.monotonic() - self._answered[host, port] > PATIENCE_S:
                    raise ConnectionError(
                        f"{name} at {host}:{port} is lost; once it is back, the same command "
                        "goes on where it stopped"
                    ) from error
            else:
                self._answered[host, port] = time.monotonic()
