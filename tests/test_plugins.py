"""What other packages add can be chosen by its name."""

from importlib.metadata import EntryPoint

import pytest

from nearfar import plugins
from nearfar.cli.train import _read
from nearfar.errors import NearfarError
from nearfar.methods.objective_specs import ObjectiveSpec

OBJECTIVE = """
from typing import Literal
from nearfar.methods.objective_specs import ObjectiveSpec

class GentleSpec(ObjectiveSpec):
    function = "nearfar.objectives:nt_xent"
    name: Literal["gentle"] = "gentle"
    temperature: float = 2.0
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


def test_an_objective_of_another_package_is_chosen_and_set_by_name(added):
    added(OBJECTIVE, "gentle_objective")
    words = ["--method.objective", "gentle", "--method.objective.temperature", "3"]
    objective = _read(["simclr-digits", *words]).method.objective
    assert (objective.name, objective.temperature) == ("gentle", 3.0)
    assert objective.build().settings == {"temperature": 3.0}
    assert "gentle" in ObjectiveSpec.owners("temperature")


def test_one_that_cannot_be_loaded_is_named(added):
    added("import no_such_module_at_all", "broken_plugin")
    with pytest.raises(NearfarError, match=r"plug-in own of .* cannot be loaded: No module"):
        ObjectiveSpec.known()
