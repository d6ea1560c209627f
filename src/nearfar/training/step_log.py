"""What is told of steps: read as late as the loop runs ahead, and in the order of the steps."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nearfar.methods.method import Method
from nearfar.run_folder.folder import RunFolder
from nearfar.training import collapse
from nearfar.training.ends import Diverged
from nearfar.training.hardware import Hardware
from nearfar.training.late import Late
from nearfar.training.metrics_log import MetricsLog
from nearfar.training.online_probe import OnlineProbe
from nearfar.training.progress import TrainingProgress
from nearfar.training.ranks import Ranks
from nearfar.training.resuming import Saver

MOST_RECORDS = 10_000
MOST_MEASURED = 200
"""Records with what the method measures of its embeddings, an eighth of a small network's step."""
_MOST_EXAMPLES = 16


@dataclass
class _Step:
    """What is told of a step once it is read.

    Attributes:
        number: Counted from 1.
        epoch: Counted from 0.
        indices: This rank's examples of the batch.
        rate: The learning rate.
        figures: Of `Steps.gradients`, on their way.
        measured: What the method and the machine say, read at once.
        answers: What the probe answered, on its way.
        rows: Of a look for collapse, on their way.
    """

    number: int
    epoch: int
    indices: Tensor
    rate: float
    figures: Late
    measured: dict[str, Any] = field(default_factory=dict)
    answers: Late | None = None
    rows: Late | None = None

    def read(self) -> "_Figures":
        """The figures; waits for the device where they are not there yet."""
        return _Figures(*self.figures.read()[0].tolist())


@dataclass(frozen=True)
class _Figures:
    """What `Steps.gradients` gives, read."""

    loss: float
    norm: float
    ended: float
    scale: float | None = None
    skipped: float = 0

    @property
    def sound(self) -> bool:
        """Whether the step had an effect, unless the run has ended."""
        return math.isfinite(self.loss + self.norm)


