"""`make gpu-check` as far as a machine without a GPU goes: every way up to the device."""

import functools
import subprocess
import sys

import pytest
import torch
from benchmarks import _timing, gpu_objectives, gpu_training
from benchmarks.__main__ import GPU_PAGE, bench_names, page_of
from tools import gpu_check
from tools.markdown import section_of

from nearfar.objectives import clip, nt_xent

CPU = torch.device("cpu")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@no_gpu
def test_a_machine_without_a_gpu_is_told_in_one_line_and_the_end_is_not_0(capsys):
    done = subprocess.run(
        [sys.executable, "-m", "tools.gpu_check", "--look"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "make gpu-check needs a CUDA GPU, and torch finds none here\n"
    assert gpu_objectives.main() == gpu_training.main() == ""
    assert capsys.readouterr().out.count("needs a CUDA GPU") == 2


def test_every_bench_of_a_gpu_has_its_section():
    names = [name for name in bench_names() if page_of(name) == GPU_PAGE]
    assert names == ["gpu_objectives", "gpu_training"]
    for name in ("gpu_tests", *names):
        section_of(GPU_PAGE.read_text(), name)


@pytest.mark.filterwarnings("ignore:computed by tiles")
@pytest.mark.parametrize("kernels", [True, False])
def test_losses_are_measured_line_by_line(monkeypatch, kernels):
    monkeypatch.setattr(_timing, "WARM_UP", 0)
    monkeypatch.setattr(gpu_objectives, "timed", functools.partial(_timing.timed, rounds=1))
    monkeypatch.setattr(gpu_objectives, "find_spec", lambda name: None)
    if kernels:  # as on a GPU; here tiles stand in for them, with a warning
        monkeypatch.setattr(gpu_objectives, "why_not_triton", lambda rows, sums: None)
    before = torch.backends.cuda.matmul.fp32_precision
    lines = list(gpu_objectives.measured(64, CPU))
    assert torch.backends.cuda.matmul.fp32_precision == before
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == 7 for row in rows)
    assert all(float(row[3]) > 0 and float(row[4]) >= 0 for row in rows)
    by = [row[2] for row in rows if row[0] == "clip"]
    products = ("float32", "tf32", "bfloat16") if kernels else ()
    assert by == [
        *(f"nearfar, triton, {each}" for each in products),
        "nearfar, tiles, tf32",
        "plain torch, tf32",
    ]


def test_what_they_are_measured_against_is_the_same_loss():
    rows = torch.randn(40, 16)
    first, second = rows.chunk(2)
    ours = nt_xent(first, second, temperature=0.1)
    torch.testing.assert_close(gpu_objectives.plain_nt_xent(rows), ours)
    torch.testing.assert_close(gpu_objectives.plain_clip(rows), clip(first, second, scale=10.0))


def test_the_tests_are_told_by_their_last_line():
    told = gpu_check.section(True, "....\n== 12 passed, 3 skipped in 4.00s ==\n")
    assert "`pytest -m gpu`: 12 passed, 3 skipped in 4.00s." in told
    assert "All passed." in told
    assert "**Not all passed.**" in gpu_check.section(False, "1 failed\n")


@pytest.mark.slow
def test_a_contender_trains_and_answers():
    pytest.importorskip("torchvision")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._trainer", "32", "nearfar", "cpu", "1"],
        capture_output=True,
        text=True,
        input="again\n",
        check=True,
    )
    assert all(float(line) > 0 for line in done.stdout.split())
    assert len(done.stdout.split()) == 2
