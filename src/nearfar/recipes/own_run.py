"""Trains an encoder for data of one's own: chooses, measures, says why, and runs the recipe."""

import math
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from nearfar.data.source import Source
from nearfar.errors import SettingError
from nearfar.launch import launched
from nearfar.recipes.assembly import Assembly, as_saved, assemble
from nearfar.recipes.own_choices import OwnChoice, learnt_from
from nearfar.recipes.recipe import Recipe
from nearfar.terminal import shown
from nearfar.torch_defaults import own_defaults
from nearfar.training.hardware import waited_for
from nearfar.training.step import step_without_effect
from nearfar.training.thread_choice import ThreadChoice

MOST_EPOCHS = 1000
_STEPS, _SECONDS = 8, 8.0
"""Steps that are measured, or for so long."""
_PROBES = 0.08
"""Share of the time that probes, maps and the page are given, beside the measured features."""
_CHECKS = 10
_LARGE = 4 * 2**30
_FEW_PICTURES = 5000
"""Pictures below which weights that were learnt elsewhere are offered."""


def with_measured_length(
    recipe: Recipe, source: Source, minutes: float, epochs: int | None
) -> tuple[Recipe, list[OwnChoice], list[str]]:
    """The recipe with as many epochs as the time allows, by steps that are measured here.

    Args:
        recipe: All else.
        source: Its data.
        minutes: For all of it, judging too.
        epochs: What was asked for; None chooses.

    Returns:
        The recipe, the choice, and warnings.
    """
    if launched().ranks > 1:
        if epochs is None:
            raise SettingError(
                "under torchrun the length is not measured: give --training.epochs, and the same "
                "options to every process"
            )
        return recipe, [], []
    with own_defaults():
        assembly = assemble(recipe, source)
        step, judging = _measure(assembly)
    per_epoch = assembly.batches.steps_per_epoch
    warnings = _large(recipe, assembly)
    left = 60 * minutes * (1 - _PROBES) - judging
    if epochs is None:
        fitting = int(left / (step * per_epoch))
        epochs = min(max(fitting, 1), MOST_EPOCHS)
        why = f"a step takes {_seconds(step)} here, an epoch has {per_epoch}"
        why += f", judging about {_seconds(judging + 60 * minutes * _PROBES)}"
        if fitting < 1:
            warnings.append(
                f"one epoch takes about {_minutes(step * per_epoch)}: with judging more than "
                f"--minutes {minutes:g}; a smaller --views.size or --encoder.width is faster"
            )
        elif fitting > MOST_EPOCHS:
            why += f"; more than {MOST_EPOCHS} are seldom of use"
        choices = [OwnChoice("epochs", f"{epochs}", why, "--minutes, --training.epochs")]
    else:
        took = epochs * step * per_epoch + judging
        choices = []
        if took > 60 * minutes:
            warnings.append(f"{epochs} epochs take about {_minutes(took)} here, judging included")
    training = replace(recipe.training, epochs=epochs, knn_every=max(1, epochs // _CHECKS))
    return replace(recipe, training=training), choices, warnings


def _measure(assembly: Assembly) -> tuple[float, float]:
    """Seconds of a step, and of taking all features twice, as the evaluation does."""
    recipe = assembly.recipe
    images, labels, numbers = next(iter(assembly.batches.epoch(0)))
    work = step_without_effect(
        assembly.method,
        assembly.views,
        images,
        labels,
        numbers,
        assembly.hardware,
        recipe.training,
    )
    device = assembly.hardware.device
    choice = ThreadChoice(device, threads=recipe.training.threads, say=lambda _: None)
    with choice as threads:
        threads.before_step(lambda: work)
        step = _time_of(work, device)
        encoder = as_saved(assembly.method.encoder, recipe, assembly.format)
        encoder.to(device).eval()
        with torch.no_grad():
            forward = _time_of(lambda: encoder(images), device)
    source = assembly.source
    examples = len(source.train) + len(source.test or ())
    # What a step does beside, the optimiser's update, is a few hundredths of it.
    return 1.05 * step, 2 * examples / len(images) * forward


def _time_of(work: Callable[[], object], device: torch.device) -> float:
    """Median seconds of a call, after one that warms up."""
    work()
    times: list[float] = []
    while len(times) < _STEPS and sum(times) < _SECONDS:
        begun = time.monotonic()
        work()
        waited_for(device)
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def _large(recipe: Recipe, assembly: Assembly) -> list[str]:
    """What will be slow or large, before it is."""
    warnings = []
    views = 4 * recipe.views.count * recipe.training.batch_size * math.prod(assembly.format.shape)
    if views > _LARGE:
        warnings.append(
            f"the views of one step take {views / 2**30:.1f} GiB: lower --views.size or "
            "--training.batch-size"
        )
    shape = assembly.format.shape
    small = recipe.encoder.name.startswith(("small-", "cifar-"))
    if len(shape) == 3 and shape[1] > 64 and small:
        warnings.append(
            f"{recipe.encoder.name} is made for 32 px and is given {shape[1]} px, "
            f"{(shape[1] / 32) ** 2:.0f} times the work: --views.size 32 is faster, --encoder "
            "timm/resnet18 sees more"
        )
    return warnings


def print_choices(
    console: Console, choices: Sequence[OwnChoice], warnings: Sequence[str], hints: Sequence[str]
) -> None:
    """A line for each choice: what, why, and the option that changes it.

    Args:
        console: Where to print.
        choices: In order.
        warnings: What will be slow or large.
        hints: What else these data allow.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("chosen", "", "because", "changed by"):
        table.add_column(head, overflow="fold")
    for each in choices:
        table.add_row(
            f"[dim]{shown(each.what)}[/dim]",
            shown(each.value),
            shown(each.why),
            f"[dim]{shown(each.option)}[/dim]",
        )
    console.print(table)
    for line in warnings:
        console.print(f"[yellow]warning[/yellow]  {shown(line)}")
    for line in hints:
        console.print(f"[dim]also[/dim]  {shown(line)}")
    console.print()


def hints_for(source: Source, path: Path, recipe: Recipe) -> list[str]:
    """What else may be done with these data, as commands.

    Args:
        source: The data.
        path: As it was given.
        recipe: What will be trained.
    """
    hints = []
    whole = source.unlabelled is None
    if source.train.labels is not None and whole and not recipe.method.needs_labels:
        hints.append(
            f"nearfar train {shlex.quote(str(path))} --method supcon learns from the labels of "
            f"these {source.num_classes} classes, too"
        )
    count = len(source.train) + len(source.unlabelled or ())
    few = source.modality == "images" and count < _FEW_PICTURES
    if few and recipe.encoder.start is None:
        hints.append(
            f"{count:,} pictures are few: --encoder timm/resnet18 --encoder.start "
            "pretrained begins from weights that timm knows (fetched once)"
        )
    return hints


def fitted_batch(recipe: Recipe, source: Source) -> tuple[Recipe, list[str]]:
    """The recipe with a batch that is no larger than the data, and a note where it shrank.

    Args:
        recipe: With the batch that was asked for.
        source: The data.
    """
    there = max(2, learnt_from(recipe.data, source, labelled=recipe.learns_from_labels))
    if recipe.training.batch_size <= there:
        return recipe, []
    training = replace(recipe.training, batch_size=there, micro_batch_size=None)
    note = f"a batch of {recipe.training.batch_size} shrinks to {there}, all there is to learn from"
    return replace(recipe, training=training), [note]


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
