"""The page of runs in a real browser: a click on a column's head sorts, without a network."""

import pytest

from nearfar.sweeps.found_runs import FoundRun
from nearfar.sweeps.run_page import write_run_page

pytestmark = pytest.mark.browser

LONG = "a/very/long/name/of/a/run/that/no/telephone/has/room/for/" + 9 * "0123456789"


def run(name, knn, epochs):
    return FoundRun(
        name, "r", "simclr", "digits", 0, epochs, 100, "cut", None, None, knn, 3.0, None, {}
    )


@pytest.mark.parametrize("width", [1200, 400])
def test_a_click_sorts_and_what_is_missing_stands_last(browser, tmp_path, width):
    page = tmp_path / "runs.html"
    runs = [run("b", 9.5, 20), run(LONG, None, 3), run("<b>a", 80.0, 100)]
    write_run_page(runs, ["a <i>broken"], tmp_path, page, "knn>1")
    browser.show(page, width=width)
    names = "[...document.querySelectorAll('tbody th')].map(each => each.textContent[0]).join('')"
    heads = "[...document.querySelectorAll('thead button')]"
    assert browser.evaluate(names) == "ba<"
    browser.evaluate(f"{heads}.find(each => each.textContent === 'kNN').click()")
    assert browser.evaluate(names) == "<ba"
    browser.evaluate(f"{heads}.find(each => each.textContent === 'kNN').click()")
    assert browser.evaluate(names) == "b<a"
    browser.evaluate(f"{heads}.find(each => each.textContent === 'epochs').click()")
    assert browser.evaluate(names) == "ab<"
    assert not browser.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert browser.complaints() == []
    assert browser.requests() == [page.resolve().as_uri()]
    assert browser.evaluate("document.querySelectorAll('b, i').length") == 0
