"""`nearfar web RUNS`: a page on this machine that follows running jobs and browses runs."""

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.bounds import check_range
from nearfar.cli.arguments import parse
from nearfar.errors import NearfarError
from nearfar.installed import install_command, needed


@dataclass(frozen=True)
class WebArguments:
    """Serve a page on this machine that follows running jobs and browses all runs below a folder.

    Its address holds a token and is printed; nobody else, and no other machine, can read the page.
    Nothing is written. Ctrl-C ends it.
    """

    runs: Annotated[Positional[Path], arg(metavar="[RUNS]")] = Path("runs")
    """Folder to look through."""
    port: int = 0
    """Of 127.0.0.1; 0 takes a free one."""
    open: bool = False
    """Open it in this machine's browser, too; its address then stands in the list of processes."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar web` with the words after it."""
    arguments = parse(WebArguments, "web", words)
    check_range("--port", arguments.port, 0, 65535)
    if not arguments.runs.is_dir():
        raise NearfarError(f"no folder at {arguments.runs}: check the path")
    missing = [each.package for each in needed("web") if not each.fits]
    if missing:
        raise NearfarError(
            f"nearfar web needs {' and '.join(missing)}: {install_command('nearfar[web]')}"
        )

    from nearfar.terminal import Terminal, shown
    from nearfar.web.server import serve

    console = Terminal(highlight=False)

    def ready(address: str) -> None:
        console.print(
            f"{address}  (runs below {shown(arguments.runs)}; Ctrl-C ends it)", soft_wrap=True
        )
        if arguments.open:
            webbrowser.open(address)

    try:
        serve(arguments.runs, arguments.port, ready)
    except KeyboardInterrupt:
        return  # how a server is ended
