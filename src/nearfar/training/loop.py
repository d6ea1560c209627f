"""One plain loop. It asks nothing about the method, the views or the source of the images."""

import functools
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from rich.console import Console
from torch import Tensor

from nearfar.encoders.freezing import training_mode
from nearfar.errors import NearfarError
from nearfar.methods.method import Method
from nearfar.modality import Modality
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.names import KEPT_EPOCH
from nearfar.torch_defaults import own_defaults
from nearfar.training.best_epoch import BestEpoch
from nearfar.training.compiled import compiled_encoders
from nearfar.training.ends import EndedEarly
from nearfar.training.environment import recorded_environment
from nearfar.training.epoch_check import AfterCheck, EpochCheck
from nearfar.training.generators import Generators
from nearfar.training.hardware import choose_hardware
from nearfar.training.interruption import Interrupted, StopSignals
from nearfar.training.kept_memory import kept_memory
from nearfar.training.metrics_log import MetricsLog
from nearfar.training.online_probe import OnlineProbe
from nearfar.training.pair_noise import MakeViews, views_of_batch
from nearfar.training.placing import Placing, placed
from nearfar.training.progress import TrainingProgress
from nearfar.training.ranks import Ranks
from nearfar.training.resuming import Saver, checkpoint_settings, find_start, new_start
from nearfar.training.specs import TrainingSpec
from nearfar.training.state import Position, TrainingState
from nearfar.training.step import Steps, step_without_effect
from nearfar.training.step_log import StepLog
from nearfar.training.thread_choice import ThreadChoice
from nearfar.training.tracker import Tracking
from nearfar.training.weight_average import WeightAverage


@runtime_checkable
class Batches(Protocol):
    """What the loop asks of the data; `TrainingBatches` gives it."""

    batch_size: int

    @property
    def modality(self) -> Modality:
        """What the examples are."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(
        self, number: int, first_step: int = 0
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Images on the device, labels or None, and indices, of each batch from `first_step` on.

        Of several ranks, each yields its own equal share of the batch.
        """
        ...

    def beside(self, indices: Tensor, generator: torch.Generator) -> Tensor | None:
        """What second views of these examples are of; None: of the examples themselves."""
        ...


