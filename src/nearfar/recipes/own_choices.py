"""The recipe for data of one's own: what is chosen, why, and the option that changes it."""

from dataclasses import asdict, dataclass, replace

import torch

from nearfar.data.source import Part, Source
from nearfar.data.source_spec import SourceSpec, held_out_count
from nearfar.data.sources import train_part_of
from nearfar.data.specs import PicturesSpec
from nearfar.encoders.specs import (
    EncoderSpec,
    MLPSpec,
    SeriesResNetSpec,
    SmallResNetSpec,
    TimmSpec,
)
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.errors import SettingError
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.found_data import Found
from nearfar.recipes.mirror_test import LIMIT, share_nearest_unmirrored
from nearfar.recipes.quality import SIDES, SIDES_ON_A_GPU, WIDTHS, Quality
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import (
    DigitsViewsSpec,
    SeriesViewsSpec,
    SimCLRViewsSpec,
    TextViewsSpec,
    VectorViewsSpec,
    ViewsSpec,
)

_BATCH = 256
_FEW = 500
"""Labelled examples below which none is held out for the check."""
_LARGER = 1.25
"""A picture of so many times the side is brought down to it; a smaller one keeps its own."""


@dataclass(frozen=True)
class OwnChoice:
    """One choice.

    Attributes:
        what: What is chosen.
        value: What it was chosen to be, in words.
        why: The reason.
        option: What changes it on the command line.
    """

    what: str
    value: str
    why: str
    option: str

    def as_json(self) -> dict[str, str]:
        """For a file of the run."""
        return asdict(self)


def sized(found: Found, quality: Quality, *, gpu: bool) -> tuple[SourceSpec, OwnChoice | None]:
    """The source with the size that its pictures are read at, before they are read.

    Args:
        found: What lies there.
        quality: What is asked for.
        gpu: Whether a GPU computes.

    Returns:
        The source, and the choice where pictures are not of the size that they have.
    """
    data = found.data
    if not isinstance(data, PicturesSpec) or found.side is None:
        return data, None
    side = view_side(quality, gpu=gpu)
    if found.side <= _LARGER * side:
        return data, None
    # Twice the side of a view: a crop of a quarter of the area is not blown up.
    read = min(2 * side, found.side)
    return replace(data, image_size=read), OwnChoice(
        "pictures",
        f"{read} px",
        f"their shorter sides are {found.side} px in the middle, and a crop of a quarter still "
        f"has the {side} px of a view",
        "--data.image-size",
    )


def view_side(quality: Quality, *, gpu: bool) -> int:
    """The side of a view of large pictures, in pixels."""
    return (SIDES_ON_A_GPU if gpu else SIDES)[quality]


def choose_recipe(
    data: SourceSpec, source: Source, quality: Quality, *, gpu: bool
) -> tuple[Recipe, list[OwnChoice]]:
    """A recipe for data that are there; how long it trains is measured afterwards.

    Args:
        data: The source's spec.
        source: What it read.
        quality: What is asked for.
        gpu: Whether a GPU computes.

    Raises:
        SettingError: Nothing here learns from such examples, or there are fewer than four.
    """
    part = source.train
    if (there := learnt_from(replace(data, held_out=0.0), source, labelled=False)) < 4:
        raise SettingError(f"{source.name}: {there} examples to learn from; it takes 4 or more")
    data, choices = _held_out(data, part)
    if source.modality == "images":
        views, encoder, more = _for_images(larger_part(source), quality, gpu=gpu)
    elif source.modality == "series":
        views, encoder, more = _for_series(quality)
    elif source.modality == "vectors":
        views, encoder, more = _for_vectors()
    elif source.modality == "texts":
        views, encoder, more = _for_texts()
    else:
        raise SettingError(f"{source.name} holds {source.modality}: name a recipe for them")
    choices += more
    learnt = learnt_from(data, source, labelled=False)
    batch = batch_of(learnt)
    # By the square root, as fits Adam (Malladi et al. 2022).
    rate = 3e-3 * (batch / _BATCH) ** 0.5
    why = "as many negatives as fit a network this small"
    if batch < _BATCH:
        why = f"at most half of the {learnt:,} examples, so that an epoch has two steps"
    choices += [
        OwnChoice("batch", str(batch), why, "--training.batch-size"),
        OwnChoice(
            "rate",
            f"{rate:.2g}",
            "3e-3 at 256, by the square root",
            "--training.optimizer.learning-rate",
        ),
    ]
    hidden, dim = (512, 128) if source.modality == "images" else (256, 64)
    recipe = Recipe(
        recipe="own-data",
        data=data,
        views=views,
        encoder=encoder,
        method=SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=hidden, projection_dim=dim
        ),
        training=TrainingSpec(batch_size=batch, optimizer=AdamWSpec(learning_rate=rate)),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=((5, 0.07), (20, 0.07))), FewLabelsSpec(labels_per_class=(1, 5, 10))
        ),
    )
    choices.append(
        OwnChoice(
            "method",
            recipe.method.title,
            "learns without labels and serves small batches",
            "--method",
        )
    )
    return recipe, choices


def learnt_from(data: SourceSpec, source: Source, *, labelled: bool) -> int:
    """How many examples are learnt from: of labelled ones some may be held out.

    Args:
        data: The source's spec.
        source: Loaded.
        labelled: Whether labels are learnt from.
    """
    train, unlabelled = source.train, source.unlabelled
    held_out = 0 if train.labels is None else held_out_count(len(train), data.held_out)
    counts = {
        "train": len(train) - held_out,
        "unlabelled": 0 if unlabelled is None else len(unlabelled),
    }
    which = train_part_of(source, data, labelled=labelled)
    return sum(counts.values()) if which == "both" else counts[which]


