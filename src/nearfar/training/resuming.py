"""What the loop saves so that it can go on, and how it finds that again."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from nearfar.errors import NearfarError
from nearfar.training.checkpoints import load_newest, save
from nearfar.training.config import TrainingConfig
from nearfar.training.hardware import Hardware
from nearfar.training.metrics_log import MetricsLog
from nearfar.training.run_folder import RunFolder
from nearfar.training.state import Position, TrainingState

_FREE_TO_CHANGE = ("precision", "knn_every", "checkpoint_every", "keep_checkpoints")
"""Settings that decide nothing about the steps, or that the hardware has a say in."""


@dataclass(frozen=True)
class Start:
    """Where a run goes on: at the beginning, or after its newest whole checkpoint.

    Attributes:
        position: Where in the data.
        step: Steps taken.
        metrics_size: Bytes of `metrics.jsonl` at that step.
        seconds: Seconds of training so far.
        notes: What a person should know.
    """

    position: Position = field(default_factory=Position)
    step: int = 0
    metrics_size: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What must be the same for a checkpoint to be gone on from, and what had better be."""

    decisive: dict[str, Any]
    hardware: dict[str, Any]


def settings_of(
    config: TrainingConfig, hardware: Hardware, *, seed: int, steps_per_epoch: int
) -> Settings:
    """The settings as they stand in a checkpoint."""
    decisive = dataclasses.asdict(config)
    for name in _FREE_TO_CHANGE:
        del decisive[name]
    decisive |= {"seed": seed, "steps_per_epoch": steps_per_epoch, "device": hardware.device.type}
    return Settings(decisive, {"bf16": hardware.bf16, "threads": torch.get_num_threads()})


def new_start(run_folder: RunFolder) -> Start:
    """The beginning of a run, in a folder that holds no other.

    Raises:
        NearfarError: The folder holds checkpoints.
    """
    if next(run_folder.checkpoints.glob("step-*"), None) is not None:
        raise NearfarError(
            f"{run_folder} holds checkpoints of a run: go on with `{run_folder.resume_command}`, "
            "or choose another --out"
        )
    return Start()


def find_start(run_folder: RunFolder, state: TrainingState, settings: Settings) -> Start:
    """Load the newest whole checkpoint into the state, and say where the run goes on.

    Raises:
        NearfarError: Every checkpoint is damaged, or they are of a run with other settings.
    """
    loaded = load_newest(run_folder.checkpoints)
    if loaded is None:
        return Start(notes=(f"no checkpoint in {run_folder} yet: starting at the beginning",))
    checkpoint, scalars = loaded.checkpoint, loaded.checkpoint.scalars
    for name, value in settings.decisive.items():
        if scalars["settings"].get(name) != value:
            raise NearfarError(
                f"cannot go on from {loaded.path}: it was made with {name} "
                f"{scalars['settings'].get(name)}, not {value}; start a new run for that"
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
    position = Position(**scalars["position"])
    return Start(
        position, checkpoint.step, scalars["metrics_size"], scalars["seconds"], tuple(notes)
    )


class Saver:
    """Saves the run's state after a step.

    Args:
        run_folder: Where.
        state: What changes from step to step.
        settings: What a checkpoint must fit.
        metrics: Synced before each checkpoint, so that no checkpoint is ahead of it.
        clock: Seconds of training so far.
        saved_step: Step of the checkpoint that this process began from; 0 for none.
        keep: Newest checkpoints that stay.
    """

    def __init__(
        self,
        run_folder: RunFolder,
        state: TrainingState,
        settings: Settings,
        metrics: MetricsLog,
        *,
        clock: Callable[[], float],
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
            NearfarError: The disk is full or refuses; names what is still there.
        """
        if step == self._saved_step:
            return
        scalars = {
            "position": dataclasses.asdict(position),
            "metrics_size": self._metrics.size(),
            "seconds": self._clock(),
            "settings": self._settings.decisive,
            "hardware": self._settings.hardware,
        }
        try:
            save(self._run_folder.checkpoints, self._state.take(step, scalars), keep=self._keep)
        except NearfarError as error:
            raise NearfarError(
                f"{error}; {self.last_good}: put that right, then "
                f"`{self._run_folder.resume_command}`"
            ) from error
        self._saved_step = step
