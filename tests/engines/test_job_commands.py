"""Commands of jobs: their variables, their run folder, and their end."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pytorch_lightning.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from lotus.engines import JobFailed, LocalEngine
from lotus.engines.job import refuse_failures
from lotus.engines.job_commands import granted_cores, job_environment, run_job
from lotus.engines.local import deal_devices
from tests.engines.clusters import search_path
from tests.engines.commands import PATIENCE_S, Command, wait_until


def test_a_job_is_not_taken_for_a_rank_of_the_allocation_it_runs_in(monkeypatch):
    variables = {
        **{"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "2"},
        **{"TORCHELASTIC_RUN_ID": "1", "RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "2"},
        **{"SLURM_NTASKS_PER_NODE": "4", "MASTER_PORT": "1", "WANDB_MODE": "offline"},
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert SLURMEnvironment.detect()
    assert TorchElasticEnvironment.detect()
    monkeypatch.setattr(os, "environ", job_environment(os.environ, 3))
    assert not SLURMEnvironment.detect()
    assert not TorchElasticEnvironment.detect()
    kept = {name: value for name, value in os.environ.items() if name in variables}
    assert kept == {"WANDB_MODE": "offline"}
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("granted", "cores"), [("1", 1), ("3", 3), ("9", 4), ("0", 1), ("", 4), ("2,1", 4)]
)
def test_a_job_has_the_cores_that_its_engine_gave_it(granted, cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    assert granted_cores() == cores


def test_a_job_runs_and_logs(tmp_path):
    job = Command(tmp_path / "job")
    begun, ended = run_job(job, os.environ)
    assert begun == "job: lotus --version"
    assert ended.startswith("job: finished in ")
    assert (job.folder / "log.txt").read_text().startswith("lotus ")


@pytest.mark.parametrize(
    ("devices", "slots", "dealt"),
    [
        ([], 2, [[], []]),
        (["7"], 3, [["7"], ["7"], ["7"]]),
        (["5", "7"], 2, [["5"], ["7"]]),
        (["5", "7"], 3, [["5"], ["7"], ["5"]]),
        (["0", "1", "2", "3"], 2, [["0", "1"], ["2", "3"]]),
        (["0", "1", "2"], 2, [["0"], ["1"]]),  # as many for each
    ],
)
def test_devices_are_dealt_evenly(devices, slots, dealt):
    assert deal_devices(devices, slots) == dealt


@pytest.mark.parametrize(
    ("visible", "processes", "seen"),
    [
        ("5,7", 1, ["5,7", "5,7"]),
        ("5,7", 2, ["5", "7"]),
        ("", 2, ["", ""]),
        ("-1", 2, ["-1", "-1"]),
    ],
)
def test_jobs_see_the_devices_of_their_slot(visible, processes, seen, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import os; print('devices', os.environ['CUDA_VISIBLE_DEVICES'], flush=True)"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path.cwd()), *sys.path]))
    jobs = [Command(tmp_path / name) for name in ("one", "two")]
    LocalEngine(processes).run(jobs, lambda line: None)
    logs = [(job.folder / "log.txt").read_text().splitlines() for job in jobs]
    assert sorted(log[0].removeprefix("devices ") for log in logs) == seen


SMALL_DISK = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
MOUNT = 'mount -t tmpfs -o size=64k tmpfs "$1"'


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run([*SMALL_DISK, MOUNT, "sh", "/mnt"], capture_output=True).returncode != 0,
    reason="a disk of its own size needs a user namespace of Linux",
)
def test_a_full_disk_under_one_job_is_named_and_the_others_finish(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys; from pathlib import Path; from lotus.engines import JobFailed, LocalEngine\n"
        "from tests.engines.commands import Command\n"
        "full, right = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "size = ('--patients', '2', '--slices', '1', '--size', '256')\n"
        "phantom = ('phantom', 'histology', '--output', str(full / 'data'), *size)\n"
        "try:\n"
        "    LocalEngine(2).run([Command(full, phantom), Command(right)])\n"
        "except JobFailed as failed:\n"
        "    print(failed)\n"
    )
    full, right = tmp_path / "full", tmp_path / "right"
    full.mkdir()
    command = (*SMALL_DISK, f'{MOUNT} && exec "$2" "$3" "$1" "$4"', "sh", full)
    done = subprocess.run(
        [*command, sys.executable, script, right],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": search_path()},
    )
    *lines, last = done.stdout.splitlines()
    assert any(line.startswith("right: finished") for line in lines), done.stderr
    assert last.startswith(f"1 of 2 jobs failed: {full}: ")
    assert "No space left on device" in last


def test_a_finished_job_is_left_alone(tmp_path):
    job = Command(tmp_path / "job", ("nonsense",), is_finished=True)
    assert list(run_job(job, os.environ)) == ["job: finished earlier"]


def test_a_folder_in_which_another_process_works_is_waited_for(tmp_path):
    job = Command(tmp_path / "job")
    job.folder.mkdir()
    with (job.folder / "log.txt").open("a+b") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        # The process that writes holds the log, even after the one that opened it is gone.
        writer = subprocess.Popen(["sleep", str(PATIENCE_S)], stdout=log)
    try:
        lines = run_job(job, os.environ)
        assert next(lines) == f"job: waits for another process that works in {job.folder}"
        stopped = run_job(job, os.environ, watch=lambda: (_ for _ in ()).throw(JobFailed("stop")))
        next(stopped)
        with pytest.raises(JobFailed, match="stop"):
            next(stopped)
    finally:
        writer.kill()
        writer.wait()
    assert next(lines) == "job: lotus --version"
    assert next(lines).startswith("job: finished")


ENDLESS = """
import pathlib, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3000)"])
pathlib.Path(sys.argv[1]).write_text(str(grandchild.pid))
time.sleep(3000)
"""
PARENT = """
import subprocess, sys
command = [sys.executable, "-m", "lotus.engines.tethered", "endless", sys.argv[1]]
child = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


