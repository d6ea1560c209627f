"""Write the README's tree of files: each file's name and the first sentence of its docstring.

python -m tools.readme_tree     rewrites the tree between its two marks in README.md
"""

import ast
from pathlib import Path

from tools.markdown import with_section

ROOT = Path(__file__).parent.parent
SHOWN = ("src/nearfar", "benchmarks", "cases", "papers", "tools")


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
    """A page with the tree as it is now."""
    return with_section(page, "tree", f"```text\n{tree()}```\n")


def main() -> None:
    """Rewrite the tree in README.md."""
    readme = ROOT / "README.md"
    readme.write_text(with_tree(readme.read_text()))


if __name__ == "__main__":
    main()
