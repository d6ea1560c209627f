"""What a person reads while a run goes on: the header, the scores, where the report lies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import nn

from nearfar.methods.method_spec import MethodSpec
from nearfar.modality import in_words
from nearfar.recipes.assembly import Assembly
from nearfar.report.scores import FEATURES, SHOTS, SIZES, Row, score_rows
from nearfar.report.uncertainty import Score
from nearfar.report.verdict import forms, verdict
from nearfar.spec import Choice, Spec, set_apart, settings_of
from nearfar.terminal import shown
from nearfar.training.specs import TrainingSpec


def print_header(console: Console, assembly: Assembly, out: Path) -> None:
    """Says what is trained, on what, where, and for how long.

    Args:
        console: Where to print.
        assembly: The run.
        out: Its folder.
    """
    recipe, part = assembly.recipe, assembly.part
    steps = assembly.batches.steps_per_epoch
    lines = {
        "recipe": f"{recipe.recipe}, seed {recipe.seed}",
        "data": learnt_from(assembly)
        + f", views {recipe.views.name}"
        + (f" at {assembly.format.shape[1]} px" if part.modality == "images" else ""),
        "encoder": f"{recipe.encoder.name}, {_weights(assembly.method.encoder)}",
        **_second_encoder(assembly),
        "method": _method(recipe.method),
        **assembly.method.told,
        "training": f"{recipe.training.epochs} epochs of {steps} steps of "
        f"{recipe.training.batch_size}, {_optimizer(recipe.training)}"
        + ("" if recipe.training.ema is None else f", weights averaged ({recipe.training.ema:g})"),
        "hardware": assembly.hardware.summary,
        "folder": str(out),
    }
    grid = Table.grid(padding=(0, 2))
    for name, text in lines.items():
        grid.add_row(f"[dim]{name}[/dim]", shown(text))
        begun = {"encoder": "first", "second encoder": "second"}.get(name)
        for place, line in enumerate(_start(assembly, begun) if begun else ()):
            grid.add_row("" if place else "[dim]start[/dim]", shown(line))
    console.print(grid)
    for note in assembly.source.notes:
        print_note(console, note)
    console.print()


def learnt_from(assembly: Assembly) -> str:
    """How many examples of what a run learns from, with labels or without, and how many are kept.

    Args:
        assembly: The run.
    """
    part = assembly.part
    examples = in_words(part.modality, part.example_shape)
    told = f"{assembly.source.name}: {len(part):,} {examples}"
    return told + _without_labels(assembly) + _held_out(assembly)


def _weights(encoder: nn.Module) -> str:
    """How many weights an encoder has and trains, and how many features it gives."""
    weights = list(encoder.parameters())
    count = sum(each.numel() for each in weights)
    trained = sum(each.numel() for each in weights if each.requires_grad)
    some = "" if trained == count else f", {trained / 1e6:.2f} M of them trained"
    return f"{count / 1e6:.2f} M weights{some}, {encoder.num_features} features"


def _second_encoder(assembly: Assembly) -> dict[str, str]:
    """The line of the encoder of what is paired with the examples, where there is one."""
    side, tower = assembly.recipe.method.second_side, assembly.method.second_tower
    if side is None or tower is None:
        return {}
    return {"second encoder": f"{side.encoder.name}, {_weights(tower.encoder)}"}


def _start(assembly: Assembly, tower: str) -> list[str]:
    """What an encoder begins with, where its weights are not random; a line each."""
    start = assembly.starts.get(tower)
    if start is None:
        return []
    title, shape = start.origin.title, start.origin.shape
    spec, example_format = assembly.recipe.encoder, assembly.format
    side = assembly.recipe.method.second_side
    if tower == "second" and side is not None and example_format.second is not None:
        spec, example_format = side.encoder, example_format.second
    if shape is not None and shape != example_format.shape:
        title += f", of {in_words(spec.takes, shape)}"
    known = [] if start.origin.mean is None else ["examples are normalised as they were there"]
    return [title, *start.lines, *known]


def _without_labels(assembly: Assembly) -> str:
    """How many of the examples to learn from have no label, where others have one."""
    source, part = assembly.source, assembly.part
    if source.train.labels is None or source.unlabelled is None:
        return ""
    if part.labels is not None:
        return ", all with labels"
    count = len(source.unlabelled)
    return f", {count:,} of them without labels" if count < len(part) else ", none with labels"


def _held_out(assembly: Assembly) -> str:
    """How many examples the training does not see; or that the check asks some which it sees."""
    held_out, recipe = assembly.taught.held_out, assembly.recipe
    if held_out is not None:
        return f" ({len(held_out):,} held out for the kNN check)"
    unlabelled = assembly.source.train.labels is None or recipe.data.learns_from == "unlabelled"
    if unlabelled or not recipe.training.knn_every:
        return ""
    return " (none held out: the kNN check asks some that are trained on)"


def _method(method: MethodSpec) -> str:
    """A method and every setting of it."""
    return ", ".join([method.title, *_settings(settings_of(method))])


def _settings(settings: Mapping[str, Any]) -> list[str]:
    """Every setting that has a value, in words; of a choice in it all, of another spec what is set.

    Args:
        settings: By name.
    """
    told = []
    for name, value in settings.items():
        if isinstance(value, Choice):
            inner = _settings(settings_of(value))
            value = value.name + (f" ({', '.join(inner)})" if inner else "")
        elif isinstance(value, Spec):
            inner = _settings(set_apart(value))
            value = f"({', '.join(inner)})" if inner else None
        elif isinstance(value, float):
            value = f"{value:g}"
        if value is not None:
            told.append(f"{name.replace('_', ' ')} {value}")
    return told


def _optimizer(config: TrainingSpec) -> str:
    """An optimizer, its rate, and how the rate goes down."""
    optimizer = config.optimizer
    return f"{optimizer.name} at {optimizer.learning_rate:g}, {config.schedule.in_words}"


def print_scores(
    console: Console, records: Sequence[dict[str, Any]], notes: Sequence[str] = ()
) -> None:
    """The scores of the encoder beside its baselines, and what they amount to.

    Args:
        console: Where to print.
        records: As in `evaluation.json`.
        notes: What could not be judged as asked.
    """
    rows = score_rows(records)
    if rows:
        console.print(_score_table(rows))
    if any(row.by_shots for row in rows):
        console.print(_shot_table(rows))
    for sentence in verdict(rows):
        console.print(shown(sentence))
    if told := forms(rows):
        console.print(f"[dim]{shown(told)}[/dim]")
    for note in notes:
        print_note(console, note)


def print_note(console: Console, note: str) -> None:
    """One thing that a person should know."""
    console.print(f"[yellow]note[/yellow]  {shown(note)}")


def _score_table(rows: Sequence[Row]) -> Table:
    """One row a protocol, one column a kind of features; the best accuracy of a row in bold."""
    kinds = [kind for kind in FEATURES if any(kind in row.scores for row in rows)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("protocol")
    for kind in kinds:
        table.add_column(FEATURES[kind], justify="right")
    for row in rows:
        best = max(score.value for score in row.scores.values())
        cells = [_cell(row, row.scores.get(kind), best) for kind in kinds]
        detail = f" [dim]{shown(row.detail)}[/dim]" if row.detail else ""
        table.add_row(shown(row.title) + detail, *cells)
    return table


def _shot_table(rows: Sequence[Row]) -> Table:
    """The encoder's accuracies by size of class: one row a protocol, one column a size."""
    told = [row for row in rows if row.by_shots]
    groups = [shots for shots in SHOTS if any(shots in row.by_shots for row in told)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("encoder,\nby training images")
    for shots in groups:
        table.add_column(f"{SHOTS[shots]}\n{SIZES[shots].removesuffix(' each')}", justify="right")
    for row in told:
        scores = [row.by_shots.get(shots, {}).get("encoder") for shots in groups]
        detail = f" [dim]{shown(row.detail)}[/dim]" if row.detail else ""
        table.add_row(shown(row.title) + detail, *(_cell(row, score, None) for score in scores))
    return table


def _cell(row: Row, score: Score | None, best: float | None) -> str:
    """A score as a person reads it: per cent for accuracies, ± over draws or queries."""
    if score is None:
        return ""
    if not row.is_accuracy:
        error = score.standard_error
        return f"{score.value:.3f}" + ("" if error is None else f" ± {error:.3f}")
    spread = "" if score.sd is None else f" ± {100 * score.sd:.1f}"
    text = f"{100 * score.value:.1f}{spread}"
    return f"[bold]{text}[/bold]" if score.value == best else text
