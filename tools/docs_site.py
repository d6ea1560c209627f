"""What the site of the documentation adds to docs/: its first page, tutorials, and API pages.

mkdocs calls these functions as hooks (mkdocs.yml). The pages of docs/ stay plain Markdown.
"""

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent

API = {
    "Encoders": (
        "nearfar.contrastive_encoder",
        "nearfar.encoders.saved",
        "nearfar.encoders.saved_encoder",
    ),
    "Runs": ("nearfar.recipes.recipe", "nearfar.recipes.run"),
    "Objectives": ("nearfar.objectives",),
    "Similarity": ("nearfar.similarity",),
    "Estimators": ("nearfar.estimators", "nearfar.information.estimate"),
    "Methods": (
        "nearfar.methods.method",
        "nearfar.methods.method_spec",
        "nearfar.methods.unlabelled_specs",
        "nearfar.methods.labelled_specs",
        "nearfar.methods.cpc_spec",
        "nearfar.methods.distill_spec",
        "nearfar.methods.clip_spec",
    ),
    "Data": ("nearfar.data.source", "nearfar.data.source_spec", "nearfar.data.arrays"),
    "Evaluation": (
        "nearfar.evaluation.protocol_spec",
        "nearfar.evaluation.accuracy_specs",
        "nearfar.evaluation.geometry_specs",
        "nearfar.evaluation.retrieval_specs",
        "nearfar.evaluation.trained_specs",
        "nearfar.evaluation.knn",
    ),
    "Training": ("nearfar.training.loop", "nearfar.training.specs", "nearfar.training.tracker"),
    "Features in use": (
        "nearfar.uses.neighbors",
        "nearfar.uses.duplicates",
        "nearfar.uses.suspects",
    ),
    "Tests of your own": ("nearfar.testing",),
}
"""Pages of the API, and the modules that each shows."""

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))
"""Notebooks as Python files, whose cells begin with `# %%`."""

_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_TAG = re.compile(r"^```(\w+)[^\n]*")
_LIST = re.compile(r"^(?![ \t]|[-*] |\d+\. |[|>#]|$)(.+)\n(?=(?:[-*]|\d+\.) )", re.MULTILINE)


def on_files(files: "Files", config: Any) -> "Files":
    """Add the first page, the changelog, the tutorials and the API pages to those of docs/."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "index.md", content=_first_page()))
    files.append(
        File.generated(config, "changelog.md", content=(ROOT / "CHANGELOG.md").read_text())
    )
    for each in TUTORIALS:
        content = notebook_as_markdown(each.read_text())
        files.append(File.generated(config, f"tutorials/{each.stem}.md", content=content))
    for title, modules in API.items():
        content = f"# {title}\n\n" + "".join(map(_module, modules))
        files.append(File.generated(config, f"api/{_slug(title)}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page as Python's Markdown reads it: links within the site, lists apart from text."""
    if page.file.src_uri in ("index.md", "changelog.md"):
        markdown = _outside_code(markdown, lambda text: _LINK.sub(_from_root, text))
    if page.file.src_uri == "tutorials.md":
        markdown = re.sub(r"\(tutorials/(\w+)\.py\)", r"(tutorials/\1.md)", markdown)
    return _outside_code(
        markdown,
        lambda text: _LIST.sub(r"\1\n\n", _LINK.sub(_within, _CODE.sub(_bare_bars, text))),
    )


def notebook_as_markdown(text: str) -> str:
    """A notebook that is a Python file as a page: its text as it is, its code in fenced blocks.

    Args:
        text: Cells, each behind a line `# %%`, those of text behind `# %% [markdown]`.
    """
    _, *cells = _CELL.split(text)
    shown = []
    for kind, cell in zip(cells[::2], cells[1::2], strict=True):
        if kind:
            lines = (line.removeprefix("#").removeprefix(" ") for line in cell.strip().split("\n"))
            shown.append("\n".join(lines))
        else:
            shown.append(f"```python\n{cell.strip()}\n```")
    return "\n\n".join(shown) + "\n"


def _outside_code(markdown: str, change: Any) -> str:
    """Change the text between fenced blocks, and take words that our tests read off these."""
    return "".join(
        _TAG.sub(r"```\1", part) if part.startswith("```") else change(part)
        for part in _FENCE.split(markdown)
    )


def _bare_bars(code: re.Match[str]) -> str:
    """Code of a table with its bars as they are: only GitHub wants a backslash before them."""
    return code.group().replace("\\|", "|")


def _within(link: re.Match[str]) -> str:
    """A link to a file outside of docs/ as the file's name; other links as they are."""
    label, target = link.group(2), link.group(3)
    if not target.startswith("../"):
        return link.group()
    path = target.removeprefix("../")
    if path == "README.md":
        return f"[{label}](index.md)"
    if path == "CHANGELOG.md":
        return f"[{label}](changelog.md)"
    return f"{label} (`{path}`)" if path not in label else label


def _from_root(link: re.Match[str]) -> str:
    """A link of a page that lies beside docs/, as one from inside it."""
    mark, label, target = link.groups()
    if target.startswith(("http", "#")):
        return link.group()
    inside = target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"
    return f"{mark}[{label}]({inside})"


def _first_page() -> str:
    """The README without its tree of files."""
    text = (ROOT / "README.md").read_text()
    return re.sub(r"^## Files.*?(?=^MIT licence|^## |\Z)", "", text, flags=re.MULTILINE | re.DOTALL)


def _module(module: str) -> str:
    """What a page shows of a module; of a package, the names that it exports, by their homes."""
    shown = _exported(module) or [module]
    return f"## `{module}`\n\n" + "".join(f"::: {each}\n\n" for each in shown)


def _exported(module: str) -> list[str]:
    package = ROOT / "src" / Path(*module.split(".")) / "__init__.py"
    if not package.is_file():
        return []
    homes = {
        alias.name: f"{module}.{each.module}" if each.level else each.module
        for each in ast.parse(package.read_text()).body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    return [f"{homes[name]}.{name}" for name in sorted(homes)]


def _slug(title: str) -> str:
    return title.lower().replace(" ", "_")
