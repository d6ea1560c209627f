"""What other packages add can be chosen by its name."""

from importlib.metadata import EntryPoint

import pytest

from nearfar import plugins
from nearfar.cli import main
from nearfar.cli.train import _read
from nearfar.data.sources import load_source
from nearfar.data.specs import SourceSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.objective_specs import NTXentSpec, ObjectiveSpec
from nearfar.recipes.names import RECIPES
from nearfar.sweeps.known_studies import studies

OBJECTIVE = """
from typing import Literal
from nearfar.methods.objective_specs import ObjectiveSpec

class GentleSpec(ObjectiveSpec):
    function = "nearfar.objectives:nt_xent"
    name: Literal["gentle"] = "gentle"
    temperature: float = 2.0
"""

SOURCE = """
from typing import Annotated, Literal
from annotated_types import Ge
from nearfar.data.specs import SourceSpec

class StepsSpec(SourceSpec):
    target, modality = "steps_source:load_steps", "series"
    summary = "steps up and down"
    classes, train_examples, size, licence = 2, 40, "1 channel × 16 steps", "CC0"
    citation, home = "nobody 2026", "example.org"
    name: Literal["steps"] = "steps"
    height: Annotated[float, Ge(0)] = 1.0
    \"\"\"Of a step.\"\"\"

def load_steps(spec):
    import numpy as np
    from nearfar.data.arrays import source_from_series
    labels = np.arange(50) % 2
    up = np.arange(16) >= 8
    series = np.where(labels[:, None] == 1, up, ~up) * spec.height
    return source_from_series(series, labels, name=spec.name)
"""


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Lets a module of this text be what an installed package names as its plug-in."""

    def add(text: str, module: str) -> None:
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        found = [EntryPoint(name="own", value=module, group=plugins.GROUP)]
        monkeypatch.setattr(plugins, "entry_points", lambda *, group: found)

    plugins.load_plugins.cache_clear()
    yield add
    plugins.load_plugins.cache_clear()
    ObjectiveSpec.choices.pop("gentle", None)
    SourceSpec.choices.pop("steps", None)


def test_an_objective_of_another_package_is_chosen_and_set_by_name(added):
    added(OBJECTIVE, "gentle_objective")
    words = ["--method.objective", "gentle", "--method.objective.temperature", "3"]
    objective = _read(["simclr-digits", *words]).method.objective
    assert (objective.name, objective.temperature) == ("gentle", 3.0)
    assert objective.build().settings == {"temperature": 3.0}
    assert "gentle" in ObjectiveSpec.owners("temperature")


def test_a_source_of_another_package_is_chosen_listed_and_loaded(added, capsys):
    added(SOURCE, "steps_source")
    data = _read(["--data", "steps", "--data.height", "3", "--data.held-out", "0"]).data
    source = load_source(data)
    assert (source.name, source.modality, source.num_classes) == ("steps", "series", 2)
    assert (len(source.train), len(source.test)) == (40, 10)
    assert float(source.train.examples.max()) == 3.0
    assert data.most_to_learn_from() == 40
    with pytest.raises(SettingError, match=r"height is -1\.0: it must be 0 or more"):
        SourceSpec.named("steps")(height=-1.0)
    with pytest.raises(SettingError, match="digits has no such setting, it belongs to steps"):
        _read(["--data", "digits", "--data.height", "3"])
    main(["data"])
    assert [*map(str.split, capsys.readouterr().out.splitlines())][-4][:3] == [
        "steps",
        "series",
        "40",
    ]
    main(["data", "steps"])
    told = capsys.readouterr().out
    assert "Steps up and down." in told
    assert "Of a step." in told


def test_one_that_cannot_be_loaded_is_named(added):
    added("import no_such_module_at_all", "broken_plugin")
    with pytest.raises(NearfarError, match=r"plug-in own of .* cannot be loaded: No module"):
        ObjectiveSpec.known()


def test_one_that_takes_a_name_of_ours_is_named_and_ours_stays(added, capsys):
    added(OBJECTIVE.replace('"gentle"', '"nt_xent"'), "taking_plugin")
    assert main(["objectives"]) == 1
    assert capsys.readouterr().err == (
        "nearfar: the plug-in own of an unknown package cannot be loaded: the objective nt_xent is "
        "nearfar.methods.objective_specs.NTXentSpec already: taking_plugin.GentleSpec needs a name "
        "that is not taken: mend or uninstall an unknown package\n"
    )
    assert ObjectiveSpec.named("nt_xent") is NTXentSpec


DECLARED = """
from nearfar.recipes.known import Family, published, recipe
from nearfar.sweeps.known_studies import study

@{decorator}
def {name}():
    \"\"\"Another.\"\"\"
"""


@pytest.mark.parametrize(
    ("kind", "decorator", "known"),
    [
        ("recipe", 'recipe(Family("own", data="", command="", hardware=""), published())', RECIPES),
        ("study", "study", studies()),
    ],
)
def test_one_that_takes_the_name_of_a_recipe_or_study_is_named(added, kind, decorator, known):
    taken, ours = next(iter(known.items()))
    name = taken.replace("-", "_")
    added(DECLARED.format(decorator=decorator, name=name), f"taking_{kind}")
    place = f"{ours.make.__module__}.{name}"
    said = f"plug-in own of .* the {kind} {taken} is {place} already: taking_{kind}.{name} needs"
    with pytest.raises(NearfarError, match=said):
        ObjectiveSpec.known()
    assert known[taken] is ours


def test_what_is_defined_again_keeps_its_name(added):
    for temperature in (2.0, 3.0):
        exec(OBJECTIVE.replace("2.0", str(temperature)), {"__name__": "a_notebook"})
        assert ObjectiveSpec.named("gentle")().temperature == temperature
