"""Sweeps of seconds, for tests: two trials of SimCLR on a few small images, judged by kNN alone."""

import csv
from dataclasses import replace

from rich.console import Console
from safetensors.numpy import load_file
from tests.recipes.small_recipe import small_recipe

from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.sweeps.axes import ValuesSpec
from nearfar.sweeps.study import Study
from nearfar.sweeps.sweep_page import sweep_page

QUIET = Console(quiet=True)
TEMPERATURE = "method.objective.temperature"


def recipe_of(folder, **training):
    """Two epochs of seconds, judged by nearest neighbours alone."""
    recipe = small_recipe(folder)
    left_out = tuple(name for name in ProtocolSpec.known() if name not in ("knn",))
    only_knn = EvaluationSpec(
        leave_out=tuple(n for n in left_out if ProtocolSpec.named(n).by_default), baselines=False
    )
    return replace(
        recipe,
        evaluation=only_knn,
        training=replace(recipe.training, **{"threads": 1, **training}),
    )


def study_of(folder, **changes):
    axis = ValuesSpec(setting=TEMPERATURE, values=(0.25, 0.5))
    return Study(**{"recipe": recipe_of(folder), "axes": (axis,), **changes})


def weights(run):
    return load_file(run / "encoder.safetensors")


def same(one, two):
    return one.keys() == two.keys() and all((one[name] == two[name]).all() for name in one)


def rows(search):
    """The table, but for the one figure that is a matter of time."""
    with search.folder.table.open() as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def page(search):
    """The page as it would be had no run taken any time."""
    trials = [replace(trial, seconds={}) for trial in search.trials()]
    return sweep_page(search.study, search.folder, trials)