@own_defaults()
def train(
    method: Method,
    views: MakeViews,
    batches: Batches,
    config: TrainingSpec,
    run_folder: RunFolder,
    *,
    seed: int,
    experiment: Mapping[str, Any] | None = None,
    resume: bool = False,
    knn: Callable[..., Mapping[str, Any]] | None = None,
    probe: OnlineProbe | None = None,
    after_check: AfterCheck | None = None,
    settle: Callable[[], str | None] | None = None,
    tracking: Tracking | None = None,
    learnt_from: str = "",
    console: Console | None = None,
) -> None:
    """Train a method, or go on training it, and leave it trained in place.

    A resumed run ends with the same bits as one that was never stopped, on the same hardware with
    the same number of threads: the order of the data and the learning rate are functions of the
    step, and a checkpoint holds everything else. The method must be built the same way again. On
    another number of ranks it goes on from the same bits, with other draws.

    With `config.ema` an average of the weights is kept beside them. It is what `knn` judges, and
    what is left in place at the end; checkpoints hold both. With `config.keep_epoch` of "best" the
    weights that `knn` found best are, the average's where there is one; they are in every
    checkpoint, and `environment.json` says whose epoch they are.

    Where torch's process group is set up (`nearfar.training.ranks.joined_ranks`), every rank calls
    this together: they train one method on the global batch. The first alone touches the run
    folder, calls `knn` and shows progress.

    Args:
        method: What is trained; moved to the device that the settings choose.
        views: Makes random views of each batch.
        batches: Gives the examples; on that same device.
        config: How long, how fast, on what.
        run_folder: Takes metrics, events, checkpoints and the environment.
        seed: Decides the views, and every other draw during training.
        experiment: What else makes the run this one, by name, in JSON's own types: settings of the
            data, the views and the method, a fingerprint of the data. A run is only gone on with
            where all are the same.
        resume: Go on from the newest whole checkpoint; at the beginning where there is none.
        knn: Judges the encoder (in eval mode) every `config.knn_every` epochs and after the last;
            gives what to log, accuracies as fractions, `top1` among them. With a probe it is given
            what turns features into the probe's shares of the classes, too.
        probe: Learns the labels beside the run, on the first rank; it changes nothing of the run.
        after_check: Is told, on the first rank, the epochs done and what `knn` found. Where it
            gives a sentence, that is logged, the run is saved, and it ends there.
        settle: Is called by every rank after each epoch and before a stop, when what was found in
            the data meanwhile is put together. Where it gives a sentence, the run is saved, and
            that is the error by which it ends.
        tracking: Is handed the scalars that are logged, on the first rank; decides nothing.
        learnt_from: How many examples of what, in words, for `environment.json`.
        console: Where progress is shown; None shows nothing.

    Raises:
        SettingError: A setting is impossible, or this machine lacks the device, or the best epoch
            is to be kept and `knn` is None.
        Interrupted: A signal came; the step was finished and saved.
        EndedEarly: `after_check` gave a sentence.
        Diverged: The loss or a gradient is not finite.
        NearfarError: A checkpoint cannot be written or read, or the folder already holds
            checkpoints and `resume` is not set; or `settle` gave a sentence.
    """
    ranks = Ranks.now()
    hardware = choose_hardware(config.device, config.precision)
    placing = placed(method, config, hardware, ranks)
    optimizer = config.optimizer.build(method)
    average = None if config.ema is None else WeightAverage(method, config.ema)
    if config.keep_epoch == "best" and knn is None:
        raise config.no_check("there is no check")
    best = BestEpoch(method, average) if config.keep_epoch == "best" else None
    steps_per_epoch = batches.steps_per_epoch
    total_steps = config.epochs * steps_per_epoch
    settings = checkpoint_settings(
        config, hardware, experiment or {}, seed=seed, steps_per_epoch=steps_per_epoch
    )

    with (
        ranks.on_first(run_folder.held),
        Generators(seed, hardware.device, ranks.rank) as generators,
        TrainingProgress(
            console if ranks.first else None,
            config.epochs,
            steps_per_epoch,
            batches.batch_size,
            batches.modality,
        ) as progress,
        ThreadChoice(
            hardware.device,
            threads=config.threads,
            alone=ranks.count == 1,
            say=progress.note,
        ) as threads,
        compiled_encoders(method, hardware.device, wanted=bool(config.compile)) as compiled,
        kept_memory(hardware.device),
    ):
        if probe is not None:
            probe.to(hardware.device)
        steps = Steps(method, optimizer, hardware, config, ranks, average, probe, compiled, placing)
        state = TrainingState(
            method, optimizer, generators, ranks, average, probe, best, steps.scale
        )
        begin = functools.partial(find_start, state, settings) if resume else new_start
        start = begin(run_folder, ranks)
        for note in start.notes:
            progress.note(note)
        if start.position.epoch == config.epochs:
            progress.note(f"{run_folder} is trained already: all {config.epochs} epochs are done")
            _finish(average, best, placing, config, run_folder, ranks, progress)
            return
        where = f"{ranks.count} ranks, each on {hardware.summary}"
        progress.note(
            f"{config.epochs} epochs of {steps_per_epoch} steps on "
            + (where if ranks.count > 1 else hardware.summary)
        )
        if config.shard and not placing.shared_out:
            progress.note("training.shard: this is the only rank, so the encoder stays whole")
        if compiled is not None:
            progress.note("the encoder is compiled: the first steps take up to minutes")
        if resume:
            progress.note(f"going on after step {start.step} of {total_steps}")
        if start.threads is not None and not threads.keep(start.threads):
            progress.note(
                f"the checkpoint was made with threads {start.threads}, this is "
                f"{torch.get_num_threads()}: the result can differ in its last digits"
            )

        with (
            ranks.on_first(
                lambda: recorded_environment(
                    run_folder,
                    hardware,
                    ranks=ranks.count,
                    resumed_at=start.step if resume else None,
                    seconds=start.seconds,
                    learnt_from=learnt_from,
                )
            ) as clock,
            ranks.on_first(
                lambda: MetricsLog(
                    run_folder, steps_per_epoch, start.step, start.metrics_size, tracking
                )
            ) as metrics,
            StopSignals(quiet=not ranks.first) as stop,
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
            log = StepLog(
                method,
                hardware,
                ranks,
                run_folder,
                progress,
                ahead=steps.ahead,
                guarded=steps.guarded,
                total_steps=total_steps,
                metrics=metrics,
                saver=saver,
                probe=probe,
            )
            check = None
            if knn is not None and config.knn_every:
                judged = placing if average is None else average
                check = EpochCheck(
                    knn, method, lambda: judged.encoder, probe, metrics, progress, after_check
                )
            step, first_step = start.step, start.position.step
            progress.begin(step)
            for epoch in range(start.position.epoch, config.epochs):
                training_mode(method)
                for images, labels, indices in batches.epoch(epoch, first_step):
                    beside = batches.beside(indices, generators.views)
                    threads.before_step(
                        functools.partial(
                            step_without_effect,
                            method,
                            views,
                            images,
                            labels,
                            indices,
                            hardware,
                            config,
                            beside,
                        )
                    )
                    rate = config.schedule.rate_at(
                        step,
                        peak=config.optimizer.learning_rate,
                        total_steps=total_steps,
                        steps_per_epoch=steps_per_epoch,
                    )
                    drawn = views_of_batch(
                        views,
                        images,
                        labels,
                        generators.views,
                        config.false_positives,
                        beside,
                    )
                    drawn += method.belonging(indices)
                    figures = steps.gradients(drawn, labels)
                    log.computed(step + 1, epoch, indices, rate, figures)
                    steps.take(step, total_steps, rate, drawn[0], labels)
                    step += 1
                    threads.after_step()
                    log.taken(drawn)
                    if received := ranks.largest(stop.received or 0):
                        log.rest()
                        if settle is not None:
                            settle()
                        saver.save(step, Position(epoch, step - epoch * steps_per_epoch))
                        raise _interrupted(received, step, total_steps, run_folder)

                log.rest()
                first_step = 0
                done, last, told = epoch + 1, epoch + 1 == config.epochs, None
                if check is not None and (done % config.knn_every == 0 or last):
                    placing.gather()
                    found, told = ranks.from_first(functools.partial(check, step, done))
                    if best is not None:
                        best.see(done, found)
                refused = None if settle is None else settle()
                received = ranks.largest(stop.received or 0)
                if done % config.checkpoint_every == 0 or last or received or told or refused:
                    saver.save(step, Position(done))
                if refused is not None:
                    raise NearfarError(
                        f"{refused}; all is saved: then go on with `{run_folder.resume_command}`"
                    )
                if told is not None:
                    raise EndedEarly(told)
                if received:
                    raise _interrupted(received, step, total_steps, run_folder)
            log.tell_skipped()
        _finish(average, best, placing, config, run_folder, ranks, progress)


def _finish(
    average: WeightAverage | None,
    best: BestEpoch | None,
    placing: Placing,
    config: TrainingSpec,
    run_folder: RunFolder,
    ranks: Ranks,
    progress: TrainingProgress,
) -> None:
    """Put in place what is judged and saved from now on, and say which epoch's it is."""
    placing.put_in_place()
    if best is None:
        if average is not None:
            average.put_in_place()
        return
    best.put_in_place()
    found = best.figures
    progress.note(
        f"the encoder of epoch {found['epoch']} of {config.epochs} is kept: its kNN check is the "
        f"best, {100 * found['top1']:.1f} % (last epoch: {100 * found['last_top1']:.1f} %)"
    )
    with ranks.agreeing():
        if ranks.first:
            environment = run_folder.read_environment()
            if environment.get(KEPT_EPOCH) != found:
                run_folder.write_environment(environment | {KEPT_EPOCH: found})


def _interrupted(received: int, step: int, total_steps: int, run_folder: RunFolder) -> Interrupted:
    name = signal.Signals(received).name
    return Interrupted(
        f"stopped by {name} after step {step} of {total_steps}, all saved: "
        f"go on with `{run_folder.resume_command}`",
        received,
    )
