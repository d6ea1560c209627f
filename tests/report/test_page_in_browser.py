"""The page as a reader meets it: in a real browser, wide and narrow, light and dark."""

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from digits_run import SHOWN, cells_of
from PIL import Image

from nearfar.report.build import write_report
from nearfar.report.charts import shortened
from nearfar.run_folder.folder import RunFolder

pytestmark = pytest.mark.browser

OVERFLOW = "document.documentElement.scrollWidth > innerWidth"
SPILLS = """[...document.querySelectorAll('main *')]
  .filter(e => !e.closest('.scroll, svg, .unseen, thead') && e.getClientRects().length
               && e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def one(digits_run, tmp_path_factory):
    return write_report([digits_run], tmp_path_factory.mktemp("page") / "one.html")


@pytest.fixture(scope="module")
def two(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    name = "a-name-of-a-run-that-is-much-longer-than-a-telephone-is-wide-0123456789"
    other = shutil.copytree(digits_run, folder / name)
    return write_report([digits_run, other], folder / "two.html")


@pytest.mark.parametrize("page", ["one", "two"])
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (400, False)])
def test_no_complaint_no_request_no_overflow(browser, request, page, width, dark):
    file = request.getfixturevalue(page)
    browser.show(file, width=width, dark=dark)
    assert not browser.evaluate(OVERFLOW)
    browser.draw_everything()
    assert not browser.evaluate(OVERFLOW)
    assert browser.evaluate(SPILLS) == []
    assert browser.complaints() == []
    assert browser.requests() == [file.resolve().as_uri()]


def test_a_page_that_reaches_out_would_be_noticed(browser, one, tmp_path):
    file = tmp_path / "loud.html"
    page = one.read_text().replace("<main>", "<main><img src='https://example.org/a.png' alt='a'>")
    file.write_text(page.replace("</body>", "<script>window.loud = 1</script></body>"))
    browser.show(file, width=1200)
    browser.draw_everything()
    assert any("Content Security Policy" in line for line in browser.complaints())
    assert browser.evaluate("window.loud") is None


def test_charts_wait_until_they_come_near(browser, one):
    browser.show(one, width=1200, height=900)
    browser.wait_for("document.querySelector('#run-1-accuracies-1').dataset.drawn")
    assert browser.evaluate("document.querySelector('#run-1-map').dataset.drawn") is None


def test_charts_follow_the_device_from_light_to_dark(browser, one):
    line = "getComputedStyle(document.querySelector('#run-1-loss .js-line')).stroke"
    browser.show(one, width=1200)
    browser.draw_everything()
    assert browser.evaluate(line) == "rgb(31, 95, 168)"
    browser.set_dark(True)
    browser.wait_for(f"{line} === 'rgb(116, 178, 245)'")
    assert browser.complaints() == []


def test_pointing_at_the_map_shows_the_image(browser, one):
    browser.show(one, width=1200)
    browser.draw_everything()
    place = browser.evaluate(
        """(() => {
             const box = document.querySelector('#run-1-map');
             box.scrollIntoView({behavior: 'instant'});
             const marks = [...box.querySelectorAll('.points path')];
             const points = marks.map(p => p.getBoundingClientRect());
             const lonely = points.map(p => Math.min(...points.filter(q => q !== p)
               .map(q => Math.hypot(p.x - q.x, p.y - q.y))));
             const at = points[lonely.indexOf(Math.max(...lonely))];
             return [at.x + at.width / 2, at.y + at.height / 2];
           })()"""
    )
    assert browser.evaluate("document.getElementById('hover-card').hidden")
    browser.evaluate(
        "document.querySelector('#run-1-map')"
        ".on('plotly_hover', e => { window.pointedAt = e.points[0].customdata; }) && null"
    )
    browser.move_mouse(place[0] - 40, place[1])
    browser.move_mouse(*place)
    browser.wait_for("!document.getElementById('hover-card').hidden")
    assert "kNN says" in browser.evaluate("document.getElementById('hover-card').innerText")
    picture = "document.querySelector('.hover-picture').style"
    assert browser.evaluate(f"{picture}.backgroundImage").startswith('url("data:image/png')
    row = browser.evaluate("window.pointedAt")
    columns = math.ceil(math.sqrt(SHOWN))
    assert row % columns > 0  # or a wrong column could not be told
    expected = f"{-112 * (row % columns)}px {-112 * (row // columns)}px"
    assert browser.evaluate(f"{picture}.backgroundPosition") == expected


def test_hostile_names_are_shown_and_not_run(browser, digits_run, tmp_path):
    folder = RunFolder(shutil.copytree(digits_run, tmp_path / "<img src=x onerror=hacked=1>"))
    arrays = folder.read_evaluation_arrays()
    hostile = "</script><script>window.hacked=1</script><a href='javascript:hacked=1'>"
    arrays["class_names"] = np.array([f"{i}{hostile}" for i in range(10)])
    folder.write_evaluation_arrays(arrays)
    file = write_report([folder.path, digits_run], tmp_path / "r.html")
    browser.show(file, width=400)
    browser.draw_everything()
    assert browser.evaluate("window.hacked") is None
    assert (
        browser.evaluate("document.querySelectorAll('[href^=javascript], [onerror]').length") == 0
    )
    # The policy would have complained, had anything come through the escaping.
    assert browser.complaints() == []
    labels = browser.evaluate(
        "[...document.querySelectorAll('#run-1-map .annotation-text')].map(e => e.textContent)"
    )
    assert shortened(f"3{hostile}") in labels
    assert not browser.evaluate(OVERFLOW)


def with_classes(digits_run, path, names):
    """The run as if its examples were of so many classes, drawn at random."""
    folder = RunFolder(shutil.copytree(digits_run, path))
    arrays = folder.read_evaluation_arrays()
    rng, shown = np.random.default_rng(0), arrays["shown_labels"]
    labels = rng.integers(0, len(names), len(shown))
    arrays |= {
        "shown_labels": labels,
        "shown_predictions": np.where(rng.random(len(shown)) < 0.2, 0, labels),
        "neighbor_labels": rng.integers(0, len(names), arrays["neighbor_labels"].shape),
        "confusion_cells": cells_of(
            np.eye(len(names), dtype=int) + np.eye(len(names), k=1, dtype=int)
        ),
        "class_names": np.array(names),
    }
    folder.write_evaluation_arrays(arrays)
    return folder.path


@pytest.mark.parametrize("classes", [2, 16, 100, 2000])
@pytest.mark.parametrize("width", [400, 1200])
def test_any_number_of_classes_and_long_names_fit_the_page(
    browser, digits_run, tmp_path, classes, width
):
    names = [f"{'a name without end ' * 10}{label}" for label in range(classes)]
    run = with_classes(digits_run, tmp_path / "run", names)
    browser.show(write_report([run], tmp_path / "r.html"), width=width)
    browser.draw_everything()
    assert browser.complaints() == []
    assert not browser.evaluate(OVERFLOW)
    tallest = browser.evaluate(
        "Math.max(...[...document.querySelectorAll('.gallery-row')]"
        ".map(e => e.getBoundingClientRect().height))"
    )
    assert tallest < 260
    # No head of the matrix is broken inside: each stands on one line.
    assert browser.evaluate(
        "[...document.querySelectorAll('.confusion thead th span')]"
        ".every(e => e.getClientRects().length === 1 && e.getBoundingClientRect().width < 30)"
    )


def test_a_class_is_found_by_its_name_among_thousands(browser, digits_run, tmp_path):
    names = [f"kind {label}" for label in range(2000)]
    run = with_classes(digits_run, tmp_path / "run", names)
    wanted = names[int(RunFolder(run).read_evaluation_arrays()["shown_labels"][0])]
    browser.show(write_report([run], tmp_path / "r.html"), width=1200)
    browser.draw_everything()
    field = "document.querySelector('#run-1-find')"
    rings = "document.querySelector('#run-1-map').data.at(-1).x.length"
    type_ = f"(text => {{ {field}.value = text; {field}.dispatchEvent(new Event('input')); }})"
    browser.evaluate(f"{type_}('{wanted.upper()}') ?? null")
    browser.wait_for(f"{rings} > 0")
    assert "ringed, of" in browser.evaluate("document.querySelector('.find output').textContent")
    browser.evaluate(f"{type_}('no such kind') ?? null")
    browser.wait_for(f"{rings} === 0")
    browser.evaluate(f"{type_}('') ?? null")
    assert browser.evaluate("document.querySelector('.find output').textContent") == ""


def test_a_link_to_a_run_opens_it(browser, two):
    browser.show(two, width=1200)
    assert not browser.evaluate("document.getElementById('run-2').open")
    browser.evaluate("document.querySelector('a[href=\"#run-2\"]').click()")
    assert browser.evaluate("document.getElementById('run-2').open")


def test_the_documented_command_makes_the_picture(browser, one, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    command = page.split("```sh\n")[1].split("```")[0]
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    shutil.copy(one, tmp_path / "runs" / "demo" / "report.html")
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    with Image.open(tmp_path / "docs" / "report.png") as picture:
        assert picture.size == (1200, 1500)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    # The chart of labels lies in the picture: raw data are drawn in this colour.
    assert (184, 92, 0) in colours
