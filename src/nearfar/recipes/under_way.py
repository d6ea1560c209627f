"""What is under way while an encoder is judged: a bar on a terminal, elsewhere some lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from nearfar.evaluation.judged import Say
from nearfar.outside_text import printable
from nearfar.training.progress import clock

LINE_SECONDS = 10.0
"""Long work says how far it is, but no more lines than a person would ask for."""
_TOO_EARLY = 0.02
"""Share of the work before which the time left would be guessed from too little."""
_WIDEST_BAR = 20


class _What(ProgressColumn):
    """What is under way, on as much of one line as the other columns leave."""

    def render(self, task: Task) -> Text:
        """Its description, cut where it is too long."""
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Bar(BarColumn):
    """A bar for work whose end is known."""

    def render(self, task: Task) -> RenderableType:  # pyright: ignore
        """As rich does, or nothing."""
        return Text() if task.total is None else super().render(task)


class _TimeLeft:
    """How long a piece of work takes yet, from how long its share took so far."""

    def begin(self) -> None:
        """A piece of work begins."""
        self._begun = time.monotonic()

    def after(self, done: float) -> str:
        """In words; nothing where too little is done."""
        if not _TOO_EARLY <= done < 1:
            return ""
        return f"{clock((time.monotonic() - self._begun) * (1 - done) / done)} left"


@contextmanager
def saying(console: Console, first: str) -> Iterator[Say]:
    """Shows what is under way: one line that changes on a terminal, a line each elsewhere.

    Args:
        console: Where to print.
        first: What is under way at the start.

    Yields:
        A function to be told what comes next, and how far it has come.
    """
    with _on_a_terminal(console) if console.is_interactive else _line_by_line(console) as say:
        say(first)
        yield say


@contextmanager
def _on_a_terminal(console: Console) -> Iterator[Say]:
    """One line that changes, with a bar where the end of the work is known."""
    left = _TimeLeft()
    bar = Progress(
        SpinnerColumn("line" if console.options.ascii_only else "dots"),
        _What(),
        _Bar(bar_width=min(_WIDEST_BAR, console.width // 5)),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
    )

    def say(what: str, done: float | None = None) -> None:
        if done is None:
            left.begin()
            for task in bar.task_ids:
                bar.remove_task(task)
            bar.add_task(printable(what), total=None, left="")
        else:
            bar.update(
                bar.task_ids[0],
                description=printable(what),
                total=1,
                completed=done,
                left=left.after(done),
            )

    with bar:
        yield say


@contextmanager
def _line_by_line(console: Console) -> Iterator[Say]:
    """A line for each piece of work; of long ones, a line now and then."""
    left, said = _TimeLeft(), 0.0

    def say(what: str, done: float | None = None) -> None:
        nonlocal said
        now = time.monotonic()
        if done is None:
            left.begin()
        elif now - said < LINE_SECONDS:
            return
        else:
            what = " · ".join(filter(None, (what, f"{100 * done:.0f} %", left.after(done))))
        said = now
        console.print(Text(printable(what)), soft_wrap=True, highlight=False)

    yield say
