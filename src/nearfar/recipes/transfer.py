"""Encoders of runs on other sets, beside random and supervised starts: one table, gone on with."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from rich.console import Console

from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import Source
from nearfar.data.source_spec import OwnDataSpec, SourceSpec
from nearfar.data.sources import load_source
from nearfar.durable_files import make_folder, remove_leftovers, write_durably
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.stages import tells_layers
from nearfar.errors import NearfarError, SettingError, require_known
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.transfer import PROTOCOLS, Features, features_of, some_of, unfit
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.assembly import untrained_encoder
from nearfar.recipes.config_json import read_recipe, recipe_to_json
from nearfar.recipes.example_format import Format
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.report.transfer_table import Cell, Table
from nearfar.run_folder import names
from nearfar.run_folder.manifest import json_checksum
from nearfar.spec import to_json
from nearfar.terminal import Terminal, shown
from nearfar.torch_defaults import own_defaults

_FORMAT = 1
"""Counts up where the same encoder and set give other figures."""


@dataclass(frozen=True)
class Start:
    """Where a probe begins.

    Attributes:
        kind: A run's encoder, one that learnt with labels, or the network at its first weights.
        group: What it is a seed of.
        seed: The run's.
        encoder: Ready for examples.
        fingerprint: Equal for equal weights and settings.
    """

    kind: Literal["pretrained", "supervised", "random"]
    group: str
    seed: int
    encoder: SavedEncoder
    fingerprint: str


@own_defaults()
def transfer(
    runs: Sequence[Path],
    sets: Sequence[SourceSpec],
    out: Path,
    *,
    supervised: bool = False,
    draws: int = 5,
    train_examples: int | None = None,
    test_examples: int | None = None,
    leave_out: Sequence[str] = (),
    layer_decay: float = 1.0,
    head_rate: float = 1.0,
    console: Console | None = None,
) -> Table:
    """Judge the encoders of runs on sets, each beside the same network at its first weights.

    Every figure is written when it is found: called again, a killed transfer goes on after it.

    Args:
        runs: Run folders; those of one recipe that differ by their seed alone are one row.
        sets: With labels and a test part.
        out: Folder for the figures; made if missing.
        supervised: Train a supervised start, by cross-entropy on the first run's own data and
            recipe, where none of the runs is one.
        draws: Of the few labels.
        train_examples: Of a set at most, always the same ones; None takes all.
        test_examples: Likewise.
        leave_out: Protocols that are not run.
        layer_decay: Of fine-tuning: the rate of each layer in those of the layer above it.
        head_rate: Of fine-tuning: the classifier's rate in those of the network.
        console: Where a person watches; by default standard output.

    Raises:
        NearfarError: A run or a set cannot be read.
    """
    console = console or Terminal(goes_on=True)
    require_known("protocol of transfer in leave_out", leave_out, PROTOCOLS)
    protocols = {name: each for name, each in PROTOCOLS.items() if name not in leave_out}
    rates = {"layer_decay": layer_decay, "head_rate": head_rate}
    rates = {name: rate for name, rate in rates.items() if rate != 1}
    make_folder(out / "cells")
    remove_leftovers(out / "cells")
    runs = list({run.resolve(): run for run in runs}.values())
    recipes = [read_recipe(run) for run in runs]
    if supervised and not any(recipe.method.reads_labels for recipe in recipes):
        runs.append(_trained_supervised(recipes[0], out / "supervised", console))
        recipes.append(read_recipe(runs[-1]))
    starts = _starts(runs, recipes)
    notes = list(_notes(starts))
    if rates and "fine_tuned" in protocols:
        _require_layers(starts, layer_decay)
        told = []
        if "layer_decay" in rates:
            told.append(f"each layer's rate ×{layer_decay:g} that of the layer above it")
        if "head_rate" in rates:
            told.append(f"the classifier's rate ×{head_rate:g} that of the network")
        notes.append(f"fine-tuned with {' and '.join(told)}")
    side = max(start.encoder.shape[-1] for start in starts)
    table = Table([], notes, draws)
    begun, judged, left = time.monotonic(), 0, len(sets) * len(starts) * len(protocols)
    for spec, called in zip(sets, _titles(sets), strict=True):
        source, told = _loaded(_at_side(spec, side), train_examples, test_examples)
        source = replace(source, name=called)
        table.notes.extend(f"{source.name}: {note}" for note in told)
        if why := unfit(source):
            table.notes.append(f"{source.name} is left out: it {why}")
            left -= len(starts) * len(protocols)
            continue
        about = source_fingerprint(source)
        for start in starts:
            features: Features | None = None
            for name, (title, protocol) in protocols.items():
                of_it = rates if name == "fine_tuned" else {}
                asked = [_FORMAT, start.fingerprint, about, spec.metric, name, draws]
                key = _key([*asked, of_it] if of_it else asked)
                file = out / "cells" / f"{key}.json"
                values, left = _kept(file, key), left - 1
                if values is None:
                    try:
                        features = features or features_of(
                            start.encoder, source, spec.metric, workers=spec.readers
                        )
                    except NearfarError as error:
                        table.notes.append(f"{source.name}, {start.group}: {error}")
                        left -= len(protocols) - list(protocols).index(name) - 1
                        break
                    values = protocol(features, seed=0, draws=draws, **of_it)
                    _keep(file, key, values)
                    judged += 1
                cell = _cell(spec, source, start, name, values)
                table.cells.append(cell)
                pace = (time.monotonic() - begun) / judged if judged else 0.0
                console.print(_line(cell, title, pace * left), highlight=False)
        if source.faults is not None:
            source.faults.refuse_too_many()
            table.notes.extend(f"{source.name}: {note}" for note in source.faults.notes())
    _write(table, out)
    return table


def _starts(runs: Sequence[Path], recipes: Sequence[Recipe]) -> list[Start]:
    """The runs' encoders and their first weights, each of the latter once."""
    groups: dict[str, str] = {}
    found: list[Start] = []
    random: dict[str, Start] = {}

    def group(about: Any, title: str, run: Path) -> str:
        """The row of what is alike but for its seed; the run is named where a row has the title."""
        alike, taken = _key(about), set(groups.values())
        names_of_it = (title, f"{title} ({run.name})", f"{title} ({run})", alike)
        return groups.setdefault(alike, next(each for each in names_of_it if each not in taken))

    for run, recipe in zip(runs, recipes, strict=True):
        encoder = load_encoder(run)
        alike = recipe_to_json(_learning_of(replace(recipe, seed=0)))
        row = group(alike, _title_of(recipe, recipes), run)
        about = json.loads((run / names.ENCODER_SETTINGS).read_text())
        kind = "supervised" if recipe.method.reads_labels else "pretrained"
        found.append(Start(kind, row, recipe.seed, encoder, _key([about["sha256"]])))
        # Whatever weights it starts with, its first ones are drawn.
        network = [to_json(replace(recipe.encoder, start=None)), list(encoder.shape)]
        key = _key([*network, recipe.seed])
        if key not in random:
            # Examples are normalised as for the first run that has this network.
            example_format = Format.of_encoder(encoder)
            first = untrained_encoder(recipe, example_format)
            row = group(network, f"random init, {recipe.encoder.name}", run)
            fingerprint = _key(["first weights", key, example_format.mean, example_format.std])
            random[key] = Start("random", row, recipe.seed, first, fingerprint)
    return [*found, *random.values()]


