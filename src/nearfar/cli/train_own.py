"""`nearfar train PATH`: find out what lies there, choose a recipe for it, and run it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from nearfar.bounds import check_number
from nearfar.cli.arguments import parse
from nearfar.cli.choices import choose
from nearfar.cli.train_arguments import TrainArguments, recipe_of
from nearfar.data.source_spec import SourceSpec
from nearfar.data.specs import PicturesSpec
from nearfar.encoders.specs import MLPSpec, SeriesResNetSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.errors import SettingError
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.paths import user_path
from nearfar.recipes.names import RECIPES
from nearfar.recipes.quality import MINUTES, Quality
from nearfar.recipes.recipe import Recipe
from nearfar.views.specs import SeriesViewsSpec, TextViewsSpec, VectorViewsSpec

if TYPE_CHECKING:
    from nearfar.data.source import Source
    from nearfar.recipes.found_data import Found
    from nearfar.recipes.own_choices import OwnChoice

RECIPE = "own-data"
"""What the recipe of a run on data of one's own is called."""


@dataclass(frozen=True)
class OwnArguments(TrainArguments):
    """Train an encoder on a folder or a file of your own.

    What is left out is chosen from the data, the machine and the time; the defaults below are those
    of this path.
    """

    recipe: Annotated[Positional[str], arg(metavar="")] = RECIPE
    """Nothing more: the path is given already."""
    quality: Quality = "good"
    """fast: 3 minutes. good: 10 minutes. best: an hour, a wider network, larger pictures."""
    minutes: float | None = None
    """Time for all of it, judging too; left out, what the quality says."""

    @property
    def time(self) -> float:
        """Minutes for all of it."""
        return MINUTES[self.quality] if self.minutes is None else self.minutes


def own_path(words: Sequence[str]) -> Path | None:
    """The path that the first word of `nearfar train` is; None where it is another thing's name."""
    if not words or words[0].startswith("-") or words[0] in RECIPES:
        return None
    word = words[0]
    named = (MethodSpec, ObjectiveSpec, SourceSpec)
    if any(word in kind.known() for kind in named):
        return None
    try:
        path = user_path(word)
        return path if path.exists() else None
    except (OSError, SettingError):
        return None


def run_on(path: Path, words: Sequence[str]) -> None:
    """Trains on what lies at a path.

    Args:
        path: A folder or a file that is there.
        words: All other words of the command line.

    Raises:
        SettingError: An option cannot be.
        NearfarError: Nothing there can be learnt from, or the run failed.
    """
    from nearfar.recipes.found_data import find_data
    from nearfar.recipes.under_way import saying
    from nearfar.terminal import Terminal

    console = Terminal(goes_on=True)
    with saying(console, f"looking at {path}"):
        found = find_data(path)
    first = _parsed(_defaults(found.data), words)
    if first.resume is not None:
        raise SettingError(
            f"--resume goes on with {first.resume} exactly as it began: leave {path} out"
        )
    from nearfar.recipes.own_choices import OwnChoice, choose_recipe
    from nearfar.recipes.own_run import (
        fitted_batch,
        hints_for,
        print_choices,
        with_measured_length,
    )
    from nearfar.recipes.run import run_recipe
    from nearfar.training.hardware import choose_hardware

    gpu = choose_hardware(first.training.device, first.training.precision).device.type == "cuda"
    with saying(console, f"reading {found.why}"):
        data, source, choices = _read(found, first, words, gpu=gpu)
        chosen, more = choose_recipe(data, source, first.quality, gpu=gpu)
    values = {each.name: getattr(chosen, each.name) for each in fields(Recipe)}
    arguments = _parsed(replace(first, **values), words)
    recipe, notes = fitted_batch(recipe_of(arguments), source)
    epochs = recipe.training.epochs if _given(words, "--training.epochs") else None
    every = recipe.training.knn_every
    with saying(console, "measuring some steps"):
        recipe, length, warnings = with_measured_length(recipe, source, arguments.time, epochs)
    if _given(words, "--training.knn-every"):
        recipe = replace(recipe, training=replace(recipe.training, knn_every=every))
    kept = [
        each
        for each in [*choices, *more, *length]
        if not any(_given(words, option) for option in each.option.split(", "))
        or each.option.startswith("--minutes")
    ]
    kept.insert(0, OwnChoice("data", data.name, found.why, "--data"))
    out = arguments.out or _new_folder(path)
    print_choices(console, kept, [*notes, *warnings], hints_for(source, path, recipe))
    run_recipe(
        recipe,
        out,
        overwrite=arguments.overwrite,
        console=console,
        source=source,
        choices=[each.as_json() for each in kept],
    )


def _defaults(data: SourceSpec) -> OwnArguments:
    """Arguments for data of a kind, before anything of them is known."""
    fitting: dict[str, dict[str, Any]] = {
        "series": {"views": SeriesViewsSpec(), "encoder": SeriesResNetSpec()},
        "vectors": {"views": VectorViewsSpec(), "encoder": MLPSpec()},
        "texts": {"views": TextViewsSpec(), "encoder": TextBagSpec()},
    }
    return OwnArguments(data=data, **fitting.get(data.modality, {}))


def _parsed(defaults: OwnArguments, words: Sequence[str]) -> OwnArguments:
    """The arguments with what the words say."""
    arguments, left = choose(defaults, words)
    read = parse(OwnArguments, "train PATH", left, arguments)
    if read.recipe != RECIPE:
        raise SettingError(f"train takes one path or one recipe, and then {read.recipe!r} follows")
    if read.minutes is not None:
        check_number("minutes", read.minutes)
        if read.minutes <= 0:
            raise SettingError(f"--minutes is {read.minutes:g}: it must be above 0")
    return read


def _read(
    found: "Found", arguments: OwnArguments, words: Sequence[str], *, gpu: bool
) -> tuple[SourceSpec, "Source", list["OwnChoice"]]:
    """The source with its examples, and what was chosen of it."""
    from nearfar.data.sources import load_source
    from nearfar.recipes.own_choices import OwnChoice, is_grey, sized

    data, choices = arguments.data, []
    if not _given(words, "--data.image-size"):
        data, choice = sized(replace(found, data=data), arguments.quality, gpu=gpu)
        choices += [choice] if choice else []
    source = load_source(data)
    coloured = source.modality == "images" and source.train.example_shape[0] == 3
    decides = isinstance(data, PicturesSpec) and data.channels is None
    parts = [part for part in (source.train, source.unlabelled) if part is not None]
    if coloured and decides and all(map(is_grey, parts)):
        data = replace(data, channels=1)
        source = load_source(data)
        why = "red, green and blue are the same in all that were looked at"
        choices.append(OwnChoice("channels", "1", why, "--data.channels"))
    return data, source, choices


def _given(words: Sequence[str], option: str) -> bool:
    """Whether an option, or one of its settings, is among the words."""
    names = [word.partition("=")[0].replace("_", "-") for word in words if word.startswith("--")]
    return any(name == option or name.startswith(f"{option}.") for name in names)


def _new_folder(path: Path) -> Path:
    """runs/NAME, or the first of runs/NAME-2, -3… that does not exist."""
    from nearfar.cli.train_arguments import new_folder

    return new_folder(path.resolve().stem or "own-data")
