"""Docstrings of functions and settings, read from the source without importing it."""

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path

_SECTIONS = ("Args:", "Returns:", "Raises:", "Source:")


@dataclass(frozen=True)
class FunctionText:
    """A function as its source shows it.

    Attributes:
        call: Its name and arguments, without types.
        summary: First line of the docstring.
        paragraphs: What stands below, up to its sections.
        arguments: What `Args` says of each.
        sections: `Returns`, `Raises` and `Source`, each as text.
    """

    call: str
    summary: str
    paragraphs: list[str]
    arguments: dict[str, str]
    sections: dict[str, str]


def function_text(module: str, name: str) -> FunctionText | None:
    """A function's docstring, from the source of the module that defines or exports it.

    Returns:
        The text; None where there is no such source.
    """
    definitions = (each for each in _tree(module).body if isinstance(each, ast.FunctionDef))
    found = next((each for each in definitions if each.name == name), None)
    if found is None:
        handed_on = exported(module)
        return function_text(handed_on[name], name) if name in handed_on else None
    for argument in (*found.args.posonlyargs, *found.args.args, *found.args.kwonlyargs):
        argument.annotation = None
    first, *others = (ast.get_docstring(found) or "").split("\n\n")
    told, sections = [], {}
    for paragraph in others:
        head, _, rest = paragraph.partition("\n")
        if head in _SECTIONS:
            sections[head.removesuffix(":")] = cleandoc("\n" + rest)
        else:
            told.append(paragraph)
    return FunctionText(
        call=f"{name}({ast.unparse(found.args)})",
        summary=" ".join(first.split()),
        paragraphs=told,
        arguments=_by_argument(sections.pop("Args", "")),
        sections={title: " ".join(text.split()) for title, text in sections.items()},
    )


def exported(package: str) -> dict[str, str]:
    """The names that a package's `__init__` imports, each with the module that it is from."""
    return {
        alias.name: f"{package}.{each.module}" if each.level else each.module
        for each in _tree(package).body
        if isinstance(each, ast.ImportFrom) and each.module
        for alias in each.names
    }


def setting_texts(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass, those that it inherits among them."""
    texts: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if "__dataclass_fields__" not in vars(each):
            continue
        classes = (node for node in _tree(each.__module__).body if isinstance(node, ast.ClassDef))
        body = next((node.body for node in classes if node.name == each.__name__), [])
        for field, below in pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                texts[field.target.id] = " ".join(str(below.value.value).split())
    return texts


def _by_argument(text: str) -> dict[str, str]:
    """The section `Args` by the arguments' names; what goes on stands deeper."""
    told: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(" "):
            told[next(reversed(told))] += f" {line.strip()}"
        else:
            name, _, rest = line.partition(": ")
            told[name] = rest
    return told


@cache
def _tree(module: str) -> ast.Module:
    """The syntax tree of a module's source, empty where there is none; no package is imported."""
    top, *inner = module.split(".")
    spec = find_spec(top) if top != "__main__" else None
    if spec is None or not spec.origin:
        return ast.Module([], [])
    file = Path(spec.origin)
    if inner:
        below = file.parent.joinpath(*inner)
        file = below / "__init__.py" if below.is_dir() else below.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8") if file.is_file() else "")