def larger_part(source: Source) -> Part:
    """The training part, or the unlabelled one where that has more examples to look at."""
    return max(source.train, source.unlabelled or source.train, key=len)


def batch_of(examples: int) -> int:
    """The batch for so many examples: 256, or the largest power of 2 that an epoch has two of."""
    return max(2, min(_BATCH, 2 ** ((examples // 2).bit_length() - 1)))


def _held_out(data: SourceSpec, part: Part) -> tuple[SourceSpec, list[OwnChoice]]:
    """The check during training costs examples to learn from, where there are few."""
    if part.labels is None:
        return data, []
    if len(part) < _FEW:
        choice = OwnChoice(
            "check", "none held out", f"only {len(part):,} labelled examples", "--data.held-out"
        )
        return replace(data, held_out=0.0), [choice]
    share = f"{data.held_out:.0%} held out"
    return data, [
        OwnChoice("check", share, "kNN on examples that are not learnt from", "--data.held-out")
    ]


def _for_images(
    part: Part, quality: Quality, *, gpu: bool
) -> tuple[ViewsSpec, EncoderSpec, list[OwnChoice]]:
    channels, *sides = part.example_shape
    wanted, least = view_side(quality, gpu=gpu), min(sides)
    size = wanted if least > _LARGER * wanted else None
    side = size or least
    shrunk = f"pictures of {least} px would take {(least / side) ** 2:.0f} times as long"
    choices = [
        OwnChoice(
            "view", f"{side} px", shrunk if size else "the pictures' own size", "--views.size"
        )
    ]
    share = share_nearest_unmirrored(part)
    mirrored = share <= LIMIT
    measured = f"{share:.0%} of them are nearest to another as it is, not mirrored"
    colour = channels == 3
    views: ViewsSpec
    if mirrored:
        views = SimCLRViewsSpec(size=size, crop_scale=(0.2, 1.0), blur=None if side > 40 else 0.0)
        told = f"{views.name}: crops of 20 % or more, mirrored"
    elif colour:
        views = SimCLRViewsSpec(
            size=size, crop_scale=(0.5, 1.0), flip=0.0, blur=None if side > 40 else 0.0
        )
        told = f"{views.name}: crops of half or more, never mirrored"
    else:
        views = DigitsViewsSpec(size=size)
        told = f"{views.name}: crops of half or more, turned by 15°, never mirrored"
    told += ", colours jittered" if colour else ", brightness and contrast jittered"
    choices.append(OwnChoice("views", told, measured, "--views, --views.flip, --views.crop-scale"))
    if gpu:
        encoder: EncoderSpec = TimmSpec(
            name="timm/resnet18", stem="small" if side <= 64 else "standard"
        )
        why = "a GPU has room for it"
    else:
        encoder = SmallResNetSpec(width=WIDTHS[quality])
        why = "narrow: on a CPU many steps teach more than wide layers"
    width = f", width {encoder.width}" if isinstance(encoder, SmallResNetSpec) else ""
    choices.append(OwnChoice("network", encoder.name + width, why, "--encoder, --encoder.width"))
    return views, encoder, choices


def _for_series(quality: Quality) -> tuple[ViewsSpec, EncoderSpec, list[OwnChoice]]:
    encoder = SeriesResNetSpec(width=WIDTHS[quality])
    views = SeriesViewsSpec(scaling=0.1)
    return (
        views,
        encoder,
        [
            OwnChoice(
                "views",
                "series: pieces of half or more, little noise",
                "levels often tell classes, so channels are scaled little",
                "--views.crop-length, --views.scaling, --views.noise",
            ),
            OwnChoice(
                "network",
                f"{encoder.name}, width {encoder.width}",
                "convolutions along time",
                "--encoder",
            ),
        ],
    )


def _for_vectors() -> tuple[ViewsSpec, EncoderSpec, list[OwnChoice]]:
    return (
        VectorViewsSpec(),
        MLPSpec(width=128, depth=2),
        [
            OwnChoice(
                "views",
                "vectors: 30 % of the columns from other rows",
                "a row has no neighbours in space or time to crop",
                "--views.corruption",
            ),
            OwnChoice("network", "mlp, 2 layers of 128", "columns have no order", "--encoder"),
        ],
    )


def _for_texts() -> tuple[ViewsSpec, EncoderSpec, list[OwnChoice]]:
    return (
        TextViewsSpec(),
        TextBagSpec(width=128),
        [
            OwnChoice(
                "views",
                "text: runs of half of the words or more, a tenth left out",
                "what a text is of is told by most of its words",
                "--views, --views.crop-length, --views.deletion",
            ),
            OwnChoice(
                "network",
                "text-bag, width 128",
                "fast on a CPU: embeddings of runs of 1 to 4 bytes, averaged",
                "--encoder, --encoder.width, --encoder.tokens",
            ),
        ],
    )


def is_grey(part: Part) -> bool:
    """Whether pictures of three channels have no colour in them."""
    rows = torch.arange(len(part))[:: max(1, len(part) // 64)].tolist()
    images = [part.examples[row] for row in rows]
    return all(bool((each == each[:1]).all()) for each in images)
