"""What it gains to average gradients while the backward pass runs: two ranks of this machine."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import timm
import torch
import torch.distributed as dist
from tools.machine import processor, versions
from torch import nn

from nearfar.methods.simclr import SimCLR
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.testing import run_on_ranks
from nearfar.training.averaging import StepAverage
from nearfar.training.ranks import Ranks

RANKS = 2
ROUNDS = 9
BATCHES = (16, 64)
"""Images on each rank."""


def steps(batch: int, ranks: Ranks) -> dict[str, Callable[[], None]]:
    """A forward and a backward pass of SimCLR on ResNet-18 at 32 px, averaged in three ways."""
    torch.manual_seed(0)
    method = SimCLR(SimCLRSpec(), timm.create_model("resnet18", num_classes=0))
    parameters = list(method.parameters())
    views = tuple(torch.randn(batch, 3, 32, 32) for _ in range(2))
    average = StepAverage(nn.Identity(), parameters, ranks)

    def apart() -> None:
        method(views).backward()

    def afterwards() -> None:
        apart()
        ranks.average([each.grad for each in parameters if each.grad is not None])

    def meanwhile() -> None:
        (loss,) = average.last_pass(method(views))
        loss.backward()
        average.finish(loss.detach())

    def step(compute: Callable[[], None]) -> Callable[[], None]:
        def taken() -> None:
            method.zero_grad()
            compute()

        return taken

    ways = {"not at all": apart, "afterwards, at once": afterwards, "meanwhile": meanwhile}
    return {name: step(way) for name, way in ways.items()}


def seconds_on_a_rank(rank: int, count: int, batch: int) -> dict[str, list[float]]:
    """Wall seconds of each way in each round; the ways take turns."""
    ways = steps(batch, Ranks(rank, count))
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, step in ways.items():
            dist.barrier()
            begun = time.perf_counter()
            step()
            dist.barrier()
            if number:  # the first warms up
                took[name].append(time.perf_counter() - begun)
    return took


@contextmanager
def busy_process():
    """A process beside them that computes without an end."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def rows(batch: int, beside: str) -> list[str]:
    """Lines of the table: median seconds, and the ratio to the exchange afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        took = run_on_ranks(RANKS, seconds_on_a_rank, Path(folder), batch)[0]
    lines = []
    for name, seconds in took.items():
        pairs = zip(seconds, took["afterwards, at once"], strict=True)
        ratios = sorted(own / flat for own, flat in pairs)
        low, _, high = statistics.quantiles(ratios, n=4)
        lines.append(
            f"| {batch} | {beside} | {name} | {statistics.median(seconds):.3f} | "
            f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}) |"
        )
    return lines


def main() -> str:
    """Measure and return the section for the page of benchmarks."""
    lines = [
        "## Gradients averaged while the backward pass runs\n",
        f"A forward and a backward pass of SimCLR on ResNet-18 (11 million weights, 32 px) on "
        f"{RANKS} ranks of one thread each, joined by gloo. The three ways take turns in "
        f"{ROUNDS} rounds; ratios are of one round, their median and quartiles. "
        f"{processor()}; {versions('torch')}.\n",
        "| images on a rank | beside | averaged | s | to afterwards |",
        "|---:|---|---|---:|---|",
    ]
    for batch in BATCHES:
        lines += rows(batch, "nothing")
        with busy_process():
            lines += rows(batch, "a busy process")
    section = "\n".join(lines) + "\n"
    print(section)
    return section


if __name__ == "__main__":
    main()
