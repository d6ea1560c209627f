"""Contenders in processes of their own, which take turns."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

Contender = subprocess.Popen[str]


def start(module: str, *words: object, threads: int, quiet: bool = False) -> Contender:
    """Start `python -m module WORDS THREADS`, which waits for its turn once it has answered.

    Args:
        quiet: Drop what it says on standard error.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words), str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
        env=environment,
    )


def answer(contender: Contender) -> str | None:
    """The next line that it prints; None where memory ran out and it was killed."""
    assert contender.stdout is not None
    return contender.stdout.readline() or None


def begin_turn(contender: Contender) -> None:
    """Let it run once more; `answer` waits for what it says."""
    assert contender.stdin is not None
    contender.stdin.write("again\n")
    contender.stdin.flush()


def take_turn(contender: Contender) -> str | None:
    """Let it run once more, and give its answer."""
    begin_turn(contender)
    return answer(contender)


def seconds_of_others(*ours: "Iterable[Contender | subprocess.Popen[bytes]]") -> float:
    """Seconds of processor time that all programs have had, less that of our processes."""
    with open("/proc/stat") as stat:
        everyone = sum(map(int, stat.readline().split()[1:4]))  # user, nice, system
    own = 0
    for process in (each for group in ours for each in group):
        # What stands before the last bracket is the process's number and its name.
        of_process = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        own += int(of_process[11]) + int(of_process[12])
    return (everyone - own) / os.sysconf("SC_CLK_TCK")


def available_memory() -> int:
    """Bytes that programs may still take."""
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
