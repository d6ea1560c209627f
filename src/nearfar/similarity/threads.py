"""Whole tiles by several threads, each of which computes alone.

Torch's own threads split every operation and wait for each other at its end. Beside another busy
program one of them is often not scheduled, and thousands of small operations wait thousands of
times. Here each thread takes the next tile from one list, with one core inside it, so that none
waits: a slow thread takes fewer tiles.

What tiles add up is added in the order of the list, whichever thread is first (`Turns`): sums have
the same bits for any number of threads.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Addition = Callable[[], None]
AHEAD = 16
"""Additions that may wait for their turn. Each holds what one tile adds to one block of rows."""

_Result = TypeVar("_Result")
_of_caller = threading.local()
_to_share: ContextVar[int | None] = ContextVar("to_share", default=None)
"""How many threads jobs are shared out to, where that is not the number torch's operations have."""


class Turns:
    """The order of additions, where several threads add to the same sums.

    Args:
        places: For every job the places that it adds to, such as blocks of rows. All of them are
            in their order once each job has added to each of its places.
    """

    def __init__(self, places: Sequence[Sequence[Hashable]]) -> None:
        self._turns: list[list[tuple[Hashable, int]]] = []
        self._next: dict[Hashable, int] = {}
        jobs_so_far: dict[Hashable, int] = {}
        for of_job in places:
            self._turns.append([(place, jobs_so_far.get(place, 0)) for place in of_job])
            for place, turn in self._turns[-1]:
                jobs_so_far[place] = turn + 1
                self._next[place] = 0
        self._early: dict[tuple[Hashable, int], Addition] = {}
        self._changed = threading.Condition()
        self._stopped = False

    def add(self, job: int, additions: Sequence[Addition]) -> None:
        """Make a job's additions, one for each of its places, as soon as it is their turn.

        One that comes early is left to the thread before it. Only where many wait already does
        this thread wait too, so that memory stays bounded.
        """
        for (place, turn), addition in zip(self._turns[job], additions, strict=True):
            if self._is_next(place, turn, addition):
                self._add_from(place, turn, addition)

    def stop(self) -> None:
        """Nobody waits any longer: a job has failed, and its turn will not come."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _is_next(self, place: Hashable, turn: int, addition: Addition) -> bool:
        """Whether it is its turn, now or after waiting; else it is left to the one before."""
        with self._changed:
            while self._next[place] != turn:
                if self._stopped:
                    return False
                if len(self._early) < AHEAD:
                    self._early[place, turn] = addition
                    return False
                self._changed.wait()
        return True

    def _add_from(self, place: Hashable, turn: int, addition: Addition | None) -> None:
        """Add, and then whatever has waited for that."""
        while addition is not None:
            addition()
            turn += 1
            with self._changed:
                self._next[place] = turn
                addition = self._early.pop((place, turn), None)
                self._changed.notify_all()


def for_each(
    count: int,
    work: Callable[[int], None],
    device: torch.device,
    stop: Callable[[], None] = lambda: None,
) -> None:
    """Do jobs 0, 1, … each once, on as many threads as torch may use here.

    On a CPU, several jobs are shared out to threads; one job alone, and jobs of another device, are
    done here. Within a thread, gradients are recorded or not as in the caller, and context
    variables are the caller's.

    Args:
        count: How many.
        work: Does one of them, given its number; from several threads at once.
        device: Where its tensors are.
        stop: Called when a job has failed or was interrupted: whatever else waits must give up.

    Raises:
        BaseException: Whatever a job raises, once no thread works on any other.
    """
    threads = min(_threads(device), count)
    if threads <= 1:
        for number in range(count):
            work(number)
        return
    _Jobs(count, work, stop).share_out(threads)


def results_of(count: int, work: Callable[[int], _Result], device: torch.device) -> list[_Result]:
    """What `work` gives for 0, 1, …, in this order; see `for_each`."""
    found: dict[int, _Result] = {}

    def keep(number: int) -> None:
        found[number] = work(number)

    for_each(count, keep, device)
    return [found[number] for number in range(count)]


def on_one_core(work: Callable[[], _Result], device: torch.device) -> _Result:
    """What `work` gives, for many small operations that are not worth sharing out."""
    if not shares_out(device):
        return work()
    found: list[_Result] = []
    _Jobs(1, lambda number: found.append(work())).share_out(1)  # noqa: ARG005
    return found[0]


@contextmanager
def one_core_outside_jobs(device: torch.device) -> Iterator[None]:
    """Within this context torch's operations use one core, MKL's among them.

    `for_each` keeps as many threads as before.
    """
    threads = _threads(device)
    _pool(threads)  # made in here, its threads would take one for the number of the caller
    before = _to_share.set(threads)
    set_mkl_threads = _mkl_threads()
    mkl_before = set_mkl_threads(1)
    try:
        with _openmp().limit(limits=1):
            yield
    finally:
        set_mkl_threads(mkl_before)
        _to_share.reset(before)


def shares_out(device: torch.device) -> bool:
    """Whether torch's operations here have several cores that jobs can have instead."""
    return torch.get_num_threads() > 1 and _threads(device) > 1


