"""What a reproduction is: everything that is fixed before its first run."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from tools.comparison.records import fingerprint
from tools.many_runs import Job

from nearfar.recipes.recipe import Recipe
from papers.reproductions.claim import Claim
from papers.reproductions.yardstick import Yardstick

FIRST_PILOT_SEED = 1000
PILOT_SEEDS = tuple(range(FIRST_PILOT_SEED, FIRST_PILOT_SEED + 4))
"""Of the runs by which the spread is measured beforehand; no seed of a study is among them."""


@dataclass(frozen=True)
class Pilot:
    """Two arms that measure beforehand, on held-out training images, how far seeds spread.

    Studies with the same set-up share one. Its seeds are none of theirs.

    Attributes:
        name: Of its file.
        setups: The two recipes, by the arm's name; called when they are needed.
    """

    name: str
    setups: Callable[[], Mapping[str, Recipe]]

    @cached_property
    def arms(self) -> dict[str, Recipe]:
        """Both recipes."""
        return dict(self.setups())

    @cached_property
    def protocol(self) -> str:
        """As of a reproduction; its arms alone, for it decides nothing."""
        return _digest(self.arms, {})

    def jobs(self, folder: Path) -> list[Job]:
        """Its runs.

        Args:
            folder: Of the run folders of all reproductions.
        """
        return _jobs(folder, self.arms, PILOT_SEEDS)


@dataclass(frozen=True)
class Reproduction:
    """A question to a source, and how it is decided. Nothing of it changes once runs exist.

    Attributes:
        name: Of its files, and on the command line.
        title: The question, in a line.
        source: Whose statement it is.
        published: What the source found, and with which set-up; Markdown.
        ours: How our set-up differs from the source's, and why; Markdown.
        setups: The recipe of every arm, by the arm's name; called when it is needed.
        seeds: Runs of each arm, with seeds 0, 1, …
        contrasts: What decides; the first one is the main question.
        draw: The figure, from the raw results of all runs.
        minutes: Of a run on one thread of the machine that it was planned for, judging included.
        pilot: What measures the spread beforehand.
        beside: Yardsticks that the table of arms has too, and by which nothing is decided.
    """

    name: str
    title: str
    source: str
    published: str
    ours: str
    setups: Callable[[], Mapping[str, Recipe]]
    seeds: int
    contrasts: tuple[Claim, ...]
    draw: Callable[[pd.DataFrame], Figure]
    minutes: float
    pilot: Pilot
    beside: tuple[Yardstick, ...] = ()

    @cached_property
    def arms(self) -> dict[str, Recipe]:
        """The recipe of every arm, of seed 0."""
        return dict(self.setups())

    @property
    def hours(self) -> float:
        """Of one core, for all runs together."""
        return len(self.arms) * self.seeds * self.minutes / 60

    @cached_property
    def protocol(self) -> str:
        """Sixteen digits of the SHA-256 of all that decides: arms, seeds and contrasts.

        Raw results are kept with it. Results of another protocol count for nothing, so that a
        question cannot be changed once its answer is known.
        """
        contrasts = [each.fixed for each in self.contrasts]
        return _digest(self.arms, {"seeds": self.seeds, "contrasts": contrasts})

    def jobs(self, folder: Path) -> list[Job]:
        """Every run: all arms of a seed before the next seed.

        A run's folder is named by its settings, so that studies which share an arm share its runs.

        Args:
            folder: Of the run folders of all reproductions.
        """
        return _jobs(folder, self.arms, tuple(range(self.seeds)))


def _jobs(folder: Path, arms: Mapping[str, Recipe], seeds: Sequence[int]) -> list[Job]:
    return [
        Job(name, of_seed(recipe, seed), folder / f"{fingerprint(recipe)}-seed{seed}")
        for seed in seeds
        for name, recipe in arms.items()
    ]


def of_seed(recipe: Recipe, seed: int) -> Recipe:
    """A recipe with a seed, which also draws the order of a long tail that is to be drawn."""
    if recipe.data.tail_order == "drawn":
        recipe = replace(recipe, data=replace(recipe.data, seed=seed))
    return replace(recipe, seed=seed)


def _digest(arms: Mapping[str, Recipe], decides: Mapping[str, Any]) -> str:
    fixed = {"arms": {name: fingerprint(recipe) for name, recipe in arms.items()}, **decides}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]
