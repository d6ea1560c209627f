"""Runs a function on ranks that are told of each other as torchrun tells them."""

import os
import time
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

from nearfar.errors import NearfarError
from nearfar.testing.rank_processes import FORKS
from nearfar.training.ranks import joined_ranks

PATIENCE_S = 180


def environment(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What torchrun tells a process; the store is the launcher's, here the test's."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }


def in_child(rank: int, ranks: int, port: int, act, folder: Path) -> None:
    os.environ.update(environment(rank, ranks, port))
    torch.set_num_threads(1)
    told = folder / f"told-{rank}"
    try:
        with joined_ranks() as joined:
            act(joined)
        assert not dist.is_initialized()
    except NearfarError as error:
        told.write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(error.exit_code) from None
    except Exception:
        told.write_text(traceback.format_exc())
        raise SystemExit(1) from None


def end_of(act, folder: Path, ranks: int = 2) -> tuple[list[int], list[str]]:
    """Exit code of each rank, and what was told."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    processes = [
        FORKS.Process(target=in_child, args=(rank, ranks, store.port, act, folder))
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    end = time.monotonic() + PATIENCE_S
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    stuck = [process for process in processes if process.exitcode is None]
    for process in stuck:
        process.kill()
    assert not stuck
    told = [path.read_text() for path in sorted(folder.glob("told-*"))]
    return [process.exitcode for process in processes], told
