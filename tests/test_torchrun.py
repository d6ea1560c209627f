"""The command line under the real torchrun, with two processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.uses.tiny_encoder import write_encoder

from nearfar.run_folder.folder import RunFolder

pytestmark = pytest.mark.slow
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "nearfar"]
QUICK = ["train", "simclr-digits", "--encoder.width", "4", "--training.device", "cpu"]
QUICK += ["--evaluation.knn.votes", "5", "0.1", "--evaluation.few-labels.labels-per-class", "1"]
QUICK += ["--evaluation.few-labels.draws", "2", "--training.knn-every", "0"]
LONG = [*QUICK, "--training.epochs", "40", "--training.schedule.warmup-share", "0.025"]
SHORTER = [*QUICK, "--training.epochs", "12", "--training.schedule.warmup-share", "0.1"]
PATIENCE_S = 120


def start(folder: Path, *words: str, **settings: str) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | settings
    return subprocess.Popen(
        [*TORCHRUN, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(errors: str) -> list[str]:
    """The project's own lines among those of torchrun."""
    return [line for line in errors.splitlines() if line.startswith("nearfar: ")]


def wait_for_steps(run: Path, process: subprocess.Popen, steps: int) -> None:
    metrics, end = run / "metrics.jsonl", time.monotonic() + PATIENCE_S
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= steps):
        if process.poll() is not None:
            pytest.fail(process.communicate()[1])
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_ranks_embed_the_file_of_one(tmp_path):
    write_encoder(tmp_path / "encoder", head=True)
    words = ["embed", "encoder", "--data", "digits", "--output", "embedding"]
    process = start(tmp_path, *words, "--out", "two.npy")
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert printed.count("5 numbers of the embedding each") == 1
    alone = [sys.executable, "-m", "nearfar", *words, "--out", "one.npy"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(alone, cwd=tmp_path, env=environment, check=True, capture_output=True)
    for name in ("{}.npy", "{}.rows.npz"):
        one, two = (tmp_path / name.format(which) for which in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_two_ranks_train_an_encoder_and_one_of_them_judges_it(tmp_path):
    process = start(tmp_path, *QUICK, "--training.epochs", "1", "--out", "run")
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert printed.count("report: run/report.html") == 1
    assert printed.count("recipe  ") == 1
    run = RunFolder(tmp_path / "run")
    assert run.read_environment()["ranks"] == 2
    assert [record["step"] for record in run.read_metrics()] == list(range(1, 5))
    assert run.encoder_weights.exists()
    assert any(record["protocol"] == "knn" for record in run.read_evaluation())


def test_a_run_stopped_and_resumed_under_torchrun_ends_with_the_same_weights(tmp_path):
    process = start(tmp_path, *LONG, "--out", "whole")
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    process = start(tmp_path, *LONG, "--out", "cut")
    wait_for_steps(tmp_path / "cut", process, 20)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert len(told(errors)) == 1
    command = "torchrun --nproc-per-node 2 -m nearfar train --resume cut"
    assert told(errors)[0].endswith(f"all saved: go on with `{command}`")
    process = start(tmp_path, "train", "--resume", "cut")
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    cut, whole = (load_file(tmp_path / run / "encoder.safetensors") for run in ("cut", "whole"))
    assert cut.keys() == whole.keys()
    assert all(cut[name].equal(whole[name]) for name in whole)


def pid_of_rank(rank: int, launcher: subprocess.Popen) -> int:
    """The process that torchrun launched as this rank."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    for child in children:
        if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            return int(child)
    raise AssertionError(f"no rank {rank} among {children}")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the rank in /proc")
def test_a_killed_rank_ends_the_run_in_one_line(tmp_path):
    process = start(tmp_path, *LONG, "--out", "run")
    wait_for_steps(tmp_path / "run", process, 8)
    os.kill(pid_of_rank(1, process), signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert len(told(errors)) == 1
    assert "rank 0 lost another rank" in told(errors)[0]


def said_line(process: subprocess.Popen, words: str) -> str:
    """The next line of standard error that holds these words."""
    end = time.monotonic() + PATIENCE_S
    for line in process.stderr:
        if words in line:
            return line
        assert time.monotonic() < end
    pytest.fail(f"{words!r} was not said")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the rank in /proc")
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_rank_is_named_and_the_run_goes_on_when_it_does(tmp_path, stopped):
    process = start(tmp_path, *SHORTER, "--out", "run", NEARFAR_PATIENCE_MINUTES="0.4")
    wait_for_steps(tmp_path / "run", process, 8)
    pid = pid_of_rank(stopped, process)
    os.kill(pid, signal.SIGSTOP)
    try:
        line = said_line(process, "has given no sign")
        assert line.startswith(f"nearfar: rank {stopped} has given no sign for 1")  # 12 s or so
    finally:
        os.kill(pid, signal.SIGCONT)
    said_line(process, f"rank {stopped} is back")
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert printed.count("report: run/report.html") == 1
    assert told(errors) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the rank in /proc")
def test_a_rank_that_stays_stopped_is_given_up_after_it_was_named(tmp_path):
    process = start(tmp_path, *SHORTER, "--out", "run", NEARFAR_PATIENCE_MINUTES="0.25")
    wait_for_steps(tmp_path / "run", process, 8)
    pid = pid_of_rank(1, process)
    os.kill(pid, signal.SIGSTOP)
    said_line(process, "rank 1 has given no sign")
    said_line(process, "rank 0 lost another rank, which died or did not answer within 0.25 minutes")
    os.kill(pid, signal.SIGCONT)  # torchrun's SIGTERM reaches it now
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--training.batch-size", "255"], "training.batch_size is 255: it must be shared evenly"),
        (["--training.epoch", "3"], "unknown"),
        (["--training.batch-size", "2000"], "at most the number of training images"),
    ],
)
def test_a_wrong_setting_is_told_once(tmp_path, words, message):
    process = start(tmp_path, *QUICK, *words, "--out", "run")
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert len(told(errors)) == 1
    assert message in told(errors)[0]
    assert not (tmp_path / "run").exists()
