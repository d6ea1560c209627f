"""What a rank does beside training: notices a launcher that is gone and ranks that are stopped."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch.distributed import Store  # pyright: ignore[reportPrivateImportUsage]

from nearfar.standard_streams import say_error

_LOOK_SECONDS = 1.0
MISSING_SECONDS = 60.0
"""A rank that has given no sign for so long is named."""


@contextmanager
def ended_with_launcher(look: float = _LOOK_SECONDS) -> Iterator[None]:
    """While in here, the end of the process that launched this one comes as SIGTERM.

    torchrun passes signals on, but killed by SIGKILL it cannot: its ranks would go on as orphans.
    """
    launcher, over = os.getppid(), threading.Event()

    def watch() -> None:
        while not over.wait(look):
            if os.getppid() != launcher:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, daemon=True, name="nearfar-launcher").start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def missing_ranks_named(
    store: Store,
    rank: int,
    count: int,
    *,
    attempt: str = "0",
    look: float,
    missing: float,
    say: Callable[[str], None] = say_error,
) -> Iterator[None]:
    """While in here, the lowest rank that lives names once each rank that gives no sign of life.

    A process that is stopped (SIGSTOP, a frozen container) is not dead: its connections stay, and
    the others would wait for it without a word.

    Args:
        store: Shared by the ranks; a connection of its own, for a thread of its own.
        attempt: Which start of the ranks this is: each has its own signs.
        look: Seconds between signs and looks.
        missing: Seconds without a sign after which a rank is named.
        say: Told who is missing, and who is back.
    """
    over = threading.Event()
    thread = threading.Thread(
        target=_watch,
        args=(store, rank, count, f"nearfar/alive/{attempt}", look, missing, say, over),
        daemon=True,
        name="nearfar-ranks",
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(2 * look)


def _watch(
    store: Store,
    rank: int,
    count: int,
    key: str,
    look: float,
    missing: float,
    say: Callable[[str], None],
    over: threading.Event,
) -> None:
    """Give signs and look for those of others until it is over, or the store is gone."""
    signs = dict.fromkeys(range(count), 0)
    seen = dict.fromkeys(range(count), time.monotonic())
    named: set[int] = set()
    told: set[int] = set()
    before = time.monotonic()
    with contextlib.suppress(RuntimeError):  # a store that is gone: the run is ending
        while not over.wait(look):
            store.add(f"{key}/{rank}", 1)
            now = time.monotonic()
            slept, before = now - before - look, now
            for other in range(count):
                found = store.add(f"{key}/{other}", 0)
                if found != signs[other] or slept > missing / 2:
                    # Who was stopped itself has seen no sign of anyone for as long.
                    signs[other], seen[other] = found, now
            gone = {other for other in range(count) if now - seen[other] > missing}
            if rank == min(set(range(count)) - gone, default=rank):
                for other in sorted(gone - named):
                    say(
                        f"rank {other} has given no sign for {now - seen[other]:.0f} seconds: is "
                        "it stopped, or its machine asleep? The others wait for it"
                    )
                    told.add(other)
            named = gone
            # Whoever told of it, for the lowest that lives may now be the one that is back.
            for other in sorted(told - gone):
                say(f"rank {other} is back")
            told &= gone
