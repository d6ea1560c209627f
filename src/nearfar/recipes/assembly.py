"""Puts the rooms together: from a recipe to everything that training and evaluation take."""

from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from nearfar.data.batches import TrainingBatches
from nearfar.data.columns import in_columns, refuse_empty
from nearfar.data.held_out import Taught, hold_out
from nearfar.data.labels import class_counts
from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source, part_to_learn_from, train_part_of
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.encoder_files import EncoderDescription
from nearfar.encoders.head_specs import HeadSpec
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError, told_at
from nearfar.evaluation.judged import Towers
from nearfar.methods.method import Method, Tower
from nearfar.methods.method_spec import SECOND_ADAPT, SECOND_ENCODER, MethodSpec
from nearfar.recipes.example_format import Format, format_of, training_views_of
from nearfar.recipes.memory import require_memory
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.start import Start, second_start_of, start_of
from nearfar.training.generators import OwnDraws
from nearfar.training.hardware import Hardware, choose_hardware
from nearfar.training.ranks import Ranks
from nearfar.views.paired_views import PairedViews
from nearfar.views.views import Views


@dataclass(frozen=True)
class Assembly:
    """A run, ready to train.

    Attributes:
        recipe: What it was built from.
        hardware: Where it computes.
        source: All of the data.
        taught: The data without what is held out of training, and what that is.
        part: What the encoder learns from.
        format: Of the examples.
        views: Draws views of each example, and of what is paired with it.
        batches: Gives the examples, step by step.
        method: The encoder with all that trains it, on the device, at its first weights.
        start: The weights that the encoder begins with; None where they are random.
        second_start: The same of the second encoder, of a method of pairs.
    """

    recipe: Recipe
    hardware: Hardware
    source: Source
    taught: Taught
    part: Part
    format: Format
    views: Views | PairedViews
    batches: TrainingBatches
    method: Method
    start: Start | None = None
    second_start: Start | None = None

    @property
    def starts(self) -> dict[str, Start]:
        """What begins with given weights, by tower: first, second."""
        both = {"first": self.start, "second": self.second_start}
        return {tower: start for tower, start in both.items() if start is not None}


def assemble(
    recipe: Recipe,
    source: Source | None = None,
    start: Start | None = None,
    second_start: Start | None = None,
) -> Assembly:
    """Loads the data and builds everything that the recipe names.

    Args:
        recipe: What to build.
        source: Data that are there already; by default those that the recipe names.
        start: Starting weights that were read already; by default those that the recipe names.
        second_start: The same of the second encoder.

    Raises:
        SettingError: The settings do not fit the data or this machine.
        NearfarError: The data are missing or damaged.
    """
    hardware = choose_hardware(recipe.training.device, recipe.training.precision)
    ranks = Ranks.now()
    start = start or start_of(recipe.encoder, recipe.adapt, ranks)
    second_start = second_start or second_start_of(recipe.method, ranks)
    source = source or load_source(recipe.data)
    if start is not None:
        source = in_columns(source, start.origin.columns)
    refuse_empty(source)
    taught = hold_out(source, recipe.data)
    labelled = recipe.learns_from_labels
    part = part_to_learn_from(taught.source, recipe.data, labelled=labelled)
    recipe.training.require_examples(len(part), labelled=part.labels is not None)
    recipe.method.require_labels(part.labels is not None, source.name)
    recipe.method.require_kinds(source.second_modality, source.name)
    example_format = format_of(recipe, part, start, second_start)
    example_format = replace(example_format, columns=source.columns)
    counts = None
    if part.labels is not None and source.num_classes is not None:
        # Of all classes that there are: one may have no example to learn from.
        counts = class_counts(part, source.num_classes)
    with torch.device("meta"):
        measured = _seeded_method(recipe, example_format, counts, torch.device("meta"))
    _require_something_to_train(recipe, measured)
    require_memory(recipe, cast(nn.Module, measured), example_format.shape, hardware.device)
    with ranks.agreeing():  # the first alone has the starting weights
        method = _seeded_method(
            recipe, example_format, counts, hardware.device, start, second_start
        )
        which = train_part_of(source, recipe.data, labelled=labelled)
        whole = {"train": source.train, "unlabelled": part}.get(which)
        method.check_examples(whole)
    return Assembly(
        recipe=recipe,
        hardware=hardware,
        source=source,
        taught=taught,
        part=part,
        format=example_format,
        views=training_views_of(recipe, example_format),
        batches=TrainingBatches(
            part.examples,
            part.labels,
            numbers=_numbers(taught, recipe, len(source.train), len(part)),
            batch_size=recipe.training.batch_size,
            seed=recipe.seed,
            device=hardware.device,
            workers=recipe.data.readers,
            rank=ranks.rank,
            ranks=ranks.count,
            modality=part.modality,
            partners=part.partners,
        ),
        method=method,
        start=start,
        second_start=second_start,
    )


def _require_something_to_train(recipe: Recipe, method: nn.Module) -> None:
    if not any(each.requires_grad for each in method.parameters()):
        side = recipe.method.second_side
        both = "" if side is None else f" and {SECOND_ADAPT}freeze is {side.adapt.freeze}"
        raise SettingError(
            f"adapt.freeze is {recipe.adapt.freeze}{both}: {recipe.method.title} has no other "
            "weights, so nothing is left to train: freeze fewer stages"
        )


