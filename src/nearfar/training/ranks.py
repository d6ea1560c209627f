"""The processes that train together: what they exchange, and how they stop together.

Every rank holds the whole method, embeds its own rows of the global batch, computes the whole loss
from the rows of all (`similarity.gathering`), and averages its gradients with the others'
(`training.averaging`). So all ranks take the same step, and what one saves is the state of all.
"""

import contextlib
import datetime
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import Store, TCPStore  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.rendezvous import rendezvous

from nearfar.bounds import check_range
from nearfar.errors import NearfarError, SettingError
from nearfar.launch import launched
from nearfar.outside_text import first_line
from nearfar.training.interruption import heard_out
from nearfar.training.watching import (
    MISSING_SECONDS,
    ended_with_launcher,
    missing_ranks_named,
)

T = TypeVar("T")

PATIENCE_SETTING = "NEARFAR_PATIENCE_MINUTES"
_PATIENCE_MINUTES = 30  # a kNN check or a download by the first takes minutes
_LONGEST_PATIENCE = 10_080  # a week


def patience() -> datetime.timedelta:
    """How long a rank waits for the others; `NEARFAR_PATIENCE_MINUTES` changes it.

    Raises:
        SettingError: It is no number of minutes.
    """
    given = os.environ.get(PATIENCE_SETTING, str(_PATIENCE_MINUTES))
    try:
        minutes = float(given)
    except ValueError:
        raise SettingError(f"{PATIENCE_SETTING} is {given!r}: a number of minutes") from None
    check_range(PATIENCE_SETTING, minutes, 0.1, _LONGEST_PATIENCE)
    return datetime.timedelta(minutes=minutes)


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run. Alone, nothing is exchanged.

    Attributes:
        rank: Which one this is, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def now(cls) -> "Ranks":
        """Those of torch's process group, or this process alone where there is none."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this rank is the one that writes, speaks and judges."""
        return self.rank == 0

    def gather(self, thing: T) -> list[T]:
        """What each rank gives, in the order of the ranks, on every rank; small things only."""
        if self.count == 1:
            return [thing]
        things: list[Any] = [None] * self.count
        dist.all_gather_object(things, thing)
        return things

    def from_first(self, find: Callable[[], T]) -> T:
        """What `find()` gives on the first rank, on every rank; it is called there alone.

        Raises:
            NearfarError: What `find` raises, on every rank.
        """
        found: list[Any] = [None]
        with self.agreeing():
            if self.first:
                found = [find()]
        if self.count > 1:
            dist.broadcast_object_list(found)
        return found[0]

    def largest(self, number: int) -> int:
        """The largest of the ranks' numbers; no rank goes on before all have come here."""
        if self.count == 1:
            return number
        device = "cpu" if "cpu:" in dist.get_backend_config() else "cuda"
        shared = torch.tensor(number, dtype=torch.int64, device=device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace float tensors by their averages over the ranks: one exchange for each type.

        Afterwards they are the same on every rank, to the bit.

        Args:
            tensors: The same shapes and types in the same order on every rank.
        """
        if self.count == 1:
            return
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in alike])
            dist.all_reduce(flat)
            flat /= self.count
            shares = flat.split([tensor.numel() for tensor in alike])
            for tensor, share in zip(alike, shares, strict=True):
                tensor.copy_(share.view_as(tensor))

    def begin_alike(self, module: nn.Module) -> None:
        """Give every rank the first one's parameters and buffers."""
        if self.count == 1:
            return
        for tensor in (*module.parameters(), *module.buffers()):
            held = tensor.detach().contiguous()
            # As bytes: gloo does not send every type.
            dist.broadcast(held.reshape(-1).view(torch.uint8), 0)
            tensor.detach().copy_(held)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """An error in here on one rank is raised on every rank, after all have left.

        Raises:
            NearfarError: That of the first rank that has one.
        """
        error: NearfarError | None = None
        try:
            yield
        except NearfarError as caught:
            error = caught
        first = next((each for each in self.gather(error) if each is not None), None)
        if first is not None:
            raise first

    @contextmanager
    def on_first(self, make: Callable[[], AbstractContextManager[T]]) -> Iterator[T | None]:
        """Be in a context on the first rank alone.

        Yields:
            What the context gives, there; None on other ranks.

        Raises:
            NearfarError: Making or entering it failed; on every rank.
        """
        with contextlib.ExitStack() as stack:
            entered: T | None = None
            with self.agreeing():
                if self.first:
                    entered = stack.enter_context(make())
            yield entered

    def one_by_machine(self, load: Callable[[], T]) -> T:
        """Call `load` on one rank of each machine, then on the others: it may download."""
        if self.count == 1:
            return load()
        leads = launched().local_rank == 0
        loaded = load() if leads else None
        self.largest(0)
        return load() if loaded is None else loaded


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the processes that torchrun launched: gloo for what is on the CPU, NCCL for CUDA.

    A process on its own, or one whose caller has set a process group up, stays as it is. Else the
    group lasts as long as the context, and the ranks end together: when one fails, those that wait
    for it fail too. Only the first to fail tells why; the others exit without a word, with the
    same code.

    Raises:
        NearfarError: Another rank died without a word, or did not answer in time.
    """
    launch = launched()
    if launch.ranks == 1 or dist.is_initialized():
        yield Ranks.now()
        return
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        if launch.local_rank < torch.cuda.device_count():
            torch.cuda.set_device(launch.local_rank)
    waiting = patience()
    store, rank, world = next(rendezvous("env://", timeout=waiting))
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=waiting)
    try:
        with heard_out(), _watched(rank, world, waiting.total_seconds()):
            yield Ranks.now()
    except BaseException as error:
        if _is_first_to_fail(store):
            if _has_lost_a_rank(error):
                raise _lost(rank, error) from None
            raise
        raise SystemExit(_exit_code(error)) from None
    dist.destroy_process_group()


@contextmanager
def _watched(rank: int, count: int, waiting: float) -> Iterator[None]:
    """Notice a launcher that is gone, and ranks that are stopped before the others give them up."""
    missing = min(MISSING_SECONDS, waiting / 2)
    with contextlib.ExitStack() as stack:
        if "TORCHELASTIC_RUN_ID" in os.environ:
            stack.enter_context(ended_with_launcher())
        # A connection of its own: the group's may be in the middle of a long wait.
        own = TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            wait_for_workers=False,
        )
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        stack.enter_context(
            missing_ranks_named(
                own, rank, count, attempt=attempt, look=missing / 12, missing=missing
            )
        )
        yield


def _is_first_to_fail(store: Store) -> bool:
    """Whether no other rank has said so before; a store that is gone cannot tell, so yes."""
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        return store.add(f"nearfar/failed/{attempt}", 1) == 1
    except RuntimeError:
        return True


def _has_lost_a_rank(error: BaseException) -> bool:
    """Whether the error is that of an exchange; gloo's are plain RuntimeErrors."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and ("gloo" in str(error) or "NCCL" in str(error))
    )


def _lost(rank: int, error: BaseException) -> NearfarError:
    """The error of a rank that waited in vain."""
    reason = first_line(error)
    return NearfarError(
        f"rank {rank} lost another rank, which died or did not answer within "
        f"{patience().total_seconds() / 60:g} minutes ({reason}): look for why, then go on from "
        "the last checkpoint"
    )


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return error.exit_code if isinstance(error, NearfarError) else 1
