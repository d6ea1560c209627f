"""What is known of the recipes: settings as they were kept, and figures as pages hold them."""

import json
import re
from pathlib import Path

import pytest

from nearfar.recipes.config_json import recipe_from_json
from nearfar.recipes.known import RECIPES as DECLARED
from nearfar.recipes.names import RECIPES
from nearfar.training.config_format import in_current_format

KEPT = json.loads(Path(__file__).with_name("recipes.json").read_text())
"""Every recipe's settings, each named: a change of one, or of a default, changes a recipe."""
ROOT = Path(__file__).parents[2]
RESULTS = (ROOT / "docs" / "results.md").read_text()
SMALLEST = "the three smallest classes"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows_of(title: str) -> list[list[str]]:
    """The rows of the comparison that begin so; those of a recipe begin with its name as code."""
    comparison = RESULTS.split("<!-- comparison -->")[1].split("### With one setting changed")[0]
    return [cells(line) for line in comparison.splitlines() if line.startswith(f"| {title} |")]


def section_of(name: str) -> list[list[str]]:
    """The rows of a section that holds one recipe."""
    section = re.search(f"<!-- {name} -->(.*?)<!-- /{name} -->", RESULTS, re.DOTALL)
    return [cells(line) for line in section[1].splitlines() if line.startswith("|")]


def test_every_recipe_is_kept():
    assert DECLARED is RECIPES
    assert list(KEPT["recipes"]) != []
    assert set(KEPT["recipes"]) == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_what_it_was(name):
    kept = {"format": KEPT["format"], **KEPT["recipes"][name]}
    assert recipe_from_json(in_current_format(kept)) == RECIPES[name]()
    assert RECIPES[name]().recipe == name


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_in_one_line(name):
    known = RECIPES[name]
    assert known.summary.endswith(".")
    assert len(known.summary) <= 100
    assert name in known.command
    assert name == "simclr-pictures" or known.figures.rows
    assert known.training or known.family.hardware or name == "simclr-pictures"
    for figure in known.figures.rows:
        assert 20 < figure.top1 < 100
        assert bool(known.figures.examples) == bool(known.figures.seeds)


@pytest.mark.parametrize("name", [n for n, known in RECIPES.items() if known.figures.page])
def test_figures_are_those_of_the_page(name):
    known = RECIPES[name]
    assert known.figures.page == "docs/results.md"
    for figure in known.figures.rows:
        if f"<!-- {name} -->" in RESULTS:
            (row,) = [row for row in section_of(name) if row[0] == figure.title]
            assert row[1].startswith(figure.value)
            assert row[3].startswith("" if figure.raw is None else str(figure.raw))
        elif name.endswith("-lt"):
            (row,) = [row for row in rows_of(f"`{name}`") if row[1] == figure.title]
            assert row[5 if figure.of == SMALLEST else 2] == figure.value
        else:
            place = {"knn": 2, "few_labels": 3}[figure.protocol]
            own = rows_of(f"untrained encoder of `{name}`")
            assert rows_of(f"`{name}`")[0][place] == figure.value
            untrained = (own or rows_of("untrained encoder"))[0][place]
            assert untrained.split(" ± ")[0] == str(figure.untrained)
            assert rows_of("raw pixels")[0][place] == str(figure.raw)


def test_seeds_are_those_of_the_page():
    assert "with seeds 0, 1, 2: " in RESULTS
    for known in RECIPES.values():
        if known.figures.page:
            assert known.figures.seeds == (0, 1, 2)
