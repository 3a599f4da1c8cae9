"""A real Ray cluster of several machines' worth of processes on this one."""

import os


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