def _numbers(taught: Taught, recipe: Recipe, labelled: int, count: int) -> Int64[Tensor, " n"]:
    """What a person finds each example of the part by: its place in the source, nothing held out.

    Args:
        taught: What is held out.
        recipe: The run's.
        labelled: Examples of the whole training part.
        count: Examples to learn from.
    """
    if recipe.data.learns_from == "unlabelled":
        return torch.arange(count)
    unlabelled = torch.arange(count - len(taught.rows)) + labelled
    return torch.cat([taught.rows, unlabelled])


def _seeded_method(
    recipe: Recipe,
    example_format: Format,
    counts: Int64[Tensor, " classes"] | None,
    device: torch.device,
    start: Start | None = None,
    second_start: Start | None = None,
) -> Method:
    """The method at its first weights, which the recipe's seed and its starts decide."""
    # Weights are drawn on the CPU, the same on every machine.
    with OwnDraws(recipe.seed):
        encoder = _encoder(recipe, example_format)
        second, side = _second_encoder(recipe, example_format), recipe.method.second_side
        if start is not None:
            start.load_into(encoder)
        if second_start is not None and second is not None:
            with told_at(EncoderSpec.room, SECOND_ENCODER):
                second_start.load_into(second)
        # Before the method copies it: what is frozen of it is frozen in a momentum encoder too.
        recipe.adapt.apply(encoder)
        if second is not None and side is not None:
            with told_at(AdaptSpec.room, SECOND_ADAPT):
                side.adapt.apply(second)
        method = recipe.method.build(
            encoder, class_counts=counts, views=example_format, second_encoder=second
        )
        if start is not None and recipe.adapt.head == "start":
            start.load_head_into(_first_tower(recipe.method, method))
        if second_start is not None and side is not None and side.adapt.head == "start":
            second_start.load_head_into(method.second_tower)
    cast(nn.Module, method).to(device)
    return method


def head_spec_of(spec: MethodSpec, method: Method) -> HeadSpec | None:
    """How a method's projection head is built; None where it has none."""
    return method.head_spec or spec.projection


def _first_tower(spec: MethodSpec, method: Method) -> Tower | None:
    """A method's encoder and projection head; None where it has no head."""
    head, built = method.embedding_head, head_spec_of(spec, method)
    if head is None or built is None:
        return None
    return Tower(method.encoder, built, head, method.head_followers)


def _encoder(recipe: Recipe, example_format: Format) -> nn.Module:
    """The backbone, its weights drawn from torch's generator."""
    return _built(recipe.encoder, example_format)


def _second_encoder(recipe: Recipe, example_format: Format) -> nn.Module | None:
    """The backbone of what is paired with the examples; None where the method has none."""
    side = recipe.method.second_side
    if side is None or example_format.second is None:
        return None
    with told_at(EncoderSpec.room, SECOND_ENCODER):
        return _built(side.encoder, example_format.second)


def _built(spec: EncoderSpec, example_format: Format) -> nn.Module:
    encoder = spec.build(example_format.shape)
    for name, value in example_format.learnt.items():
        owner, _, short = name.rpartition(".")
        # In the buffer's place, for a tokeniser's length is known to its file alone.
        held = value.clone().to(encoder.get_buffer(name).device)
        setattr(encoder.get_submodule(owner), short, held)
    return encoder


def untrained_encoder(recipe: Recipe, example_format: Format) -> SavedEncoder:
    """The network at random weights: those before the first step, where no start replaced them.

    Args:
        recipe: The run's.
        example_format: The run's.
    """
    with OwnDraws(recipe.seed):
        # The encoder is the first that a method's weights are drawn for: these are the run's.
        return as_saved(_encoder(recipe, example_format), recipe, example_format)


def untrained_towers(recipe: Recipe, example_format: Format) -> Towers | None:
    """Both encoders of a method of pairs and their heads before the first step; None of others.

    Args:
        recipe: The run's.
        example_format: The run's, its partners' beside it.
    """
    second, side = example_format.second, recipe.method.second_side
    if second is None or side is None:
        return None
    method = _seeded_method(recipe, example_format, None, torch.device("cpu"))
    first, other = _first_tower(recipe.method, method), method.second_tower
    assert first is not None
    assert other is not None
    return Towers(
        as_saved(first.encoder, recipe, example_format, head=(first.head_spec, first.head)),
        as_saved(
            other.encoder, recipe, second, spec=side.encoder, head=(other.head_spec, other.head)
        ),
    )


def started_encoder(recipe: Recipe, example_format: Format, start: Start) -> SavedEncoder:
    """The encoder as it began: the baseline that tells what was gained on the start.

    Args:
        recipe: The run's.
        example_format: The run's.
        start: Its weights.
    """
    with OwnDraws(recipe.seed):
        encoder = _encoder(recipe, example_format)
    start.load_into(encoder)
    return as_saved(encoder, recipe, example_format)


def as_saved(
    encoder: nn.Module,
    recipe: Recipe,
    example_format: Format,
    *,
    spec: EncoderSpec | None = None,
    head: tuple[HeadSpec, nn.Module] | None = None,
) -> SavedEncoder:
    """An encoder in memory as `load_encoder` would give it: for examples as they are, in eval mode.

    Args:
        encoder: What the spec built; its weights are shared, not copied.
        recipe: The run's.
        example_format: The run's.
        spec: What it was built from; the recipe's encoder where left out.
        head: What stands behind it, and how that is built; None for features.
    """
    return SavedEncoder(
        encoder,
        EncoderDescription(
            encoder=spec or recipe.encoder,
            shape=example_format.shape,
            mean=example_format.mean,
            std=example_format.std,
            num_features=encoder.num_features,  # type: ignore[arg-type]
            weights_sha256="",
            columns=example_format.columns,
        ),
        head,
    )
