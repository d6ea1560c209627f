import ast
import inspect
from pathlib import Path

import pytest

import nearfar


@pytest.mark.parametrize("name", nearfar.__all__)
def test_every_public_name_loads_and_has_a_docstring(name):
    value = getattr(nearfar, name)
    assert isinstance(value, str) or inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nosuch"):
        nearfar.nosuch  # noqa: B018  (reading it is the test)


def test_what_type_checkers_see_is_what_loads():
    tree = ast.parse(Path(nearfar.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == nearfar._HOMES
    assert set(nearfar.__all__) == {*seen, "__version__"}
    assert dir(nearfar) == sorted(nearfar.__all__)
