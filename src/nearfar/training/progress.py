"""What a person watches: one line that moves on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0


class TrainingProgress:
    """Shows epoch, loss, images a second, time left and the last kNN accuracy.

    Args:
        console: Where to; None shows nothing.
        epochs: Epochs of the run.
        steps_per_epoch: Steps of each.
        batch_size: Images in a step.
    """

    def __init__(
        self, console: Console | None, epochs: int, steps_per_epoch: int, batch_size: int
    ) -> None:
        self._console = console
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._total = epochs * steps_per_epoch
        self._batch_size = batch_size
        self.begin(0)
        self._knn = ""
        self._bar: Progress | None = None
        if console is not None and console.is_terminal:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}"),
                console=console,
                auto_refresh=False,
                expand=True,
            )
            self._task = self._bar.add_task("", total=self._total, epoch="", figures="")

    def __enter__(self) -> "TrainingProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, step: int) -> None:
        """Start the clock: what follows begins after `step` steps."""
        self._step = self._first = self._marked_step = step
        self._begun = self._shown = self._marked = time.monotonic()

    def images_per_second(self) -> float:
        """The speed since this was last asked, or since the start."""
        now = time.monotonic()
        images = (self._step - self._marked_step) * self._batch_size
        speed = images / max(now - self._marked, 1e-9)
        self._marked, self._marked_step = now, self._step
        return round(speed, 1)

    def note(self, message: str) -> None:
        """Say something that stays."""
        if self._console is not None:
            self._console.print(Text(message))

    def knn(self, accuracy: float) -> None:
        """Remember the last kNN accuracy, a fraction."""
        self._knn = f"kNN {100 * accuracy:.1f} %"

    def step(self, step: int, loss: float) -> None:
        """Show that `step` steps are taken, as often as a person can follow."""
        self._step = step
        if self._console is None:
            return
        now, last = time.monotonic(), step == self._total
        every = _LINE_SECONDS if self._bar is None else _REDRAW_SECONDS
        if now - self._shown < every and not last:
            return
        self._shown = now
        speed = (step - self._first) / max(now - self._begun, 1e-9)
        left = "" if last else f"{clock((self._total - step) / speed)} left"
        rate = f"{speed * self._batch_size:,.0f} images/s"
        figures = [f"loss {loss:.3f}", self._knn, rate, left]
        figures = " · ".join(figure for figure in figures if figure)
        epoch = f"{-(-step // self._steps_per_epoch)}/{self._epochs}"
        if self._bar is None:
            self._console.print(Text(f"epoch {epoch} · {figures}"), soft_wrap=True)
        else:
            self._bar.update(self._task, completed=step, epoch=epoch, figures=figures)
            self._bar.refresh()


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 5:06:07.

    Args:
        seconds: 0 or more.
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