def _title_of(recipe: Recipe, among: Sequence[Recipe]) -> str:
    """The method and what it learnt from; with its objective, where SimCLR has several here."""
    title, method = recipe.method.title, recipe.method
    if isinstance(method, SimCLRSpec) and len(set(map(_objective_of, among)) - {None}) > 1:
        title += f" by {method.objective.name}"
    return f"{title} on {recipe.data.name}"


def _objective_of(recipe: Recipe) -> str | None:
    return recipe.method.objective.name if isinstance(recipe.method, SimCLRSpec) else None


def _require_layers(starts: Sequence[Start], layer_decay: float) -> None:
    """Refuse rates by layer of a network that does not tell its layers, before any work."""
    for start in starts if layer_decay != 1 else ():
        if not tells_layers(start.encoder.backbone):
            raise SettingError(
                f"--layer-decay is {layer_decay:g}: {start.encoder.config.name} does not tell its "
                "layers: leave it out"
            )


def _notes(starts: Sequence[Start]) -> list[str]:
    if any(start.kind == "supervised" for start in starts):
        return []
    return [
        "no supervised start: name a run that learnt with labels too, or let one be trained by "
        "--supervised"
    ]


def _trained_supervised(recipe: Recipe, folder: Path, console: Console) -> Path:
    """A run by cross-entropy with all else as in a recipe; gone on with where it was cut.

    Raises:
        NearfarError: The folder holds one that learnt from other data or by another recipe.
    """
    wanted = replace(recipe, method=CrossEntropySpec())
    if (folder / names.CONFIG).exists():
        if _learning_of(read_recipe(folder)) != _learning_of(wanted):
            raise NearfarError(
                f"{folder} holds a supervised start for a run of other data or settings: choose "
                "another --out, or remove it"
            )
        if not (folder / names.ENCODER_SETTINGS).exists():
            resume_run(folder, console=console)
    else:
        run_recipe(wanted, folder, console=console)
    return folder


