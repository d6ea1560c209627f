"""Pictures of reports, and of the live page, as a headless Chromium shows them."""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from nearfar.durable_files import make_folder, write_durably
from nearfar.errors import NearfarError
from nearfar.run_folder.folder import RunFolder
from nearfar.web.app import web_app
from tools.chromium import Chromium
from tools.gallery.shown import Picture, Shown

WIDTH = 1000
_LINES = 100
"""Lines that the live run logs before its picture is taken."""
_PATIENCE = 600
"""Seconds until a live run that does not come so far is given up."""

# Where a part begins and how high it is: from its heading to the end of the section, or from the
# top to the end of the first section.
_PLACE = """
(heading => {
  const top = heading === 'top';
  const head = top ? document.querySelector('section.card')
    : [...document.querySelectorAll('h2, h3')].find(each => each.innerText === heading);
  const card = head?.closest('section.card');
  if (!card) return null;
  const first = top ? 0 : (head.tagName === 'H2' ? card : head).getBoundingClientRect().top - 12;
  return {y: first + (top ? 0 : scrollY), height: card.getBoundingClientRect().bottom + 12 - first
    + (top ? scrollY : 0)};
})(%s)
"""


def take_pictures(browser: Chromium, shown: Shown, report: Path, folder: Path) -> None:
    """The pictures of a run's report, as WebP.

    Args:
        browser: Open.
        shown: What is wanted of it.
        report: Of the run.
        folder: Of the pictures.

    Raises:
        NearfarError: There is no report, or no such section in it.
    """
    if not report.exists():
        raise NearfarError(f"no report at {report}: train it first (leave out --pictures-only)")
    browser.show(report, width=WIDTH)
    browser.draw_everything()
    make_folder(folder)
    for picture in shown.pictures:
        _take(browser, picture, report, folder / f"{picture.name}.webp")


def _take(browser: Chromium, picture: Picture, report: Path, out: Path) -> None:
    place = browser.evaluate(_PLACE % json.dumps(picture.heading))
    if place is None:
        raise NearfarError(f"{report} has no section {picture.heading!r}")
    height = min(place["height"], picture.height)
    write_durably(out, browser.webp(y=place["y"], width=WIDTH, height=height))


def take_live(browser: Chromium, out: Path) -> None:
    """The page of `nearfar web` on a run of digits that is being trained.

    Args:
        browser: Open.
        out: The PNG.

    Raises:
        NearfarError: The run ended before its picture was taken, or did not come far enough.
    """
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "digits"
        words = ["train", "simclr-digits", "--out", str(run), "--training.knn-every", "4"]
        training = subprocess.Popen(
            [sys.executable, "-m", "nearfar", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until_far(training, RunFolder(run).metrics)
            with _served(Path(place)) as address:
                _photograph(browser, address, out)
        finally:
            training.terminate()
            training.wait()


def _until_far(training: subprocess.Popen[bytes], metrics: Path) -> None:
    """Wait for so many lines of the metrics."""
    deadline = time.monotonic() + _PATIENCE
    while not metrics.exists() or len(metrics.read_bytes().splitlines()) < _LINES:
        if training.poll() is not None:
            raise NearfarError("the live run ended before its picture was taken")
        if time.monotonic() > deadline:
            raise NearfarError(f"the live run has not logged {_LINES} lines: is this machine busy?")
        time.sleep(0.5)


def _photograph(browser: Chromium, address: str, out: Path) -> None:
    browser.open(address, width=1100)
    browser.wait_for("document.querySelector('#runs tbody a') !== null")
    browser.open(browser.evaluate("document.querySelector('#runs tbody a').href"), width=1100)
    browser.wait_for("document.querySelectorAll('.chart[data-drawn]').length >= 6")
    browser.wait_for("document.querySelector('.far').innerText.includes('left')")
    browser.screenshot(out, whole=False)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The address of a folder's live page, while the context lasts."""
    settings = uvicorn.Config(web_app(folder, "t"), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/t/"
    finally:
        server.should_exit = True
        thread.join()
