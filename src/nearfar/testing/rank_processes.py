"""Run a function on several ranks of this machine, each a process of its own, joined by gloo."""

import multiprocessing
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

_PATIENCE_S = 120.0

FORKS = multiprocessing.get_context("forkserver")
"""Processes forked from one that has loaded torch, so that each starts in milliseconds.

Forking from the caller's own process would copy its threads.
"""
FORKS.set_forkserver_preload(  # a module that is not installed is passed over
    [
        "pytest",
        "torch._dynamo",  # torch.optim imports it when an optimiser is made
        "nearfar.testing",
        "nearfar.methods.simclr",
        "nearfar.encoders.resnets",
        "nearfar.views.random_views",
    ]
)


def run_on_ranks(
    count: int, function: Callable[..., Any], folder: Path, *arguments: Any
) -> list[Any]:
    """What `function(rank, count, *arguments)` gives on each rank, in the order of the ranks.

    Args:
        count: How many ranks.
        function: Of a module that other processes can import; likewise what is in the arguments.
        folder: Empty, or not there yet; the ranks meet in it.
        arguments: The same for every rank.

    Raises:
        AssertionError: A rank failed, and the message is its traceback; or one does not end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes = [
        FORKS.Process(target=_one_rank, args=(rank, count, function, folder, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    end = time.monotonic() + _PATIENCE_S
    while any(process.exitcode is None for process in processes):
        failed = [rank for rank, process in enumerate(processes) if process.exitcode]
        if failed or time.monotonic() > end:
            break
        time.sleep(0.01)
    for process in processes:
        process.kill()
        process.join()
    errors = [path.read_text() for path in sorted(folder.glob("error-*.txt"))]
    if errors:
        raise AssertionError("\n".join(errors))
    missing = [rank for rank in range(count) if not (folder / f"result-{rank}.pt").exists()]
    if missing:
        raise AssertionError(f"ranks {missing} did not come to an end")
    return [torch.load(folder / f"result-{rank}.pt", weights_only=False) for rank in range(count)]


def _one_rank(
    rank: int, count: int, function: Callable[..., Any], folder: Path, arguments: tuple
) -> None:
    torch.set_num_threads(1)
    try:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meeting-point", rank=rank, world_size=count
        )
        result = function(rank, count, *arguments)
        dist.destroy_process_group()
        aside = folder / f"result-{rank}.aside"
        torch.save(result, aside)
        aside.rename(folder / f"result-{rank}.pt")
    except BaseException:
        (folder / f"error-{rank}.txt").write_text(f"rank {rank}:\n{traceback.format_exc()}")
        raise
