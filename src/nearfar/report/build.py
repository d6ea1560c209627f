"""Run folders in, one HTML page out, which opens offline and asks no server for anything."""

from collections.abc import Sequence
from pathlib import Path

from nearfar.durable_files import make_folder, write_durably
from nearfar.errors import NearfarError
from nearfar.paths import user_path
from nearfar.report.comparison import comparison
from nearfar.report.page import render
from nearfar.report.run_files import RunFiles, read_run
from nearfar.report.sections import run_section


def write_report(runs: Sequence[Path], out: Path) -> Path:
    """Writes one self-contained page on one run, or on several side by side.

    Args:
        runs: Run folders, at least one; each may lack what it has not come to yet.
        out: The page's file; replaced in one stroke once the page is whole.

    Returns:
        `out`.

    Raises:
        NearfarError: No run, a folder that is no run folder, a damaged file in it, or mutual
            information alone beside runs.
    """
    page = report_page(runs)
    out = user_path(out)
    make_folder(out.parent)
    write_durably(out, page.encode(errors="backslashreplace"))
    return out


def report_page(runs: Sequence[Path]) -> str:
    """The page that `write_report` writes; the folders are read, and nothing is written.

    Args:
        runs: As for `write_report`.

    Raises:
        NearfarError: As for `write_report`.
    """
    if not runs:
        raise NearfarError("report: no run folder given; name at least one")
    read = _named([read_run(Path(run)) for run in runs])
    alone = [name for name, run in read.items() if not run.is_run]
    if alone and len(read) > 1:
        raise NearfarError(
            f"{alone[0]} holds mutual information and no run to compare: report it by itself"
        )
    return _render(read)


def _named(runs: Sequence[RunFiles]) -> dict[str, RunFiles]:
    """Runs by folder name, or by whole path where two folders share their name."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    if len(set(names)) < len(names):
        raise NearfarError("report: the same run folder is given twice; name each once")
    return dict(zip(names, runs, strict=True))


def _render(runs: dict[str, RunFiles]) -> str:
    return render(
        "page.html",
        comparison=comparison(runs) if len(runs) > 1 else None,
        runs=[
            run_section(run, name, f"run-{at}") for at, (name, run) in enumerate(runs.items(), 1)
        ],
    )
