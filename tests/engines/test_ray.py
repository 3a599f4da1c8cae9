"""Jobs on a real Ray cluster of several machines' worth of processes on this one."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import pytorch_lightning as pl
import torch

from lotus.cli import main
from lotus.commands.engine_arguments import add_engine_arguments, engine_of
from lotus.engines import JobFailed, LocalEngine, RayEngine, TrainingJob
from lotus.engines.cluster import Workplace
from tests.conftest import tiny_arguments
from tests.engines.clusters import search_path, start_cluster
from tests.engines.commands import PATIENCE_S, Command, wait_until


class HoldInSecondEpoch(pl.Callback):
    """Wait in the second epoch until somebody says go."""

    def on_train_epoch_start(self, trainer, *_):
        folder = Path(trainer.default_root_dir)
        if trainer.current_epoch == 1:
            (folder / "waiting").write_text(str(os.getpid()))
            deadline = time.monotonic() + PATIENCE_S
            while not (folder.parent / "go").exists() and time.monotonic() < deadline:
                time.sleep(0.02)


def training_job(name: str, manifest: Path, runs: Path, *more: str) -> TrainingJob:
    arguments = tiny_arguments("student", manifest, runs)
    for option in ("--run", "--runs"):
        index = arguments.index(option)
        del arguments[index : index + 2]
    hold = ("--trainer.callbacks+", "tests.engines.test_ray.HoldInSecondEpoch")
    return TrainingJob(runs, "engines", name, (*arguments[1:], *hold, *more))


def statuses(folder: Path) -> list[str]:
    invocations = json.loads((folder / "environment.json").read_text())["invocations"]
    return [f"{entry['stage']} {entry['status']}" for entry in invocations]


def same_results(found: Path, wanted: Path) -> None:
    """Curves, weights and scores are equal to the last bit."""
    for checkpoint in ("best", "last"):
        one, other = (
            torch.load(folder / f"checkpoints/{checkpoint}.ckpt", weights_only=True)["state_dict"]
            for folder in (found, wanted)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    curves = [pd.read_csv(folder / "metrics.csv") for folder in (found, wanted)]
    one, other = (table.drop(columns="step").groupby("epoch").first() for table in curves)
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert (found / "scores.csv").read_text() == (wanted / "scores.csv").read_text()


@pytest.mark.slow
def test_a_job_that_loses_its_machine_ends_elsewhere_as_if_it_had_not(
    tiny_manifest, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", search_path())
    reference = training_job("reference", tiny_manifest, tmp_path / "local")
    (reference.folder.parent).mkdir(parents=True)
    (reference.folder.parent / "go").touch()
    for command in reference.commands():
        assert main(command) == 0

    jobs = [training_job(name, tiny_manifest, tmp_path / "ray") for name in ("one", "two")]
    jobs.append(training_job("wrong", tiny_manifest, tmp_path / "ray", "--model.nonsense", "1"))
    cluster, (lost_machine,) = start_cluster(2)
    processes = []

    def lose_a_machine() -> None:
        waiting = [job.folder / "waiting" for job in jobs[:2]]
        wait_until(lambda: all(path.is_file() and path.read_text() for path in waiting))
        processes.extend(psutil.Process(int(path.read_text())) for path in waiting)
        cluster.remove_node(lost_machine, allow_graceful=False)
        # The training ends with its worker, and the worker with its machine.
        wait_until(lambda: not all(process.is_running() for process in processes))
        (jobs[0].folder.parent / "go").touch()

    accident = threading.Thread(target=lose_a_machine)
    accident.start()
    lines: list[str] = []
    try:
        with pytest.raises(JobFailed) as failed:
            RayEngine(cluster.address).run(jobs, lines.append)
    finally:
        accident.join()
        cluster.shutdown()

    assert "1 of 3 jobs failed" in str(failed.value)
    assert f"{jobs[2].folder}: lotus fit:" in str(failed.value)
    assert "nonsense" in str(failed.value)
    assert not list(tmp_path.rglob(".engine-*"))
    (loss,) = [line for line in lines if "lost its worker" in line]
    for job in jobs[:2]:
        assert f"{job.name}: lotus test" in lines
        same_results(job.folder, reference.folder)
        was_lost = loss.startswith(job.name)
        begun = ["fit running"] if was_lost else []
        assert statuses(job.folder) == [*begun, "fit finished", "test finished"]
    assert not any(process.is_running() for process in processes)

    again: list[str] = []
    RayEngine("no cluster is needed").run(jobs[:2], again.append)
    assert again == [f"engines/{name}: finished earlier" for name in ("one", "two")]


JOBS = """
import sys
from pathlib import Path
from lotus.engines import RayEngine, cluster
from tests.engines.clusters import search_path, start_cluster
from tests.engines.commands import Command
cluster.PATIENCE_S = 1
try:
    engine = RayEngine(sys.argv[1])
    engine.run([Command(Path(sys.argv[2]))], lambda line: print(line, flush=True))
