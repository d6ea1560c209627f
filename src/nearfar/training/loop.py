"""One plain loop. It asks nothing about the method, the views or the source of the images."""

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, cast, runtime_checkable

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from nearfar.errors import NearfarError
from nearfar.methods.method import Method
from nearfar.training.checks import check_training_config
from nearfar.training.config import TrainingConfig
from nearfar.training.crowding import crowding_note
from nearfar.training.environment import recorded_environment
from nearfar.training.generators import Generators
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.hardware import Hardware, choose_hardware
from nearfar.training.interruption import Interrupted, StopSignals
from nearfar.training.metrics_log import MetricsLog
from nearfar.training.optimizers import build_optimizer
from nearfar.training.progress import TrainingProgress
from nearfar.training.resuming import Saver, find_start, new_start, settings_of
from nearfar.training.run_folder import RunFolder
from nearfar.training.schedule import learning_rate_at
from nearfar.training.state import Position, TrainingState

_MOST_RECORDS = 10_000
_MOST_EXAMPLES = 16


@runtime_checkable
class Batches(Protocol):
    """What the loop asks of the data; `TrainingBatches` gives it."""

    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(
        self, number: int, first_step: int = 0
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Images on the device, labels or None, and indices, of each batch from `first_step` on."""
        ...


@runtime_checkable
class Views(Protocol):
    """What the loop asks of the views; `RandomViews` gives it."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two random views of a batch of uint8 images."""
        ...


def train(
    method: Method,
    views: Views,
    batches: Batches,
    config: TrainingConfig,
    run_folder: RunFolder,
    *,
    seed: int,
    resume: bool = False,
    knn: Callable[[nn.Module], Mapping[str, float]] | None = None,
    console: Console | None = None,
) -> None:
    """Train a method, or go on training it, and leave it trained in place.

    A resumed run ends with the same bits as one that was never stopped, on the same hardware with
    the same number of threads: the order of the data and the learning rate are functions of the
    step, and a checkpoint holds everything else. The method must be built the same way again.

    Args:
        method: What is trained; moved to the device that the settings choose.
        views: Makes two random views of each batch.
        batches: Gives the images; on that same device.
        config: How long, how fast, on what.
        run_folder: Takes metrics, events, checkpoints and the environment.
        seed: Decides the views, and every other draw during training.
        resume: Go on from the newest whole checkpoint; at the beginning where there is none.
        knn: Judges the encoder (in eval mode) every `config.knn_every` epochs and after the last;
            gives accuracies as fractions, `top1` among them.
        console: Where progress is shown; None shows nothing.

    Raises:
        SettingError: A setting is impossible, or this machine lacks the device.
        Interrupted: SIGINT or SIGTERM came; the step was finished and saved.
        NearfarError: The loss or a gradient is not finite, a checkpoint cannot be written or
            read, or the folder already holds checkpoints and `resume` is not set.
    """
    check_training_config(config)
    hardware = choose_hardware(config.device, config.precision)
    module = cast(nn.Module, method)  # the Protocol leaves unsaid what every module can do
    module.to(hardware.device)
    if hardware.channels_last:
        module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = build_optimizer(config, module)
    steps_per_epoch = batches.steps_per_epoch
    total_steps = config.epochs * steps_per_epoch
    record_every = math.ceil(total_steps / _MOST_RECORDS)
    settings = settings_of(config, hardware, seed=seed, steps_per_epoch=steps_per_epoch)

    with (
        run_folder.held(),
        Generators(seed, hardware.device) as generators,
        TrainingProgress(console, config.epochs, steps_per_epoch, batches.batch_size) as progress,
    ):
        state = TrainingState(method, optimizer, generators)
        start = find_start(run_folder, state, settings) if resume else new_start(run_folder)
        for note in start.notes:
            progress.note(note)
        if start.position.epoch == config.epochs:
            progress.note(f"{run_folder} is trained already: all {config.epochs} epochs are done")
            return
        progress.note(f"{config.epochs} epochs of {steps_per_epoch} steps on {hardware.summary}")
        if (crowded := crowding_note(hardware.device)) is not None:
            progress.note(crowded)
        if resume:
            progress.note(f"going on after step {start.step} of {total_steps}")

        with (
            recorded_environment(
                run_folder,
                hardware,
                resumed_at=start.step if resume else None,
                seconds=start.seconds,
            ) as clock,
            MetricsLog(run_folder, steps_per_epoch, start.step, start.metrics_size) as metrics,
            StopSignals() as stop,
        ):
            saver = Saver(
                run_folder,
                state,
                settings,
                metrics,
                clock=clock,
                saved_step=start.step,
                keep=config.keep_checkpoints,
            )
            step, first_step = start.step, start.position.step
            progress.begin(step)
            for epoch in range(start.position.epoch, config.epochs):
                method.train()
                for images, labels, indices in batches.epoch(epoch, first_step):
                    rate = _learning_rate(config, step, steps_per_epoch)
                    pair = views(images, generators.views)
                    loss, norm = _gradients(
                        method, pair, labels, optimizer, hardware, config.micro_batch_size
                    )
                    if not math.isfinite(loss + norm):
                        examples = {"examples": indices.tolist()}
                        metrics.write("not_finite", step + 1, examples)
                        raise _not_finite(loss, step + 1, epoch + 1, indices, run_folder, saver)
                    _update(optimizer, rate, norm, config.clip_norm)
                    step += 1
                    method.after_step(step / total_steps)
                    progress.step(step, loss)
                    if step % record_every == 0 or step == total_steps:
                        figures = {"loss": loss, "learning_rate": rate, "gradient_norm": norm}
                        figures["images_per_second"] = progress.images_per_second()
                        figures |= method.scalars
                        metrics.write("step", step, figures)
                    if stop.received:
                        saver.save(step, Position(epoch, step - epoch * steps_per_epoch))
                        raise _interrupted(stop.received, step, total_steps, run_folder)

                first_step = 0
                done, last = epoch + 1, epoch + 1 == config.epochs
                if knn is not None and config.knn_every and (done % config.knn_every == 0 or last):
                    method.train(False)
                    accuracies = knn(method.encoder)
                    metrics.write("knn", step, accuracies)
                    progress.knn(accuracies["top1"])
                if done % config.checkpoint_every == 0 or last or stop.received:
                    saver.save(step, Position(done))
                if stop.received:
                    raise _interrupted(stop.received, step, total_steps, run_folder)


def _learning_rate(config: TrainingConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of the step about to be taken."""
    return learning_rate_at(
        step,
        peak=config.learning_rate,
        warmup_steps=round(config.warmup_epochs * steps_per_epoch),
        total_steps=config.epochs * steps_per_epoch,
    )


def _gradients(
    method: Method,
    views: tuple[Tensor, Tensor],
    labels: Tensor | None,
    optimizer: Optimizer,
    hardware: Hardware,
    micro_batch_size: int | None,
) -> tuple[float, float]:
    """Leave the gradients of one batch in the parameters; the loss, and the gradients' norm."""
    if hardware.channels_last:
        first, second = views
        views = (
            first.contiguous(memory_format=torch.channels_last),
            second.contiguous(memory_format=torch.channels_last),
        )
    optimizer.zero_grad(set_to_none=True)
    autocast = torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.bf16)
    if micro_batch_size is None:
        with autocast:
            loss = method(views, labels)
        loss.backward()
    else:
        with autocast:
            loss = cached_gradients(method, views, labels, micro_batch_size)
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    norm = get_total_norm(gradients)
    # One wait for the device, not two.
    value, size = torch.stack([loss.detach().float(), norm.float()]).tolist()
    return value, size


def _update(optimizer: Optimizer, rate: float, norm: float, clip_norm: float | None) -> None:
    """Clip the gradients and take the step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
        if clip_norm is not None and norm > clip_norm:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.mul_(clip_norm / norm)
    optimizer.step()


def _not_finite(
    loss: float, step: int, epoch: int, indices: Tensor, run_folder: RunFolder, saver: Saver
) -> NearfarError:
    """The error for a batch that would have spoilt the weights; they were not touched."""
    what = "the gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
    shown = ", ".join(str(index) for index in indices[:_MOST_EXAMPLES].tolist())
    if len(indices) > _MOST_EXAMPLES:
        shown += f" … ({len(indices)} in all, listed in {run_folder.metrics})"
    return NearfarError(
        f"stopped at step {step} (epoch {epoch}): {what}; the batch was training images {shown}; "
        f"{saver.last_good}: lower training.learning_rate, or look at these images"
    )


def _interrupted(
    received: signal.Signals, step: int, total_steps: int, run_folder: RunFolder
) -> Interrupted:
    """The error that says how to go on."""
    return Interrupted(
        f"stopped by {received.name} after step {step} of {total_steps}, all saved: "
        f"go on with `{run_folder.resume_command}`",
        received,
    )
