"""What a person watches while something is trained: on a terminal one line that moves."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from nearfar.modality import Modality

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
        """Show it."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=heading, figures=figures)
            self._bar.refresh()
        elif self._console is not None:
            self._console.print(Text(f"{heading} · {figures}"), soft_wrap=True)


class TrainingProgress:
    """Shows epoch, loss, examples a second, time left and the last kNN accuracy.

    Args:
        console: Where to; None shows nothing.
        modality: What they are, as the line names them.

    Attributes:
        modality: What they are.
        collapsed: Whether the line says that the run has collapsed.
    """

    def __init__(
        self,
        console: Console | None,
        epochs: int,
        steps_per_epoch: int,
        batch_size: int,
        modality: Modality,
    ) -> None:
        self._console = console
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._total = epochs * steps_per_epoch
        self._batch_size = batch_size
        self.modality: Modality = modality
        self._line = LiveLine(console, self._total)
        self.begin(0)
        self._knn = ""
        self._probe = ""
        self.collapsed = False

    def __enter__(self) -> "TrainingProgress":
        self._line.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._line.__exit__(*raised)

    def begin(self, step: int) -> None:
        """Start the clock: what follows begins after `step` steps."""
        self._step = self._first = self._marked_step = step
        self._begun = self._marked = time.monotonic()
        self._line.restart()

    def examples_per_second(self) -> float:
        """The speed since this was last asked, or since the start."""
        now = time.monotonic()
        examples = (self._step - self._marked_step) * self._batch_size
        speed = examples / max(now - self._marked, 1e-9)
        self._marked, self._marked_step = now, self._step
        return round(speed, 1)

    def note(self, message: str) -> None:
        """Say something that stays."""
        if self._console is not None:
            self._console.print(Text(message))

    def warn(self, message: str) -> None:
        """Say something that stays and should not be missed."""
        if self._console is not None:
            self._console.print(Text.assemble(("warning  ", "bold yellow"), message))

    def knn(self, accuracy: float) -> None:
        """Remember the last kNN accuracy, a fraction."""
        self._knn = f"kNN {100 * accuracy:.1f} %"

    def probe(self, accuracy: float) -> None:
        """Remember what the online probe answers right, a fraction."""
        self._probe = f"probe {100 * accuracy:.1f} %"

    def step(self, step: int, loss: float) -> None:
        """Show that `step` steps are taken, as often as a person can follow."""
        self._step = step
        last = step == self._total
        if not self._line.due(last=last):
            return
        speed = (step - self._first) / max(time.monotonic() - self._begun, 1e-9)
        left = "" if last else f"{clock((self._total - step) / speed)} left"
        rate = f"{speed * self._batch_size:,.0f} {self.modality}/s"
        collapsed = "collapsed" if self.collapsed else ""
        figures = [f"loss {loss:.3f}", self._knn, self._probe, collapsed, rate, left]
        figures = " · ".join(figure for figure in figures if figure)
        epoch = f"epoch {-(-step // self._steps_per_epoch)}/{self._epochs}"
        self._line.show(step, epoch, figures)


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 5:06:07."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
