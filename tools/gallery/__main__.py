"""Train small runs and take the pictures of docs/gallery.md and docs/web.md; needs Chromium.

python -m tools.gallery                        everything: about ten minutes of one core
python -m tools.gallery --only pairs web       some of it
python -m tools.gallery --pictures-only        the pictures anew, of the runs that are there

Data of two runs are fetched beforehand: make wordnet openmoji.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfar.cli import main as nearfar
from nearfar.errors import NearfarError, require_known
from nearfar.run_folder.folder import RunFolder
from tools.chromium import Chromium, find_chromium
from tools.command import run_command
from tools.gallery.pictures import take_live, take_pictures
from tools.gallery.shown import SHOWN, Shown

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "gallery"
WEB = ROOT / "docs" / "web.png"
LIVE = "web"


@dataclass(frozen=True)
class Arguments:
    """Train small runs and take the pictures of docs/gallery.md and docs/web.md."""

    only: tuple[str, ...] = ()
    """Runs by name, and web for the live page; left out, all of them."""
    out: Path = ROOT / "runs" / "gallery"
    """Folder of the runs; those that are finished there are kept."""
    pictures_only: bool = False
    """Train nothing."""


def main(words: Sequence[str] | None = None) -> int:
    """Do what is asked for; the exit code."""
    return run_command("tools.gallery", Arguments, work, words)


def work(arguments: Arguments) -> None:
    """Train what is missing, and take the pictures.

    Raises:
        NearfarError: There is no Chromium, or a run could not be trained.
    """
    names = [*(each.name for each in SHOWN), LIVE]
    require_known("run", arguments.only, names)
    wanted = arguments.only or names
    program = find_chromium()
    if program is None:
        raise NearfarError("there is no chromium on the path: install it (Debian: chromium)")
    chosen = [each for each in SHOWN if each.name in wanted]
    for each in chosen:
        if not arguments.pictures_only:
            train(each, arguments.out / each.name)
    with Chromium(program) as browser:
        for each in chosen:
            take_pictures(browser, each, RunFolder(arguments.out / each.name).report, PICTURES)
        if LIVE in wanted:
            take_live(browser, WEB)


def train(shown: Shown, folder: Path) -> None:
    """Train a run, unless it is there and finished.

    Raises:
        NearfarError: It could not be trained; what nearfar says stands above.
    """
    if RunFolder(folder).report.exists():
        return
    overwrite = ["--overwrite"] if folder.exists() else []
    if nearfar([*shown.words, "--out", str(folder), *overwrite]):
        advice = f": {shown.needs} fetches its data" if shown.needs else ""
        raise NearfarError(f"{shown.name} was not trained{advice}")


if __name__ == "__main__":
    sys.exit(main())