def _learning_of(recipe: Recipe) -> Recipe:
    """All of a recipe that decides what is learnt, its data by the one name of their place."""
    data = recipe.data if recipe.data.place is None else recipe.data.at(recipe.data.place.resolve())
    return replace(recipe, data=data, evaluation=EvaluationSpec())


def _titles(sets: Sequence[SourceSpec]) -> list[str]:
    """What tables call the sets: one's own data by file or folder, or by its whole path."""
    plain = [
        spec.place.name if isinstance(spec, OwnDataSpec) and spec.place else spec.name
        for spec in sets
    ]
    return [
        str(spec.place) if plain.count(title) > 1 and spec.place else title
        for spec, title in zip(sets, plain, strict=True)
    ]


def _at_side(spec: SourceSpec, side: int) -> SourceSpec:
    """Images of any size are read no larger than the encoders take them."""
    if getattr(spec, "image_size", 0) is None:
        return replace(cast(Any, spec), image_size=max(4, side))
    return spec


def _loaded(
    spec: SourceSpec, train: int | None, test: int | None
) -> tuple[Source, tuple[str, ...]]:
    source = load_source(spec)
    told = list(source.notes)
    parts = {}
    for name, most in (("train", train), ("test", test)):
        part = getattr(source, name)
        parts[name] = None if part is None else some_of(part, most)
        if part is not None and len(parts[name]) < len(part):
            told.append(f"{len(parts[name]):,} of {len(part):,} {name} examples")
    return replace(source, **parts), tuple(told)


def _cell(
    spec: SourceSpec, source: Source, start: Start, protocol: str, values: tuple[float, ...]
) -> Cell:
    assert source.test is not None
    return Cell(
        set=source.name,
        metric=spec.metric,
        classes=source.num_classes or len(source.class_names or ()),
        examples=len(source.train),
        test_examples=len(source.test),
        start=start.group,
        kind=start.kind,
        seed=start.seed,
        protocol=protocol,
        values=values,
    )


def _line(cell: Cell, title: str, seconds: float) -> str:
    mean = f"{100 * sum(cell.values) / len(cell.values):.1f} %" if cell.values else "not defined"
    left = f" · {int(seconds) // 60}:{int(seconds) % 60:02d} left" if seconds else ""
    return f"{shown(cell.set)}, {shown(cell.start)}, seed {cell.seed}, {title}: {mean}{left}"


def _key(about: Any) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _kept(file: Path, key: str) -> tuple[float, ...] | None:
    """A figure that was found before; None where there is none or it was changed."""
    try:
        record = json.loads(file.read_bytes())
        claimed = record.pop("sha256")
        if claimed != json_checksum(record) or record["key"] != key:
            return None
        return tuple(float(each) for each in record["values"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _keep(file: Path, key: str, values: tuple[float, ...]) -> None:
    record = {"key": key, "values": list(values)}
    write_durably(file, json.dumps(record | {"sha256": json_checksum(record)}).encode())


def _write(table: Table, out: Path) -> None:
    """`transfer.json`, `transfer.csv` and the page, each whole or as it was."""
    from nearfar.report.transfer_page import page

    record = {"cells": [asdict(cell) for cell in table.cells], "notes": table.notes}
    write_durably(out / "transfer.json", json.dumps(record, indent=1).encode() + b"\n")
    write_durably(out / "transfer.csv", table.as_csv().encode(errors="backslashreplace"))
    write_durably(out / "transfer.html", page(table).encode(errors="backslashreplace"))
