"""The file names of a run folder stand in one module."""

import ast
from pathlib import Path

import nearfar
from nearfar.run_folder import names

SOURCE = Path(nearfar.__file__).parent
KNOWN = {names.MANIFEST, names.LOCK, *names.FOLDERS, *names.FILES}


def spelt_out(file: Path) -> set[str]:
    """The names of files that a module spells out, but for what is only said in words."""
    return {
        node.value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in KNOWN
    }


def test_no_other_module_spells_a_file_name_out():
    told = {
        file.relative_to(SOURCE).as_posix(): found
        for file in SOURCE.rglob("*.py")
        if (found := spelt_out(file))
    }
    assert told == {
        "run_folder/names.py": KNOWN,
        "recipes/config_json.py": {names.CONFIG},
        "exports/timm_folder.py": {"config.json"},  # timm's own file is called so too
        "encoders/huggingface_specs.py": {"config.json"},  # and that of transformers
    }


def test_the_page_lists_all():
    page = (SOURCE.parents[1] / "docs" / "architecture.md").read_text()
    table = page.split("## A run folder")[1]
    assert [name for name in KNOWN if f"`{name}" not in table] == []
