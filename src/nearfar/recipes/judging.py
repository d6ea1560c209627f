"""What a training leaves: its encoders on the disk, and what they are worth beside baselines."""

from collections.abc import Sequence

import torch
from rich.console import Console
from torch import nn

from nearfar.data.source import Source
from nearfar.encoders.lora import merged
from nearfar.encoders.saved import has_second, load_encoder, load_head, save_encoder
from nearfar.encoders.saved_classifier import save_classifier
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.judged import Towers
from nearfar.evaluation.records import FeatureKind
from nearfar.recipes.assembly import (
    Assembly,
    head_spec_of,
    started_encoder,
    untrained_encoder,
    untrained_towers,
)
from nearfar.recipes.console import print_scores
from nearfar.recipes.example_format import Format, views_of
from nearfar.recipes.knn_check import kept_epoch
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.start import (
    recorded_start,
    start_as_recorded,
)
from nearfar.recipes.under_way import saying
from nearfar.recipes.unreadable import UnreadableFiles
from nearfar.run_folder.folder import RunFolder
from nearfar.standardising import NO_FLOAT64
from nearfar.terminal import shown
from nearfar.training.hardware import choose_hardware
from nearfar.training.ranks import Ranks
from nearfar.training.thread_choice import ThreadChoice


def save_encoders(assembly: Assembly, run_folder: RunFolder) -> None:
    """Saves the trained encoder, its head, and what the method has beside them."""
    classifier = getattr(assembly.method, "classifier", None)
    if classifier is not None:
        # Before the encoder, whose file says that the training is over.
        save_classifier(run_folder.path, classifier)
    _save_second(assembly, run_folder)
    recipe = assembly.recipe
    head, spec = assembly.method.embedding_head, head_spec_of(recipe.method, assembly.method)
    save_encoder(
        run_folder.path,
        merged(assembly.method.encoder),
        recipe.encoder,
        shape=assembly.format.shape,
        mean=assembly.format.mean,
        std=assembly.format.std,
        head=None if spec is None or head is None else (spec, head),
        columns=assembly.format.columns,
    )


def _save_second(assembly: Assembly, run_folder: RunFolder) -> None:
    """Saves the encoder of what is paired with the examples, where there is one."""
    tower, second = assembly.method.second_tower, assembly.format.second
    side = assembly.recipe.method.second_side
    if tower is None or second is None or side is None:
        return
    save_encoder(
        run_folder.path,
        merged(tower.encoder),
        side.encoder,
        shape=second.shape,
        mean=second.mean,
        std=second.std,
        head=(tower.head_spec, tower.head),
        tower="second",
    )


def judge_encoder(
    recipe: Recipe,
    source: Source,
    run_folder: RunFolder,
    encoder: SavedEncoder,
    classifier: nn.Linear | None,
    target: RunFolder,
    console: Console,
    first: Sequence[str] = (),
) -> None:
    """Evaluates a run's encoder beside its baselines; prints the scores, `first` before notes."""
    head = load_head(run_folder.path)
    towers: dict[FeatureKind, Towers] = {}
    device = choose_hardware(recipe.training.device, recipe.training.precision).device
    if device.type == NO_FLOAT64:  # which many protocols compute in
        device = torch.device("cpu")
    second = None
    if has_second(run_folder.path) and source.second_modality is not None:
        second = load_encoder(run_folder.path, "embedding", tower="second").to(device)
        _require_partners(second, source)
    example_format = Format.of_encoder(encoder, second)
    if second is not None and head is not None:
        towers["encoder"] = Towers(encoder.with_head(head).to(device), second)
        untrained = untrained_towers(recipe, example_format)
        if untrained is not None and recipe.evaluation.baselines:
            towers["untrained"] = Towers(untrained.first.to(device), untrained.second.to(device))
    started, lost = None, []
    if recipe.encoder.start is not None and recipe.evaluation.baselines:
        try:
            start = start_as_recorded(recipe.encoder, recorded_start(run_folder))
            started = started_encoder(recipe, example_format, start)
        except NearfarError as error:
            lost = [f"the weights that it began with are not judged beside it: {error}"]
    choice = ThreadChoice(
        device,
        threads=recipe.training.threads,
        say=lambda line: console.print(shown(line), highlight=False),
    )
    with choice as threads, saying(console, "judging the encoder") as say:
        found = evaluate(
            encoder.to(device),
            source,
            recipe.evaluation,
            classifier=classifier,
            embedding=None if head is None else encoder.with_head(head).to(device),
            views=views_of(recipe, example_format),
            untrained=untrained_encoder(recipe, example_format).to(device),
            start=None if started is None else started.to(device),
            towers=towers,
            run_folder=target,
            first=[*first, *kept_epoch(recipe, run_folder), *lost],
            device=device,
            workers=recipe.data.readers,
            threads=threads,
            say=say,
        )
    if target.path == run_folder.path:
        UnreadableFiles(source.faults, target, Ranks(), lambda _: None).write()
    print_scores(console, [record.as_json() for record in found.records], found.notes)


def _require_partners(second: SavedEncoder, source: Source) -> None:
    """Refuse pairs whose other side the second encoder does not take."""
    assert source.train.partners is not None
    paired = source.train.partners.as_part()
    try:
        second.check(paired.example_shape, paired.modality)
    except NearfarError as error:
        raise SettingError(f"what {source.name} pairs its examples with: {error}") from None
