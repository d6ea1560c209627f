"""One process at a time writes into a run folder: a lock of the system, gone with the process."""

import datetime
import fcntl
import json
import os
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from nearfar.durable_files import writing
from nearfar.errors import NearfarError
from nearfar.run_folder import names


@dataclass
class _Held:
    """A lock that this process has, and how often one of its threads took it."""

    pid: int
    thread: int
    times: int = 1


_held: dict[Path, _Held] = {}
_registry = threading.Lock()
# The system's `struct flock`, as far as its end: type and whence stand last on a Mac.
_ON_A_MAC = sys.platform == "darwin"
_FLOCK = "qqihh" if _ON_A_MAC else "hhqqi"


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[bool]:
    """Keep other processes, and other threads of this one, from writing into a run folder.

    The thread that has it may take it again. On a file system without locks it keeps only the
    threads of this process apart.

    Args:
        doing: What a second process is told, such as "training".

    Yields:
        Whether it was taken now, and not before.

    Raises:
        NearfarError: Somebody else is at it, or the folder cannot be written in.
    """
    place = folder.resolve()
    here = _Held(os.getpid(), threading.get_ident())
    with _registry:
        held = _held.get(place)
        if held is not None and held.pid == here.pid:  # and not a parent's, before a fork
            if held.thread != here.thread:
                raise NearfarError(f"another thread of this process is writing in {folder}")
            held.times += 1
        else:
            held = None
    if held is not None:
        try:
            yield False
        finally:
            held.times -= 1
        return
    with writing(folder):
        file = (folder / names.LOCK).open("a+", encoding="utf-8")
    with file:
        # Both at once: `is_locked` of another thread, in between, would give the lock away.
        with _registry:
            try:
                # A record lock: it goes when the process dies, and its forked children have none.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                raise NearfarError(f"{_who(file, folder)}: wait for it, or stop it") from error
            except OSError:
                pass  # a file system without locks
            _held[place] = here
        try:
            with writing(folder / names.LOCK):
                _sign(file, doing)
            yield True
        finally:
            with _registry:
                _held.pop(place, None)


def is_locked(folder: Path) -> bool:
    """Whether somebody is writing in a run folder now; nothing is taken, written or made."""
    with _registry:
        held = _held.get(folder.resolve())
        if held is not None and held.pid == os.getpid():
            # Closing the file here would give the lock of this process away.
            return True
        asked = (0, 0, 0, fcntl.F_WRLCK, 0) if _ON_A_MAC else (fcntl.F_WRLCK, 0, 0, 0, 0)
        try:
            with (folder / names.LOCK).open("rb") as file:
                told = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(_FLOCK, *asked).ljust(64))
        except OSError:  # there is none, it may not be read, or a file system without locks
            return False
    kind = struct.unpack_from(_FLOCK, told)[3 if _ON_A_MAC else 0]
    return kind != fcntl.F_UNLCK


def _sign(file: TextIO, doing: str) -> None:
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    file.truncate(0)
    said = json.dumps({"pid": os.getpid(), "since": now, "doing": doing})
    # Past the buffer, where what a full disk refuses would lie and be refused again on closing.
    os.write(file.fileno(), said.encode())


def _who(file: TextIO, folder: Path) -> str:
    file.seek(0)
    try:
        who = json.load(file)
        return (
            f"another process is {str(who['doing'])[:20]} in {folder} (pid {int(who['pid'])}, "
            f"since {str(who['since'])[:25]})"
        )
    except (ValueError, KeyError, TypeError):
        return f"another process is writing in {folder}"
