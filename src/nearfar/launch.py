"""What torchrun says in the environment of each process. Imports nothing heavy."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nearfar.errors import NearfarError

_TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

_HEAD_START_S = 10.0
"""The first rank has it to say what is wrong; torchrun ends the others once it has."""


@dataclass(frozen=True)
class Launch:
    """Which of how many processes this one is.

    Attributes:
        rank: This process, from 0.
        ranks: Processes of the run on all machines.
        local_rank: This process among those of its machine, from 0.
        local_ranks: Processes on this machine.
    """

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    local_ranks: int = 1

    @property
    def command(self) -> str:
        """What stands before `nearfar` on the command line to launch as this one was."""
        if self.ranks == 1:
            return ""
        machines = self.ranks // self.local_ranks
        several = f"--nnodes {machines} " if machines > 1 else ""
        return f"torchrun {several}--nproc-per-node {self.local_ranks} -m "


def launched() -> Launch:
    """How this process was launched: by torchrun, or on its own."""
    if not all(name in os.environ for name in _TOLD):
        return Launch()
    rank, ranks, local_rank = (int(os.environ[name]) for name in _TOLD[:3])
    return Launch(rank, ranks, local_rank, int(os.environ.get("LOCAL_WORLD_SIZE", ranks)))


@contextmanager
def said_by_first_rank() -> Iterator[None]:
    """Errors in here are the same on every rank: the first tells them, the others leave quietly.

    They leave later: torchrun ends the first rank as soon as another has left, and on a busy
    machine the first may not even have found the error yet.
    """
    try:
        yield
    except NearfarError as error:
        if launched().rank > 0:
            time.sleep(_HEAD_START_S)
            raise SystemExit(error.exit_code) from None
        raise
