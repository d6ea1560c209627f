"""Contenders in processes of their own, which take turns."""

import os
import subprocess
import sys

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