class StepLog:
    """Tells of every step, and stops the run at the first that is not finite.

    Between `computed` and `taken` of one step its weights move. `taken` waits for the step that was
    computed `ahead` steps before, and for no other; where steps are not guarded, `computed` waits,
    before the weights move. `rest` waits for all. Every rank calls them alike, the first alone
    writes.

    Args:
        method: What is trained.
        ahead: Steps that may be computed before the figures of one are read.
        guarded: Whether a step that is not finite has no effect though it is taken.
        total_steps: Of the run.
        metrics: The log; None on ranks that do not write.
        saver: Knows the last checkpoint.
        probe: Learns beside.
    """

    def __init__(
        self,
        method: Method,
        hardware: Hardware,
        ranks: Ranks,
        run_folder: RunFolder,
        progress: TrainingProgress,
        *,
        ahead: int,
        guarded: bool,
        total_steps: int,
        metrics: MetricsLog | None,
        saver: Saver,
        probe: OnlineProbe | None,
    ) -> None:
        self._method = method
        self._hardware = hardware
        self._ranks = ranks
        self._run_folder = run_folder
        self._progress = progress
        self._ahead = ahead
        self._guarded = guarded
        self._total = total_steps
        self._metrics = metrics
        self._saver = saver
        self._probe = probe
        self._waiting: deque[_Step] = deque()
        self._skipped = 0
        self._record_every = math.ceil(total_steps / MOST_RECORDS)
        records = math.ceil(total_steps / self._record_every)
        self._measure_every = self._record_every * math.ceil(records / MOST_MEASURED)
        self._watch = collapse.CollapseWatch(
            [] if metrics is None else metrics.earlier, progress.modality
        )
        progress.collapsed = bool(self._watch.collapsed)

    def computed(
        self, number: int, epoch: int, indices: Tensor, rate: float, figures: Tensor
    ) -> None:
        """A step's loss and gradients are asked for; its weights are not moved yet.

        Args:
            number: Of the step, from 1.
            epoch: From 0.
            indices: This rank's examples of the batch.
            rate: The learning rate.
            figures: Of `Steps.gradients`, on the device.

        Raises:
            Diverged: The step is not finite, and would have an effect.
        """
        self._waiting.append(_Step(number, epoch, indices, rate, Late([figures])))
        if not self._guarded:
            self._require_finite(self._waiting[-1])

    def taken(self, views: tuple[Tensor, ...]) -> None:
        """The weights have moved by the step that was computed last.

        Args:
            views: Of its batch.

        Raises:
            Diverged: The step computed `ahead` steps before is not finite.
        """
        step = self._waiting[-1]
        if self._is_told(step.number):
            self._measure(step, views)
        if len(self._waiting) > self._ahead:
            self._tell_oldest()

    def rest(self) -> None:
        """Read and tell all that is not told yet.

        Raises:
            Diverged: One of these steps is not finite.
        """
        while self._waiting:
            self._tell_oldest()

    def tell_skipped(self) -> None:
        """Say, at the end of a run, how many steps were passed over."""
        if self._skipped:
            self._progress.note(
                f"{self._skipped} step{'s' * (self._skipped > 1)} of {self._total} had no effect: "
                "numbers were too large for fp16, and the loss scale was halved each time"
            )

    def _is_told(self, number: int) -> bool:
        return number % self._record_every == 0 or number == self._total

    def _measure(self, step: _Step, views: tuple[Tensor, ...]) -> None:
        """Ask for all that is told beside loss and norm."""
        if self._hardware.device.type == "cpu":
            step.measured["threads"] = torch.get_num_threads()
        if step.number % self._measure_every == 0 or step.number == self._total:
            step.measured |= self._method.scalars
        if self._probe is not None:
            step.answers = Late([self._probe.take_answers()])
        if step.number % (collapse.LOOK_EVERY * self._record_every) == 0:
            rows = collapse.rows(self._method, views, self._hardware, rank=self._ranks.rank)
            step.rows = Late(rows)

    def _tell_oldest(self) -> None:
        """Show a step, and write it where it is one that is written."""
        step = self._waiting.popleft()
        self._require_finite(step)
        read = step.read()
        self._skipped = int(read.skipped) + (not read.sound)
        if not read.sound:
            if self._metrics is not None:
                self._metrics.write("skipped", step.number, {"loss_scale": read.scale})
            return
        self._progress.step(step.number, read.loss)
        if not self._is_told(step.number):
            return
        figures = {"loss": read.loss, "learning_rate": step.rate, "gradient_norm": read.norm}
        if read.scale is not None:
            figures["loss_scale"] = read.scale
        threads = step.measured.pop("threads", None)
        if threads is not None:
            figures["threads"] = threads
        figures["examples_per_second"] = self._progress.examples_per_second()
        figures |= step.measured
        if step.answers is not None:
            right, asked = step.answers.read()[0].tolist()
            if asked:
                figures["online_probe"] = right / asked
                self._progress.probe(right / asked)
        if step.rows is not None:
            figures |= collapse.measure(step.rows.read())
        if self._metrics is None:
            return
        self._metrics.write("step", step.number, figures)
        if step.rows is not None:
            for kind, sentence in self._watch.see(figures):
                self._metrics.write(kind, step.number, {"told": sentence})
                self._progress.warn(f"step {step.number}, epoch {step.epoch + 1}: {sentence}")
        self._progress.collapsed = bool(self._watch.collapsed)

    def _require_finite(self, step: _Step) -> None:
        """Stop the run where a step would have spoilt the weights; they were not touched."""
        read = step.read()
        if not read.ended:
            return
        shares = self._ranks.gather(step.indices.tolist())
        examples = [index for share in shares for index in share]
        with self._ranks.agreeing():
            if self._metrics is not None:
                self._metrics.write("not_finite", step.number, {"examples": examples})
        raise Diverged(
            f"stopped at step {step.number} (epoch {step.epoch + 1}): {_what_is_wrong(read)}; the "
            f"batch was training images {self._shown(examples)}; {self._saver.last_good}: lower "
            "training.optimizer.learning_rate, or look at these images"
        )

    def _shown(self, examples: list[int]) -> str:
        shown = ", ".join(str(index) for index in examples[:_MOST_EXAMPLES])
        if len(examples) > _MOST_EXAMPLES:
            shown += f" … ({len(examples)} in all, listed in {self._run_folder.metrics})"
        return shown


def _what_is_wrong(read: _Figures) -> str:
    """In words."""
    what = f"the loss is {read.loss}"
    if math.isfinite(read.loss):
        what = "the gradient is not finite"
    return what if read.scale is None else f"{what} at a loss scale of {read.scale:g}"
