"""What `nearfar train` can be told, whether it is given a recipe or a path."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.data.specs import DigitsSpec, SourceSpec
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.names import DEFAULT_RECIPE
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


def arguments_of(recipe: Recipe) -> TrainArguments:
    """The arguments of a recipe with nothing changed."""
    return TrainArguments(**{each.name: getattr(recipe, each.name) for each in fields(Recipe)})


def recipe_of(arguments: TrainArguments) -> Recipe:
    """The recipe that arguments say, its data there.

    Raises:
        SettingError: Its rooms do not fit each other, or its data are missing.
    """
    recipe = Recipe(**{each.name: getattr(arguments, each.name) for each in fields(Recipe)})
    recipe.data.require_root()
    return recipe


def new_folder(name: str) -> Path:
    """runs/NAME, or the first of runs/NAME-2, -3… that does not exist."""
    out = Path("runs") / name
    number = 1
    while out.exists():
        number += 1
        out = Path("runs") / f"{name}-{number}"
    return out
