"""Run the benches and write their sections into docs/benchmarks.md, or benchmarks_gpu.md.

python -m benchmarks            every bench
python -m benchmarks views      only that one; the other sections stay as they are
"""

import subprocess
import sys
from pathlib import Path

from tools.markdown import with_section

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
GPU_PAGE = PAGE.with_name("benchmarks_gpu.md")


def bench_names() -> list[str]:
    """Every module of this folder that is a bench."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def page_of(name: str) -> Path:
    """Where the section of a bench stands."""
    return GPU_PAGE if name.startswith("gpu_") else PAGE


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
    for name in names:
        if section := run(name):  # else it has said what it lacks here: what stands there stays
            page = page_of(name)
            page.write_text(with_section(page.read_text(), name, f"{section}\n"))


if __name__ == "__main__":
    main()