def test_a_killed_parent_takes_its_command_and_its_processes_along(tmp_path):
    (tmp_path / "endless.py").write_text(ENDLESS)
    started = tmp_path / "started"
    places = os.pathsep.join([str(tmp_path), str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(started)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": places},
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    wait_until(lambda: started.is_file() and started.read_text())
    grandchild = psutil.Process(int(started.read_text()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: is_gone(child) and is_gone(grandchild))


def is_gone(process: psutil.Process) -> bool:
    """Whether it ended; one that nobody waited for is a zombie."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_ctrl_c_interrupts_running_jobs_and_starts_no_more(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys; from pathlib import Path; from lotus.engines import LocalEngine\n"
        "from tests.engines.commands import Command\n"
        "folder = Path(sys.argv[1])\n"
        "jobs = [Command(folder / name) for name in ('first', 'second')]\n"
        "LocalEngine().run(jobs, lambda line: print(line, flush=True))\n"
    )
    (tmp_path / "first").mkdir()
    with (tmp_path / "first" / "log.txt").open("a+b") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        engine = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": search_path()},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert engine.stdout is not None
        assert "first: waits" in engine.stdout.readline()
        engine.send_signal(signal.SIGINT)
        output, errors = engine.communicate(timeout=PATIENCE_S)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "second" not in output
    assert not (tmp_path / "second").exists()


def test_a_job_that_is_not_wanted_any_more_is_interrupted(tmp_path):
    job = Command(tmp_path / "job", ("phantom", "histology", "--output", str(tmp_path / "out")))

    def watch() -> None:
        if (tmp_path / "job/log.txt").exists():
            raise JobFailed("not wanted")

    lines = run_job(job, os.environ, watch)
    assert next(lines) == "job: lotus phantom"
    with pytest.raises(JobFailed, match="not wanted"):
        list(lines)
    with (job.folder / "log.txt").open("a+b") as log:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody works there any more


def test_jobs_that_failed_for_one_reason():
    jobs = [Command(Path(f"fold{number}")) for number in range(4)]
    line = "3 of 4 jobs failed: fold0, fold3: out of memory; fold1: no disk"
    with pytest.raises(JobFailed, match=f"^{line}$"):
        refuse_failures(jobs, ["out of memory", "no disk", None, "out of memory"])
