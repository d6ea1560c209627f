"""What the loop saves so that it can go on, and how it finds that again."""

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from nearfar.errors import NearfarError
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import flat_settings, to_json
from nearfar.training.checkpoints import Checkpoint, holds_checkpoints, load_newest, save
from nearfar.training.hardware import Hardware
from nearfar.training.metrics_log import MetricsLog
from nearfar.training.ranks import Ranks
from nearfar.training.specs import TrainingSpec
from nearfar.training.state import Position, TrainingState, ranks_of

_FREE_TO_CHANGE = (
    "precision",
    "shard",
    "threads",
    "knn_every",
    "knn_vote",
    "checkpoint_every",
    "keep_checkpoints",
)
"""Settings that decide nothing about the steps, or that the hardware has a say in."""


@dataclass(frozen=True)
class Start:
    """Where a run goes on: at the beginning, or after its newest whole checkpoint.

    Attributes:
        position: Where in the data.
        step: Steps taken.
        metrics_size: Bytes of `metrics.jsonl` that are kept: those up to that step.
        seconds: Seconds of training so far.
        threads: What the checkpoint was computed with; None at the beginning.
        notes: What a person should know.
    """

    position: Position = field(default_factory=Position)
    step: int = 0
    metrics_size: int = 0
    seconds: float = 0.0
    threads: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What must be the same for a checkpoint to be gone on from, and what had better be."""

    decisive: dict[str, Any]
    hardware: dict[str, Any]


def checkpoint_settings(
    config: TrainingSpec,
    hardware: Hardware,
    experiment: Mapping[str, Any],
    *,
    seed: int,
    steps_per_epoch: int,
) -> Settings:
    """The settings as they stand in a checkpoint, in JSON's own types."""
    decisive = flat_settings(to_json(config))
    for name in _FREE_TO_CHANGE:
        del decisive[name]
    decisive = {name: value for name, value in decisive.items() if not name.startswith("tracker.")}
    if config.keep_epoch == "last":
        # Decides nothing then, and checkpoints from before there was a choice lack it.
        del decisive["keep_epoch"]
    else:
        decisive["knn_every"] = config.knn_every
        decisive["knn_vote"] = list(config.knn_vote)
    decisive |= {"seed": seed, "steps_per_epoch": steps_per_epoch, "device": hardware.device.type}
    decisive |= experiment
    # Checkpoints from before there was another half precision name this one alone.
    precision = {"bf16": hardware.precision == "bf16"}
    if hardware.precision == "fp16":
        precision["fp16"] = True
    return Settings(decisive, precision)


def new_start(run_folder: RunFolder, ranks: Ranks) -> Start:
    """The beginning of a run, in a folder that holds no other.

    Raises:
        NearfarError: The folder holds checkpoints.
    """
    if ranks.from_first(lambda: holds_checkpoints(run_folder.checkpoints)):
        raise NearfarError(
            f"{run_folder} holds checkpoints of a run: go on with `{run_folder.resume_command}`, "
            "or choose another --out"
        )
    return Start()