except ConnectionError as error:
    print(error, flush=True)
"""
TRIALS = """
import sys
from pathlib import Path
from lotus.engines import RayEngine, cluster
from lotus.sweeps import Sweep
from lotus.sweeps.distributions import distribution_of
from lotus.sweeps.sources import ListedTrials
from lotus.sweeps.tune import run_with_tune
cluster.PATIENCE_S = 12
folder = Path(sys.argv[2]).parent
sweep = Sweep("grid", "val_dice", True, {"a": distribution_of("a", {"value": 1})}, None, None)
source = ListedTrials(sweep, folder, [], count=None, seed=0)
try:
    run_with_tune(sweep, RayEngine(sys.argv[1]), source, folder)
except ConnectionError as error:
    print(source.trials[0].state, error, flush=True)
"""


def start_driver(script: str, address: str, folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, address, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search_path()},
    )


def opened(path: Path) -> int:
    """How many processes have a file open."""
    return sum(str(path) in open_files(process) for process in psutil.process_iter())


def open_files(process: psutil.Process) -> list[str]:
    try:
        return [file.path for file in process.open_files()]
    except psutil.Error:
        return []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "name", "said_before"), [(JOBS, "job", ""), (TRIALS, "trial000", "unfinished ")]
)
def test_a_lost_head_is_said_in_one_line_and_a_new_one_finishes_the_jobs(
    script, name, said_before, tmp_path
):
    folder = tmp_path / name
    folder.mkdir()
    cluster, _ = start_cluster(1)
    address = cluster.address
    try:
        with (folder / "log.txt").open("a+b") as log:
            fcntl.flock(log, fcntl.LOCK_EX)  # so that the job waits, and is running until the end
            driver = start_driver(script, address, folder)
            wait_until(lambda: opened(folder / "log.txt") == 2)
            cluster.head_node.kill_gcs_server()
            said, errors = driver.communicate(timeout=PATIENCE_S)
    finally:
        cluster.shutdown()
    expected = f"{said_before}the head of the cluster at {address} is lost; once it is back, the "
    wanted = f"{expected}same command goes on where it stopped"
    assert said.splitlines()[-1] == wanted, (driver.returncode, errors)

    if script is JOBS:
        cluster, _ = start_cluster(1, gcs_server_port=int(address.rpartition(":")[2]))
        try:
            assert cluster.address == address
            said = start_driver(script, address, folder).communicate(timeout=PATIENCE_S)[0]
        finally:
            cluster.shutdown()
        assert said.splitlines()[-1].startswith("job: finished in ")


def test_a_machine_without_the_shared_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "marker").touch()
    variables = {"SLURM_NTASKS": "4", "CUDA_VISIBLE_DEVICES": "5", "KEY": "value"}
    place = Workplace(tmp_path, variables, tmp_path / "marker", threads=2, gpus=1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    given = {"KEY": "value", "OMP_NUM_THREADS": "2"}
    assert place.enter() == {**given, "CUDA_VISIBLE_DEVICES": "3"}
    without_gpu = Workplace(tmp_path, variables, tmp_path / "marker", threads=2, gpus=0)
    assert without_gpu.enter() == {**given, "CUDA_VISIBLE_DEVICES": ""}
    (tmp_path / "marker").unlink()
    with pytest.raises(JobFailed, match=f"{tmp_path} is not the same folder on .* shared?"):
        place.enter()


def test_where_jobs_run_is_said_on_the_command_line():
    import argparse

    parser = argparse.ArgumentParser()
    add_engine_arguments(parser)
    local = engine_of(parser.parse_args(["--processes", "2"]))
    assert isinstance(local, LocalEngine)
    assert local.processes == 2
    options = ["--engine", "ray", "--address", "head:6379", "--cpus-per-job", "4"]
    ray = engine_of(parser.parse_args([*options, "--gpus-per-job", "0.5", "--retries", "1"]))
    assert isinstance(ray, RayEngine)
    assert vars(ray) == {
        **{"address": "head:6379", "cpus_per_job": 4, "gpus_per_job": 0.5, "retries": 1}
    }
    with pytest.raises(ValueError, match="more than 0"):
        engine_of(parser.parse_args(["--engine", "ray", "--cpus-per-job", "0"]))


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["crossval", "--runs", str(tmp_path), "--run", "cv", "--engine", "ray"]) == 2
    expected = "lotus crossval: found no package ray; install 'lotus-bone[cluster]'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1: Connection refused"),
        ("ray://head:10001", "expected HOST:PORT or auto"),
    ],
)
def test_an_address_without_a_cluster_is_named(address, message, tmp_path):
    with pytest.raises(ConnectionError, match=message):
        RayEngine(address).run([Command(tmp_path / "job")])
