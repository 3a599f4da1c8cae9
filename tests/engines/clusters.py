"""A real Ray cluster of several machines' worth of processes on this one."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest


def start_cluster(machines: int, **head):
    """As many raylets with one core each, and nothing of Ray that is not needed."""
    # Half a minute, as it is by default, is too short for Ray to start on a busy machine.
    os.environ.update(RAY_raylet_start_wait_time_s="300")
    from ray.cluster_utils import Cluster

    options = {
        **{"num_cpus": 1, "object_store_memory": 80 * 2**20},
        **{"include_dashboard": False, "include_log_monitor": False, "no_monitor": True},
    }
    cluster = Cluster(initialize_head=True, head_node_args={**options, **head})
    return cluster, [cluster.add_node(**options) for _ in range(machines - 1)]


def search_path() -> str:
    """`PYTHONPATH` of jobs that are to find what this process finds, the tests too."""
    return os.pathsep.join([str(Path.cwd()), *sys.path])


@contextmanager
def one_machine():
    """The address of a cluster of one machine with one core."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", search_path())
        cluster, _ = start_cluster(1)
        yield cluster.address
        cluster.shutdown()
