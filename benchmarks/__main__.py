"""Run the benches and write their sections into docs/benchmarks.md.

python -m benchmarks            every bench
python -m benchmarks views      only that one; the other sections stay as they are
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
HEAD = (
    "# Benchmarks\n\n"
    "Each table is made by one command and names its versions and hardware. Contenders run in\n"
    "turn, medians are quoted, and ratios travel better than absolute times.\n"
    "`make bench` runs them all; `python -m benchmarks views` runs one.\n"
)


def bench_names() -> list[str]:
    """Every module of this folder that is a bench."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def sections_of(page: str) -> dict[str, str]:
    """The sections on the page by bench name, as `run` wrote them."""
    found = re.findall(r"<!-- (\w+) -->\n(.*?)(?=\n<!-- |\Z)", page, flags=re.DOTALL)
    return {name: text.strip() for name, text in found}


def run(name: str) -> str:
    """Run one bench in a process of its own: none inherits another's memory or threads."""
    code = (
        f"import benchmarks.{name} as bench, pathlib, sys; "
        "pathlib.Path(sys.argv[1]).write_text(bench.main())"
    )
    out = HERE / f".{name}.md"
    try:
        subprocess.run([sys.executable, "-c", code, str(out)], check=True, cwd=HERE.parent)
        return out.read_text().strip()
    finally:
        out.unlink(missing_ok=True)


def main() -> None:
    names = sys.argv[1:] or bench_names()
    unknown = sorted(set(names) - set(bench_names()))
    if unknown:
        sys.exit(f"unknown bench {unknown[0]!r}: choose from {', '.join(bench_names())}")
    sections = sections_of(PAGE.read_text()) if PAGE.exists() else {}
    for name in names:
        section = run(name)
        if not section:  # It has said what it lacks here; what another machine gave stays.
            continue
        sections[name] = section
        body = "\n\n".join(f"<!-- {key} -->\n{sections[key]}" for key in sorted(sections))
        PAGE.write_text(f"{HEAD}\n{body}\n")


if __name__ == "__main__":
    main()
