"""The listing commands, such as `nearfar data`: a table that fits a screen, all of one, or JSON."""

import inspect
import json
import re
import sys
from dataclasses import fields
from typing import ClassVar, Literal

import pytest
from rich.cells import cell_len

from nearfar import objectives
from nearfar.cli.app import main
from nearfar.cli.arguments import parse
from nearfar.cli.choices import choose
from nearfar.cli.setting_tables import options
from nearfar.cli.train import TrainArguments
from nearfar.data.specs import SourceSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.names import RECIPES
from nearfar.spec import Above0

NAMES = {
    "data": list(SourceSpec.known()),
    "methods": list(MethodSpec.known()),
    "objectives": sorted(objectives.__all__),
    "protocols": list(ProtocolSpec.known()),
    "recipes": list(RECIPES),
}
EACH = [(command, name) for command, names in NAMES.items() for name in names]


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def told(capsys, *words):
    assert main([*words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", NAMES)
def test_every_thing_has_a_line_and_every_table_fits_a_screen(
    command, columns, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = told(capsys, command).splitlines()
    for name in NAMES[command]:
        assert len([line for line in lines if line.split(" ")[0].rstrip("*") == name]) == 1
    assert not any("…" in line for line in lines)
    assert max(map(len, map(str.rstrip, lines))) <= max(columns, 93)  # the last line may wrap
    screens = "\n".join(lines).split("\n\n")
    # A screen; a longer list has a line for each thing, and few that wrap.
    longest = max(screen.count("\n") + 1 for screen in screens)
    assert longest <= max(23, len(NAMES[command]) + 4)
    assert f"nearfar {command} NAME" in screens[-1]


@pytest.mark.parametrize("command", NAMES)
def test_names_stay_whole_in_a_narrow_terminal(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    begun = {line.split(" ")[0].rstrip("*") for line in told(capsys, command).splitlines()}
    assert begun.issuperset(NAMES[command])


@pytest.mark.parametrize("command", NAMES)
def test_no_column_is_empty(command, capsys):
    for screen in told(capsys, command).split("\n\n"):
        head = next((line for line in screen.splitlines() if line.startswith(command[:4])), "")
        rows = [line for line in screen.splitlines() if line.split(" ")[0] in NAMES[command]]
        for title in re.finditer(r"\S+(?: \S+)*", head):
            assert any(row[title.start() : title.end()].strip() for row in rows)


@pytest.mark.parametrize(("command", "name"), EACH)
def test_a_name_tells_all_of_that_thing_alone(command, name, capsys):
    said = told(capsys, command, name)
    assert said.startswith(name)
    assert "…" not in said
    commands = [line for line in said.splitlines() if line.startswith("  $ ")]
    assert len(commands) == (command not in ("objectives", "protocols"))
    others = [line for line in said.splitlines() if line not in commands]
    assert max(map(cell_len, others)) <= 80


@pytest.mark.parametrize("command", NAMES)
def test_json_lists_objects_of_the_same_names_and_nothing_else(command, capsys):
    listed = json.loads(told(capsys, command, "--json"))
    assert [each["name"] for each in listed] == NAMES[command]
    one = NAMES[command][-1]
    assert json.loads(told(capsys, command, one, "--json")) == [listed[-1]]


@pytest.mark.parametrize(
    ("command", "name", "said"),
    [
        ("recipes", "simclr-picture", "unknown recipe 'simclr-picture': did you mean 'simclr-pict"),
        ("methods", "mocco", "unknown method 'mocco': did you mean 'moco'"),
        ("data", "digts", "unknown data source 'digts': did you mean 'digits'"),
        ("objectives", "nt_xnt", "unknown objective 'nt_xnt': did you mean 'nt_xent'"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest(command, name, said, capsys):
    for more in ([], ["--json"]):
        assert main([command, name, *more]) == 2
        out, error = capsys.readouterr()
        assert said in error
        assert not out


def test_a_recipe_tells_command_settings_figures_and_time(capsys):
    said = told(capsys, "recipes", "paco-fashion-lt")
    rows = [re.split("  +", line.strip()) for line in said.splitlines()]
    assert ["$ nearfar train paco-fashion-lt --data.root FOLDER"] in rows
    assert ["--data.imbalance-factor", "100"] in rows
    assert ["--method.alpha", "0.001"] in rows
    assert ["own classifier", RECIPES["paco-fashion-lt"].figures.rows[0].value] in rows
    assert [
        "own classifier",
        RECIPES["paco-fashion-lt"].figures.rows[1].value,
        "the three smallest classes",
    ] in rows
    assert "seeds 0, 1 and 2, mean ± sd, on 10,000 test examples (docs/results.md)" in said
    assert "4.1 min on one thread of an AMD EPYC with bf16" in said
    assert "published by the source, not reproduced here" in told(
        capsys, "recipes", "moco2-imagenet"
    )


@pytest.mark.parametrize("name", RECIPES)
def test_the_settings_that_a_recipe_tells_are_those_that_make_it(name):
    recipe, words = RECIPES[name](), []
    for option, value in options(recipe).items():
        values = value if isinstance(value, tuple) else (value,)
        # A list of pairs is typed as one list.
        flat = [each if isinstance(each, tuple) else (each,) for each in values]
        if option != "--recipe":
            words += [option, *(str(word) for each in flat for word in each)]
    arguments, left = choose(TrainArguments(), words)
    read = parse(TrainArguments, "train", left, arguments)
    for room in fields(recipe):
        if room.name != "recipe":
            assert getattr(read, room.name) == getattr(recipe, room.name)


def test_a_methods_settings_have_default_bounds_and_help(capsys):
    said = told(capsys, "methods", "moco")
    rows = [re.split("  +", line.strip()) for line in said.splitlines()]
    assert ["head", "mlp", "identity or linear or mlp"] in [row[:3] for row in rows]
    assert ["queue-size", "65536", "whole, 1 or more"] in [row[:3] for row in rows]
    settings = json.loads(told(capsys, "methods", "moco", "--json"))[0]["settings"]
    assert {each["name"] for each in settings} == {
        each.name for each in fields(MethodSpec.named("moco"))
    } - {"name"}
    assert all(each["help"] for each in settings)
    assert next(each for each in settings if each["name"] == "momentum") == {
        "name": "momentum",
        "default": 0.999,
        "allowed": "0 to 1",
        "help": "Share of its weights that the key encoder keeps at each step.",
    }


def test_simclr_tells_the_objectives_it_may_use(capsys):
    said = told(capsys, "methods", "simclr")
    assert all(name in said for name in ObjectiveSpec.known())
    assert "--method.objective" not in told(capsys, "methods", "moco")


def test_an_objective_is_told_as_it_is_called_with_its_source(capsys):
    for each in json.loads(told(capsys, "objectives", "--json")):
        called = inspect.signature(getattr(objectives, each["name"])).parameters
        plain = [one.replace(annotation=inspect.Parameter.empty) for one in called.values()]
        assert each["call"] == each["name"] + str(inspect.Signature(plain))
        assert list(each["arguments"]) == list(called)
        assert each["summary"]
        assert each["raises"]
        assert re.search(r"\b(19|20)\d\d, ", each["source"])
    assert "arXiv:2004.11362" in told(capsys, "objectives", "supcon")


PLUGIN = """
from .losses import far
"""
LOSSES = '''
def far(first, second, *, reach: float = 2.0):
    """Everything far (Nobody 2026).

    Args:
        first: One view.
        second: The other.
        reach: How far.
    """
'''


def test_what_a_plug_in_adds_is_told_without_importing_it(tmp_path, monkeypatch, capsys):
    package = tmp_path / "farther_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(PLUGIN)
    (package / "losses.py").write_text(LOSSES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ObjectiveSpec, "choices", dict(ObjectiveSpec.known()))

    class Far(ObjectiveSpec):
        """Everything far."""

        function: ClassVar[str] = "farther_plugin:far"
        name: Literal["far"] = "far"
        reach: Above0 = 2.0
        """How far."""

    assert "far " in told(capsys, "objectives")
    assert "far(first, second, *, reach=2.0)" in told(capsys, "objectives", "far")
    assert "far " in told(capsys, "methods", "simclr")
    (told_of,) = json.loads(told(capsys, "objectives", "far", "--json"))
    assert told_of["arguments"] == {
        "first": "One view.",
        "second": "The other.",
        "reach": "How far.",
    }
    assert [(each["name"], each["allowed"]) for each in told_of["settings"]] == [
        ("reach", "above 0")
    ]
    assert "farther_plugin" not in sys.modules


def test_a_recipes_json_holds_its_settings_and_figures(capsys):
    (one,) = json.loads(told(capsys, "recipes", "simclr-digits", "--json"))
    assert one["settings"] == json.loads(json.dumps(recipe_to_json(RECIPES["simclr-digits"]())))
    assert one["expected"]["rows"][0]["protocol"] == "knn"
    assert one["expected"]["seeds"] == [0, 1, 2]