def find_start(
    state: TrainingState, settings: Settings, run_folder: RunFolder, ranks: Ranks
) -> Start:
    """Load the newest whole checkpoint into the state, and say where the run goes on.

    Raises:
        NearfarError: Every checkpoint is damaged, or they are of a run with other settings.
    """
    loaded = ranks.from_first(lambda: load_newest(run_folder.checkpoints))
    if loaded is None:
        if ranks.from_first(run_folder.encoder_settings.is_file):
            raise NearfarError(
                f"{run_folder} is trained already, and its checkpoints are gone: judge it with "
                f"`nearfar evaluate {shlex.quote(str(run_folder))}`, or start a new run"
            )
        return Start(notes=(f"no checkpoint in {run_folder} yet: starting at the beginning",))
    checkpoint, scalars = loaded.checkpoint, loaded.checkpoint.scalars
    made_with = scalars["settings"]
    differ = [
        f"{name} {_short(made_with.get(name))}, not {_short(settings.decisive.get(name))}"
        for name in dict.fromkeys([*settings.decisive, *made_with])
        if made_with.get(name) != settings.decisive.get(name)
    ]
    if differ:
        raise NearfarError(
            f"cannot go on from {loaded.path}: it was made with {'; '.join(differ[:4])}"
            f"{f'; and {len(differ) - 4} more' * (len(differ) > 4)}: start a new run for that"
        )
    metrics_size = ranks.from_first(
        lambda: run_folder.whole_metrics(
            step=checkpoint.step, size=scalars["metrics_size"], sha256=scalars["metrics_sha256"]
        )
    )
    state.restore(checkpoint)
    notes = [
        f"damaged checkpoint passed over: {damaged}; using {loaded.path}"
        for damaged in loaded.damaged
    ]
    notes += [
        f"the checkpoint was made with {name} {scalars['hardware'].get(name)}, this is {value}: "
        "the result can differ in its last digits"
        for name, value in settings.hardware.items()
        if scalars["hardware"].get(name) != value
    ]
    if (made_by := ranks_of(checkpoint)) != ranks.count:
        notes.append(
            f"the checkpoint was made on {made_by} rank{'s' * (made_by > 1)}, this is "
            f"{ranks.count}: each rank draws views of its own, so from here on they are others"
        )
    position = Position(**scalars["position"])
    return Start(
        position,
        checkpoint.step,
        metrics_size,
        scalars["seconds"],
        scalars["hardware"]["threads"],
        tuple(notes),
    )


def _short(value: Any) -> str:
    """A value as a message shows it: a checksum by its first digits."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:12]}…"


class Saver:
    """Saves the run's state after a step; every rank calls it, and the first writes.

    Args:
        settings: What a checkpoint must fit.
        metrics: Synced before each checkpoint, so that no checkpoint is ahead of it; None on ranks
            that do not write.
        clock: Seconds of training so far; None there too.
        saved_step: Step of the checkpoint that this process began from; 0 for none.
        keep: Newest checkpoints that stay.
    """

    def __init__(
        self,
        run_folder: RunFolder,
        state: TrainingState,
        settings: Settings,
        metrics: MetricsLog | None,
        *,
        clock: Callable[[], float] | None,
        saved_step: int,
        keep: int,
    ) -> None:
        self._run_folder = run_folder
        self._state = state
        self._settings = settings
        self._metrics = metrics
        self._keep = keep
        self._clock = clock
        self._saved_step = saved_step

    @property
    def last_good(self) -> str:
        """The newest checkpoint, in words."""
        if self._saved_step == 0:
            return "there is no checkpoint yet"
        return f"the last good checkpoint is that of step {self._saved_step}"

    def save(self, step: int, position: Position) -> None:
        """Save the state after `step` steps, unless that is what was saved last.

        Raises:
            NearfarError: On every rank: the disk is full or refuses (names what is still there), or
                the ranks have come apart.
        """
        if step == self._saved_step:
            return
        taken = self._state.take(step)
        with self._state.ranks.agreeing():
            if self._metrics is not None and self._clock is not None:
                self._write(taken, position, self._metrics, self._clock)
        self._saved_step = step

    def _write(
        self,
        taken: Checkpoint,
        position: Position,
        metrics: MetricsLog,
        clock: Callable[[], float],
    ) -> None:
        """Write the checkpoint, with what the loop wants to find again."""
        grown = metrics.synced()
        scalars = {
            **taken.scalars,
            "position": dataclasses.asdict(position),
            "metrics_size": grown.size,
            "metrics_sha256": grown.sha256,
            "seconds": clock(),
            "settings": self._settings.decisive,
            "hardware": self._settings.hardware | {"threads": torch.get_num_threads()},
        }
        checkpoint = dataclasses.replace(taken, scalars=scalars)
        try:
            save(self._run_folder.checkpoints, checkpoint, keep=self._keep, metrics=grown)
            self._run_folder.drop_replaced()
        except NearfarError as error:
            raise NearfarError(
                f"{error}; {self.last_good}: put that right, then "
                f"`{self._run_folder.resume_command}`"
            ) from error
