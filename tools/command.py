"""What every command of papers/ and tools/ does about its words, its errors and its end."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from nearfar.errors import NearfarError

Arguments = TypeVar("Arguments")


def run_command(
    module: str,
    kind: type[Arguments],
    work: Callable[[Arguments], int | None],
    words: Sequence[str] | None,
) -> int:
    """Reads the words and does the work; what goes wrong becomes one line.

    Args:
        module: What follows `python -m`; it keeps what is done when it is cut.
        kind: Dataclass of the arguments.
        work: Does it; gives an exit code, or None for 0.
        words: After the module; None takes the process's own.

    Returns:
        The exit code.
    """
    arguments = tyro.cli(kind, prog=f"python -m {module}", args=words)
    try:
        return work(arguments) or 0
    except NearfarError as error:
        print(f"{module}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{module}: stopped; what is done is kept", file=sys.stderr)
        return 130
