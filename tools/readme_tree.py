"""Write the README's tree of files: each file's name and the first sentence of its docstring.

python -m tools.readme_tree     rewrites the tree between its two marks in README.md
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- tree -->\n```text\n", "```\n<!-- /tree -->"
SHOWN = ("src/nearfar", "benchmarks", "papers", "tools")


def first_sentence(file: Path) -> str:
    """The first line of a module's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
    return docstring.split("\n")[0].removesuffix(".")


def branch(folder: Path, indent: str = "") -> list[str]:
    """The lines of one folder: itself, its files, then its sub-folders."""
    about = first_sentence(folder / "__init__.py")
    lines = [f"{indent}{folder.name + '/':{30 - len(indent)}}{about}"]
    inner = indent + "  "
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py":
            lines.append(f"{inner}{file.name:{30 - len(inner)}}{first_sentence(file)}")
    for sub in sorted(folder.iterdir()):
        if (sub / "__init__.py").exists():
            lines += branch(sub, inner)
    return lines


def tree() -> str:
    """The whole tree as text."""
    return "".join(f"{line}\n" for name in SHOWN for line in branch(ROOT / name))


def with_tree(page: str) -> str:
    """A page with the text between its two marks replaced by the tree as it is now."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + tree() + END + after


def main() -> None:
    """Rewrite the tree in README.md."""
    readme = ROOT / "README.md"
    readme.write_text(with_tree(readme.read_text()))


if __name__ == "__main__":
    main()
