"""Standard output and error that survive a reader who leaves, a full disk and a poor encoding."""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nearfar.errors import NearfarError
from nearfar.outside_text import printable

_PLAIN = str.maketrans(
    {
        "…": "...",
        "×": "x",
        "·": "-",
        "–": "-",
        "−": "-",
        "±": "+-",
        "³": "3",
        "²": "2",
        "≤": "<=",
        "≥": ">=",
        "▲": "+",
        "▼": "-",
        "█": "#",
        "“": '"',
        "”": '"',
        "’": "'",
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "é": "e",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{THIN SPACE}": " ",
    }
)
"""What our own signs become where the encoding has none of them, such as ASCII."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """The handler `nearfar.plain` of `codecs`: our signs by plain ones, all others by codes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    plain = letter.translate(_PLAIN)
    if not plain.isascii():
        plain = letter.encode("ascii", "backslashreplace").decode()
    return plain, error.start + 1


codecs.register_error("nearfar.plain", _plainly)


class Output(io.TextIOBase):
    """Standard output whose reader may leave, whose disk may be full, which may be closed.

    Args:
        stream: Gives what is written to at the moment of writing; None stands for a closed one.
        goes_on: What is being done matters more than what is printed of it: the first failure is
            told on standard error, and what follows is dropped. Otherwise what is printed is the
            result, and a failure ends the command as other tools end.
    """

    def __init__(self, stream: Callable[[], Any], *, goes_on: bool) -> None:
        self._stream = stream
        self._goes_on = goes_on
        self._is_lost = False

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As that of what is written to: whoever draws boxes asks for it."""
        return getattr(self._stream(), "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal that is still there."""
        stream = self._stream()
        return not self._is_lost and stream is not None and stream.isatty()

    def fileno(self) -> int:
        """The descriptor, where there is one."""
        stream = self._stream()
        if stream is None:
            raise io.UnsupportedOperation("standard output is closed")
        return stream.fileno()

    def writable(self) -> bool:
        """Yes, always."""
        return True

    def write(self, text: str) -> int:
        """Write, or drop what nobody can read.

        Raises:
            BrokenPipeError: The reader left, and what is printed is the result.
            NearfarError: It cannot be written for another reason, and is the result.
        """
        self._attempt(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Send on what is held back.

        Raises:
            BrokenPipeError, NearfarError: As `write`.
        """
        self._attempt(lambda stream: stream.flush())

    def close(self) -> None:
        """Nothing: what it writes to is another's to close."""

    def _attempt(self, do: Callable[[Any], object]) -> None:
        if self._is_lost:
            return
        stream = self._stream()
        try:
            if stream is None or stream.closed:
                raise OSError(0, "it is closed")
            do(stream)
        except OSError as error:
            self._is_lost = True
            _drop_the_rest(stream)
            if self._goes_on:
                say_error(_GOING_ON.format(reason=error.strerror))
            elif isinstance(error, BrokenPipeError):
                raise
            else:
                raise NearfarError(f"cannot write standard output: {error.strerror}") from None


_GOING_ON = "standard output is lost ({reason}): going on without it (Ctrl-C stops)"


def say_error(message: str) -> None:
    """One line on standard error, for a person; nothing where that is lost too.

    Args:
        message: What to say; printed so that no terminal obeys what is in it.
    """
    line = printable(" ".join(message.split()))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"nearfar: {line}", file=sys.stderr, flush=True)


def _drop_the_rest(stream: Any) -> None:
    """Let what is still held back go nowhere, or the interpreter complains of it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def steady_streams(*, goes_on: bool) -> Iterator[None]:
    """Standard output and error as a command needs them, until the context ends.

    Descriptors 0 to 2 that the caller closed are opened on nothing: else the next file of the run,
    a checkpoint for one, would take their number and whatever is printed.

    Args:
        goes_on: As for `Output`.
    """
    stdout, stderr = sys.stdout, sys.stderr
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one
    with _plain_where_it_must(stdout), _plain_where_it_must(stderr):
        sys.stdout = Output(lambda: stdout, goes_on=goes_on)
        try:
            yield
        finally:
            sys.stdout = stdout


@contextmanager
def _plain_where_it_must(stream: Any) -> Iterator[None]:
    """While in here, signs that the stream's encoding lacks are written by plain ones."""
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="nearfar.plain")
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors=before)


def reasonable_width(columns: int) -> int:
    """Columns to write for: in one column help takes minutes, in 10⁹ a line takes all memory."""
    return min(max(columns, 40), 500)
