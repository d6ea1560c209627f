"""One line that moves on a terminal; elsewhere a line now and then."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0


class LiveLine:
    """What long work says of itself: a heading, a bar where it can move, figures.

    Args:
        console: Where to; None shows nothing.
        total: Steps that the bar stands for.
        transient: Whether the line goes away at the end.
    """

    def __init__(self, console: Console | None, total: int, *, transient: bool = False) -> None:
        self._console = console
        self._bar: Progress | None = None
        if console is not None and console.is_interactive:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}"),
                console=console,
                auto_refresh=False,
                expand=True,
                transient=transient,
            )
            self._task = self._bar.add_task("", total=total, figures="")
        self.restart()

    def __enter__(self) -> "LiveLine":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def restart(self) -> None:
        """Count from now the time until something is said."""
        self._shown = time.monotonic()

    def due(self, *, last: bool = False) -> bool:
        """Whether it is time to show something again, as often as a person can follow.

        Args:
            last: Nothing will follow, so that it is time in any case.
        """
        if self._console is None:
            return False
        now = time.monotonic()
        every = LINE_SECONDS if self._bar is None else REDRAW_SECONDS
        if now - self._shown < every and not last:
            return False
        self._shown = now
        return True

    def show(self, done: int, heading: str, figures: str) -> None:
        """Show it.

        Args:
            done: Steps taken, of the total.
            heading: Before the bar.
            figures: After it.
        """
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=heading, figures=figures)
            self._bar.refresh()
        elif self._console is not None:
            self._console.print(Text(f"{heading} · {figures}"), soft_wrap=True)
