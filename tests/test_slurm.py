"""The SLURM script of docs/slurm.md: signals, exit codes, requeueing, going on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.test_docs import JUDGED_BY_NEIGHBOURS, ROOT, blocks

from nearfar.run_folder.folder import RunFolder

PATIENCE_S = 300
SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
places = map(str, range(int(os.environ["SLURM_NTASKS"])))
told = [os.environ | {{"SLURM_PROCID": place, "SLURM_LOCALID": place}} for place in places]
tasks = [subprocess.Popen(sys.argv[1:], env=each) for each in told]
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, lambda *_: None)  # SLURM tells the tasks itself
codes = [task.wait() for task in tasks]
sys.exit(max(code if code >= 0 else 128 - code for code in codes))
"""
SCONTROL = """#!/bin/bash
case $1 in
    show) echo 127.0.0.1 ;;
    requeue) echo "$2" >> requeued ;;
esac
"""
STAND_IN = """#!/bin/bash
echo "$RANK of $WORLD_SIZE, $LOCAL_RANK of $LOCAL_WORLD_SIZE: $*" >> called
for name in INT TERM USR1; do trap "exit $((128 + $(kill -l $name)))" $name; done
[ -n "$ENDS_WITH" ] && exit "$ENDS_WITH"
touch "ready-$RANK"
while :; do sleep 0.02; done
"""


class Cluster:
    """A folder with the script and the programs that it calls."""

    def __init__(self, folder: Path, words: str = "") -> None:
        self.folder = folder
        ((_, self.script),) = blocks(ROOT / "docs" / "slurm.md", "bash")
        if words:
            self.script = self.script.replace(
                "words=(simclr-digits", f"words=(simclr-digits {words}"
            )
        (folder / "bin").mkdir()
        for name, program in {"srun": SRUN, "scontrol": SCONTROL}.items():
            self.install(name, program)

    def install(self, name: str, program: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(program)
        path.chmod(0o755)

    def submit(self, **settings: str) -> subprocess.Popen:
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        told = {
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NODELIST": "here",
            "SLURM_NTASKS": "2",
            "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_CPUS_PER_TASK": "1",
        }
        return subprocess.Popen(
            ["bash", "-c", self.script],
            cwd=self.folder,
            env=os.environ | told | {"PATH": path} | settings,
            start_new_session=True,
        )

    @property
    def requeued(self) -> int:
        path = self.folder / "requeued"
        return len(path.read_text().splitlines()) if path.exists() else 0


def wait_until(true, job: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert job.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code", "requeued"), [("USR1", 138, 1), ("TERM", 143, 1), ("INT", 130, 0)]
)
def test_a_signal_ends_the_job_with_its_code_and_requeues_it(tmp_path, number, code, requeued):
    cluster = Cluster(tmp_path)
    cluster.install("nearfar", STAND_IN)
    job = cluster.submit()
    wait_until(lambda: all((tmp_path / f"ready-{rank}").exists() for rank in (0, 1)), job)
    os.killpg(job.pid, signal.Signals[f"SIG{number}"])
    assert job.wait(PATIENCE_S) == code
    assert cluster.requeued == requeued
    called = sorted((tmp_path / "called").read_text().splitlines())
    assert called == [
        f"{rank} of 2, {rank} of 2: train simclr-digits --out runs/digits" for rank in (0, 1)
    ]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_other_ends_are_the_end_and_a_run_that_is_there_is_gone_on_with(tmp_path, code):
    cluster = Cluster(tmp_path)
    cluster.install("nearfar", STAND_IN)
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    (tmp_path / "runs" / "digits" / "config.json").touch()
    assert cluster.submit(ENDS_WITH=str(code)).wait(PATIENCE_S) == code
    assert cluster.requeued == 0
    assert (tmp_path / "called").read_text().count(": train --resume runs/digits\n") == 2


@pytest.mark.slow
def test_two_ranks_are_cut_twice_and_come_to_the_end(tmp_path):
    words = ["--encoder.width", "4", "--training.device", "cpu", "--training.epochs", "16"]
    words += ["--training.knn-every", "0", *JUDGED_BY_NEIGHBOURS]
    cluster = Cluster(tmp_path, " ".join(words))
    run = RunFolder(tmp_path / "runs" / "digits")
    for job_number, (number, code) in enumerate([("USR1", 138), ("TERM", 143)], start=1):
        job = cluster.submit()
        steps = 12 * job_number
        wait_until(
            lambda steps=steps: (
                run.metrics.exists() and run.metrics.read_bytes().count(b"\n") >= steps
            ),
            job,
        )
        os.killpg(job.pid, signal.Signals[f"SIG{number}"])
        assert job.wait(PATIENCE_S) == code
        assert cluster.requeued == job_number
    assert cluster.submit().wait(PATIENCE_S) == 0
    assert cluster.requeued == 2
    steps = [record["step"] for record in run.read_metrics() if record["kind"] == "step"]
    assert steps == list(range(1, 65))
    assert len(run.read_environment()["resumed_at_steps"]) == 2
