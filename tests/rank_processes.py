"""Runs a function on several ranks, each a process of its own, joined by gloo."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tests.clean_forks import FORKS

_PATIENCE_S = 120.0


def run_on_ranks(world: int, function: Callable[..., Any], folder: Path, *arguments: Any) -> list:
    """What `function(rank, world, *arguments)` gives on each rank, in the order of the ranks.

    Fails with a rank's own traceback where one fails, and where one does not come to an end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes = [
        FORKS.Process(target=_one_rank, args=(rank, world, function, folder, arguments))
        for rank in range(world)
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
    assert not errors, "\n".join(errors)
    missing = [rank for rank in range(world) if not (folder / f"result-{rank}.pt").exists()]
    assert not missing, f"ranks {missing} did not come to an end"
    return [torch.load(folder / f"result-{rank}.pt", weights_only=False) for rank in range(world)]


def _one_rank(
    rank: int, world: int, function: Callable[..., Any], folder: Path, arguments: tuple
) -> None:
    torch.set_num_threads(1)
    try:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meeting-point", rank=rank, world_size=world
        )
        result = function(rank, world, *arguments)
        dist.destroy_process_group()
        aside = folder / f"result-{rank}.aside"
        torch.save(result, aside)
        aside.rename(folder / f"result-{rank}.pt")
    except BaseException:
        (folder / f"error-{rank}.txt").write_text(f"rank {rank}:\n{traceback.format_exc()}")
        raise
