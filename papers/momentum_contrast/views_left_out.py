"""SimCLR's views with kinds of change left out, one by one and in pairs."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from papers.figures import panels
from papers.momentum_contrast.setup import SOURCE
from papers.mutual_information.setup import PILOT
from papers.reproductions.contrast import over
from papers.reproductions.curves import figures_of, side_by_side
from papers.reproductions.probed import BESIDE, OURS, run, simclr
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import OUR_KNN, PROBE

KINDS: dict[str, dict[str, Any]] = {
    "crop": {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0)},
    "rotation": {"rotation": 0.0},
    "jitter": {"jitter": 0.0},
    "grey": {"grey": 0.0},
}
"""What leaves each out."""
LEFT_OUT = [(), *((kind,) for kind in KINDS), *combinations(KINDS, 2)]


def arm(left_out: tuple[str, ...]) -> str:
    """Its name."""
    return "-".join(("without", *left_out)) if left_out else "all"


NAMES = {arm(each): f"without {' and '.join(each)}" if each else "all views" for each in LEFT_OUT}


def setups() -> dict[str, Recipe]:
    """All views, and every one and two left out."""
    found = {}
    for left_out in LEFT_OUT:
        changes = {name: value for kind in left_out for name, value in KINDS[kind].items()}
        found[arm(left_out)] = run(simclr(), views=replace(VIEWS, **changes))
    return found


def draw(results: pd.DataFrame) -> Figure:
    """The table of pairs, one left out on its diagonal; and all arms with their spread."""
    figure, (left, right) = panels(2)
    for row, first in enumerate(KINDS):
        for column, second in enumerate(KINDS):
            pair = tuple(kind for kind in KINDS if kind in (first, second))
            mean = figures_of(results, PROBE, arm(pair))["figure"].mean()
            left.text(column, row, f"{mean:.1f}", ha="center", va="center")
    places = range(len(KINDS))
    left.set_xticks(places, list(KINDS))
    left.set_yticks(places, list(KINDS))
    left.grid(visible=False)
    whole = figures_of(results, PROBE, arm(()))["figure"].mean()
    left.set(
        xlim=(-0.5, len(KINDS) - 0.5),
        ylim=(len(KINDS) - 0.5, -0.5),
        title=f"{PROBE.title} without row and column; {whole:.1f} with all",
    )
    side_by_side(right, results, (PROBE, OUR_KNN), NAMES)
    return figure


def _missed(*left_out: str):
    return over(arm(()), arm(left_out), None, NAMES, yardstick=PROBE, interest=1.0)


REPRODUCTION = Reproduction(
    name="simclr_views_left_out",
    title="Which views does SimCLR need?",
    source=f"Chen et al. 2020; {SOURCE}",
    published="Of SimCLR's four findings the first: that several changes of an image are composed "
    "decides, and above all crops together with colour (ImageNet, linear probe). Its table has "
    "one or two kinds of change alone; no size is quoted here.",
    ours=f"{OURS} The kinds are crop, rotation, jitter and grey, and what is left out is left out "
    "of all four: one kind, or two. Colours of these images are drawn at random, so that jitter "
    "and grey have more to do than in photographs.",
    setups=setups,
    seeds=5,
    contrasts=(_missed("jitter", "grey"), _missed("crop"), _missed("rotation")),
    draw=draw,
    minutes=1.0,
    pilot=PILOT,
    beside=BESIDE,
)