def _threads(device: torch.device) -> int:
    """How many threads may compute what this one is asked for."""
    # A dispatch mode, such as one that counts operations, sees those of its own thread alone.
    watched = torch._C._len_torch_dispatch_stack() > 0  # pyright: ignore[reportPrivateImportUsage]
    if device.type != "cpu" or watched:
        return 1
    return _to_share.get() or torch.get_num_threads()


@cache
def _openmp() -> ThreadpoolController:
    """Sets how many threads operations have that this thread asks for, and no other."""
    return ThreadpoolController().select(user_api="openmp")


@cache
def _mkl_threads() -> Callable[[int], int]:
    """Sets how many threads MKL has for this thread, and gives how many it had; 0 for as usual.

    MKL computes products, but also exp, log and sqrt, and shares out those of 128 numbers already:
    beside a busy program each of them took 8 ms. threadpoolctl does not find it inside of torch.
    """
    try:
        return ctypes.CDLL(torch._C.__file__).MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):  # a torch without MKL, or one that hides it
        return lambda count: count


class _Jobs:
    """Jobs 0, 1, … on several threads, each of which takes the next one; see `for_each`.

    The caller waits for the jobs, not for the threads: one that has not yet been woken when all
    jobs are done, because another program has its core, holds nobody up.
    """

    def __init__(
        self, count: int, work: Callable[[int], None], stop: Callable[[], None] = lambda: None
    ) -> None:
        self._left = iter(range(count))
        self._work, self._stop = work, stop
        self._at_work = 0
        self._over = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def share_out(self, threads: int) -> None:
        """Have them done, and raise what one of them has raised."""
        pool = _pool(threads)
        for _ in range(threads):
            pool.submit(copy_context().run, self._take)
        try:
            self._wait()
        except BaseException:
            # Ctrl-C. Nothing that the caller holds is written to once it is told.
            self._give_up()
            self._wait()
            raise
        if self._error is not None:
            raise self._error

    def _wait(self) -> None:
        """Until all are done, or those begun before one has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._over and not self._at_work)

    def _take(self) -> None:
        """Do jobs as long as there are any."""
        recorded, inference = self._modes
        _to_share.set(None)  # a job within a job is done where it is asked for
        with torch.inference_mode(inference), torch.set_grad_enabled(recorded):
            while (number := self._next()) is not None:
                try:
                    self._work(number)
                except BaseException as error:
                    self._error = self._error or error
                    self._give_up()
                with self._changed:
                    self._at_work -= 1
                    self._changed.notify_all()

    def _next(self) -> int | None:
        """Which job is next; None when there is none to be begun."""
        with self._changed:
            number = None if self._over else next(self._left, None)
            if number is None:
                self._over = True
                self._changed.notify_all()
            else:
                self._at_work += 1
            return number

    def _give_up(self) -> None:
        """Begin no other job."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._stop()


def _pool(threads: int) -> ThreadPoolExecutor:
    """At least so many threads, each with one core for what it computes; they belong to the caller.

    They stay for the next call, and go with the thread that has called. A forked process has none
    of its parent's.
    """
    process, size, pool = getattr(_of_caller, "pool", (0, 0, None))
    if pool is not None and process == os.getpid() and size >= threads:
        return pool
    pool = ThreadPoolExecutor(threads, "nearfar-tiles", initializer=_compute_alone)
    all_here = threading.Barrier(threads)
    wait([pool.submit(all_here.wait) for _ in range(threads)])
    # The number that torch is told holds for the thread that tells it, but also for all threads yet
    # to come. They are to get what the caller has.
    torch.set_num_threads(torch.get_num_threads())
    _of_caller.pool = os.getpid(), threads, pool
    return pool


def _compute_alone() -> None:
    """Give this thread one core."""
    # A thread asks once, late, how many it has; asked after the setting, it would forget it.
    torch.get_num_threads()
    torch.set_num_threads(1)
