"""The page of objectives shows each of them, with its equation, its source and its use."""

import re
from pathlib import Path

import pytest

from nearfar import objectives
from nearfar.cli.objectives import Objectives

PAGE = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^###? |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_objective_has_one_section():
    assert sorted(re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)) == sorted(objectives.__all__)


@pytest.mark.parametrize("name", objectives.__all__)
def test_a_section_has_equation_source_and_use(name):
    section = SECTIONS[name]
    equation, use = re.findall(r"^```(\w+).*?\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert equation[0] == "text"
    assert use[0] == "python"
    assert f"objectives.{name}(" in use[1]
    assert len(use[1].splitlines()) <= 6
    # First author and year, as the docstring names them.
    author, year = re.match(
        r"(?:van den )?(\w+).*?((?:19|20)\d\d)", Objectives().facts(name)["source"]
    ).groups()
    assert re.search(rf"{author}.*?{year}", section, re.DOTALL)
