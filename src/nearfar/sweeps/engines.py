"""What decides which settings a sweep tries next. Light: Optuna is imported when a sweep runs."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from nearfar.bounds import HIGHEST_SEED
from nearfar.spec import Choice, Count


class EngineSpec(Choice, noun="engine"):
    """How trials are chosen.

    Attributes:
        draws: Whether it draws trials, from ranges too, without an end of its own.
        name: grid, random or tpe.
    """

    room: ClassVar[str] = "engine."
    draws: ClassVar[bool] = True


class GridSpec(EngineSpec):
    """Every combination of the values, the last axis fastest."""

    draws: ClassVar[bool] = False

    name: Literal["grid"] = "grid"


class DrawingSpec(EngineSpec):
    """What engines share that draw trials."""

    seed: Annotated[int, Ge(0), Le(HIGHEST_SEED)] = 0
    """Decides what is drawn, and in which order; the seeds of the runs are others."""
    prune: Literal["no", "median", "halving"] = "no"
    """Ends trials whose first seed checks below the median of the finished ones after as many
    epochs, or, by halving, outside of the best share."""
    prune_after: Count = 1
    """Epochs before which no trial is ended."""
    prune_startup: Count = 5
    """Trials that finish before the median ends any."""
    keep_one_in: Annotated[int, Ge(2)] = 3
    """Share that goes on at each step of halving; each step is so many times as long."""


class RandomSpec(DrawingSpec):
    """Drawn at random, each trial on its own (Bergstra & Bengio 2012)."""

    name: Literal["random"] = "random"


class TPESpec(DrawingSpec):
    """Tree-structured Parzen estimator: where trials were good, it looks closer (Bergstra et al.
    2011)."""

    name: Literal["tpe"] = "tpe"
    startup: Count = 10
    """Trials that are drawn at random first."""
