"""A study: one recipe, what is changed in it, and how the best is looked for. Light."""

from collections.abc import Iterator
from dataclasses import field, replace
from itertools import islice, product
from math import prod
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from nearfar.bounds import HIGHEST_SEED
from nearfar.errors import SettingError
from nearfar.recipes.recipe import Recipe
from nearfar.spec import Above0, Count, Nested, Spec
from nearfar.sweeps.axes import AxisSpec, RangeSpec, Value
from nearfar.sweeps.engines import DrawingSpec, EngineSpec, GridSpec
from nearfar.sweeps.settings import with_settings

MOST_POINTS = 10_000
"""Combinations that a grid may have, and that are checked of what is drawn."""
Point = dict[str, Value]
"""A value for every axis, by the setting's name."""

_NO_AXIS = {
    "seed": "name the seeds by --seeds",
    "recipe": "it names the recipe that a run began from",
    "data": "checks on different images cannot be compared; sweep over each",
    "data.root": "checks on different images cannot be compared; sweep over each",
    "data.held_out": "checks on different images cannot be compared",
    "training.knn_every": "it changes nothing of what is learnt",
    "training.device": "it changes nothing of what is learnt",
    "training.threads": "it changes nothing of what is learnt",
    "training.checkpoint_every": "it changes nothing of what is learnt",
    "training.keep_checkpoints": "it changes nothing of what is learnt",
}
Seed = Annotated[int, Ge(0), Le(HIGHEST_SEED)]


class Study(Spec):
    """Everything that decides what a sweep does. What is maximised never reads the test part."""

    study: str = "custom"
    """Name of the study that this sweep began from."""
    recipe: Nested[Recipe] = field(default_factory=Recipe)
    axes: tuple[Nested[AxisSpec], ...] = ()
    """What is changed in the recipe; without any, the seeds alone differ."""
    engine: Nested[EngineSpec] = field(default_factory=GridSpec)
    seeds: Annotated[tuple[Seed, ...], MinLen(1)] = (0,)
    """Each trial is trained with each of them; what is maximised is the mean."""
    maximise: Literal["knn", "online_probe"] = "knn"
    """Accuracy on held-out training images after the last epoch: of the kNN check, or of a linear
    classifier that learns beside the run."""
    trials: Count | None = None
    """Most trials; of a grid its first ones. Left out, a grid is tried whole."""
    minutes: Above0 | None = None
    """No trial begins so long after the command did; those that began are finished."""

    def check(self) -> None:
        """Axes, seeds, engine and budget fit each other."""
        for place, axis in enumerate(self.axes):
            if any(axis.setting == other.setting for other in self.axes[:place]):
                raise SettingError(f"{axis.setting}: it is an axis twice")
            self._check_axis(axis)
        if len(set(self.seeds)) < len(self.seeds):
            raise SettingError(f"seeds are {self.seeds}: one is there twice")
        if self.engine.draws and self.trials is None and self.minutes is None:
            raise SettingError(
                f"{self.engine.name} draws trials without end: say --trials N, --minutes M or both"
            )
        if self.engine.draws and not self.axes:
            raise SettingError(f"{self.engine.name} has nothing to draw: name an axis by --over")
        if not self.engine.draws and self.points > MOST_POINTS:
            raise SettingError(
                f"the grid has {self.points:,} combinations: at most {MOST_POINTS:,} are tried; "
                "--engine random or tpe draws some of them"
            )
        require_check(self.recipe, self.maximise)
        self._check_pruning()

    def _check_axis(self, axis: AxisSpec) -> None:
        why = _NO_AXIS.get(axis.setting)
        if axis.setting.partition(".")[0] == "evaluation":
            why = "what judges a trained encoder changes nothing of what is maximised"
        if why is not None:
            raise SettingError(f"{axis.setting} cannot be an axis: {why}")
        if isinstance(axis, RangeSpec) and not self.engine.draws:
            raise SettingError(
                f"{axis.setting} is a range, and a grid takes values: list them, or choose "
                "--engine random or --engine tpe"
            )

    def _check_pruning(self) -> None:
        engine, training = self.engine, self.recipe.training
        if isinstance(engine, DrawingSpec) and engine.prune != "no":
            first = -(-engine.prune_after // training.knn_every) * training.knn_every
            if first >= training.epochs:
                raise SettingError(
                    f"engine.prune is {engine.prune}: it needs a check on the way, and the first "
                    f"is after epoch {first} of {training.epochs}: lower --training.knn-every or "
                    "--engine.prune-after"
                )

    @property
    def points(self) -> int:
        """How many combinations the axes have; ranges count by their ends."""
        return prod(len(axis.ends) for axis in self.axes)

    @property
    def planned(self) -> int | None:
        """How many trials there will be; None where the time alone decides."""
        if self.engine.draws:
            return self.trials
        return self.points if self.trials is None else min(self.points, self.trials)

    @property
    def prunes(self) -> bool:
        """Whether trials may be ended early."""
        return isinstance(self.engine, DrawingSpec) and self.engine.prune != "no"

    def grid(self) -> Iterator[Point]:
        """Every combination of values, or of ends, the last axis fastest."""
        names = [axis.setting for axis in self.axes]
        for values in product(*(axis.ends for axis in self.axes)):
            yield dict(zip(names, values, strict=True))

    def recipe_at(self, point: Point, seed: int) -> Recipe:
        """The whole recipe of one run.

        Raises:
            SettingError: The values do not fit each other.
        """
        return replace(with_settings(self.recipe, point), seed=seed)

    def check_points(self) -> None:
        """Make the recipe of every combination, so that none is refused when hours have passed.

        Of ranges the ends are taken, and of more combinations than a grid may have the first.

        Raises:
            SettingError: Naming the combination.
        """
        for point in islice(self.grid(), MOST_POINTS):
            try:
                require_check(self.recipe_at(point, self.seeds[0]), self.maximise)
            except SettingError as error:
                raise SettingError(f"{error} (at {in_words(point)})") from None


def require_check(recipe: Recipe, maximise: str = "knn") -> None:
    """Refuse a recipe that is not checked on images that it was not trained on.

    Raises:
        SettingError: With the words that turn the check on.
    """
    needs = "a sweep chooses by a check on held-out training images"
    if not recipe.training.knn_every:
        raise SettingError(
            f"{needs}, and training.knn_every is 0: add --training.knn-every "
            f"{max(1, min(5, recipe.training.epochs))}"
        )
    if not recipe.data.held_out and recipe.data.learns_from != "unlabelled":
        raise SettingError(f"{needs}, and data.held_out is 0: add --data.held-out 0.1")
    if maximise == "online_probe" and not recipe.training.online_probe:
        raise SettingError(
            "online_probe is maximised, and there is none: add --training.online-probe True"
        )


def in_words(point: Point) -> str:
    """The values of a point, each behind its setting."""
    said = (f"{name} {shown_value(value)}" for name, value in point.items())
    return ", ".join(said) or "the recipe as it is"


def shown_value(value: Value) -> str:
    """A value as a person reads it: numbers without digits that say nothing."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
