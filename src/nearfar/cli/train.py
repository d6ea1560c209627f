"""`nearfar train [RECIPE]`: train an encoder, judge it, write its report."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.cli.choices import choose
from nearfar.cli.hints import refuse_misplaced
from nearfar.data.specs import DigitsSpec, SourceSpec
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec
from nearfar.errors import SettingError
from nearfar.evaluation.specs import EvaluationSpec
from nearfar.launch import said_by_first_rank
from nearfar.methods.specs import MethodSpec, SimCLRSpec
from nearfar.recipes.names import DEFAULT_RECIPE, recipe_named
from nearfar.recipes.recipe import Recipe
from nearfar.spec import Nested
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec, ViewsSpec


@dataclass(frozen=True)
class TrainArguments:
    """Train an encoder by a recipe, judge it and write its report.

    Defaults below are those of the recipe; any of them can be changed.
    """

    recipe: Annotated[Positional[str], arg(metavar="[RECIPE]")] = DEFAULT_RECIPE
    """Name of the recipe; `nearfar recipes` lists them."""
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of the run; left out, a new one under runs/."""
    overwrite: bool = False
    """Replace the run that --out holds."""
    resume: Annotated[Path | None, arg(metavar="RUN")] = None
    """Go on with an interrupted run, exactly as it would have gone; takes no other option."""
    seed: int = 0
    """Seeds the weights, the order of the data and the views."""
    data: Nested[SourceSpec] = field(default_factory=DigitsSpec)
    views: Nested[ViewsSpec] = field(default_factory=SimCLRViewsSpec)
    encoder: Nested[EncoderSpec] = field(default_factory=SmallResNetSpec)
    adapt: AdaptSpec = field(default_factory=AdaptSpec)
    method: Nested[MethodSpec] = field(default_factory=SimCLRSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    evaluation: Nested[EvaluationSpec] = field(default_factory=EvaluationSpec)


def run(words: Sequence[str]) -> None:
    """Runs `nearfar train` with the words after it."""
    if list(words) in (["-h"], ["--help"]):
        from nearfar.cli.train_help import print_help

        print_help()
    with said_by_first_rank():
        arguments = _read(words)
        recipe = _recipe(arguments)

    from nearfar.recipes.run import resume_run, run_recipe

    if recipe is not None:
        out = arguments.out or _new_folder(recipe.recipe)
        run_recipe(recipe, out, overwrite=arguments.overwrite)
    elif arguments.resume is not None:
        resume_run(arguments.resume)


def _read(words: Sequence[str]) -> TrainArguments:
    """Reads the recipe's name, then what is chosen in it, then all other options."""
    refuse_misplaced(words)
    arguments, left = choose(_defaults(_first_name(words)), words)
    read = parse(TrainArguments, "train", left, arguments)
    if read.recipe != arguments.recipe:
        raise SettingError(
            f"the recipe's name comes before all options: nearfar train {read.recipe} …"
        )
    return read


def _first_name(words: Sequence[str]) -> str:
    """The recipe's name, which comes first."""
    return words[0] if words and not words[0].startswith("-") else DEFAULT_RECIPE


def _defaults(name: str) -> TrainArguments:
    """The arguments of a recipe with nothing changed."""
    recipe = recipe_named(name)
    return TrainArguments(**{each.name: getattr(recipe, each.name) for each in fields(Recipe)})


def _recipe(arguments: TrainArguments) -> Recipe | None:
    """What to train, checked; None for a run to go on with, which may not be changed on the way."""
    if arguments.resume is None:
        recipe = Recipe(**{each.name: getattr(arguments, each.name) for each in fields(Recipe)})
        recipe.data.require_root()
        return recipe
    if replace(arguments, resume=None) != _defaults(DEFAULT_RECIPE):
        raise SettingError(
            f"--resume goes on with {arguments.resume} exactly as it began: leave every other "
            "option out, or start a new run"
        )
    return None


def _new_folder(name: str) -> Path:
    """runs/NAME, or the first of runs/NAME-2, -3… that does not exist."""
    out = Path("runs") / name
    number = 1
    while out.exists():
        number += 1
        out = Path("runs") / f"{name}-{number}"
    return out
