"""What is printed for a person: rich's console, safe with any text and with readers that leave."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.status import Status

from nearfar.outside_text import printable
from nearfar.standard_streams import Output, reasonable_width


def shown(text: object) -> str:
    """Text from outside as part of a line with rich's markup: obeyed by no terminal, no markup.

    Args:
        text: What to show, such as a path, or a note that quotes one.
    """
    return escape(printable(str(text)))


class Terminal(Console):
    """Standard output for a person.

    Whatever is printed through it, in whatever wrapping, has its control characters shown by their
    codes, as `shown` does; newlines are left to end lines, so text from outside goes through
    `shown` first. File names keep what looks like an emoji's name.

    Args:
        goes_on: As for `nearfar.standard_streams.Output`.
        settings: As for rich's `Console`.
    """

    def __init__(self, *, goes_on: bool = False, **settings: Any) -> None:
        settings.setdefault("file", Output(_standard_output, goes_on=goes_on))
        super().__init__(emoji=False, **settings)

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and lines, the columns within reason."""
        width, height = super().size
        return ConsoleDimensions(reasonable_width(width), height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """As rich does, but for what a terminal would obey."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n", longest=2**30), segment.style)

    def status(self, status: RenderableType, **settings: Any) -> Status:  # pyright: ignore
        """As rich does, with a spinner that the encoding has."""
        if self.options.ascii_only:
            settings.setdefault("spinner", "line")
        return super().status(status, **settings)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which ends as other tools end."""
        raise

    def say(self, word: str, texts: Iterable[object]) -> None:
        """A line for each text: a word in colour, such as `note`, and the text.

        Args:
            word: What kind of lines they are.
            texts: Text from outside, or that quotes it.
        """
        for text in texts:
            self.print(f"[yellow]{word}[/yellow]  {shown(text)}")


def _standard_output() -> Any:
    """What standard output is now; not rich's own stand-in for it, while a bar moves."""
    return getattr(sys.stdout, "rich_proxied_file", sys.stdout)
