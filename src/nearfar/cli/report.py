"""`nearfar report RUN [RUN…]`: write the page of one run, or of several side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.errors import SettingError
from nearfar.run_folder import names


@dataclass(frozen=True)
class ReportArguments:
    """Write one page that shows a run, or several runs side by side. Opens offline."""

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN [RUN…]")]
    """Run folders."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """The page; left out, report.html in the run, or in this folder for several runs."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar report` with the words after it."""
    arguments = parse(ReportArguments, "report", words)
    if not arguments.runs:
        raise SettingError("report needs at least one run folder, such as runs/simclr-digits")

    from nearfar.report.build import write_report
    from nearfar.terminal import Terminal, shown

    single = len(arguments.runs) == 1
    beside = arguments.runs[0] if single else Path()
    page = write_report(arguments.runs, arguments.out or beside / names.REPORT)
    Terminal(goes_on=True).print(f"report: {shown(page)}", soft_wrap=True)
