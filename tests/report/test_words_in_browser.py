"""Words that are typed on the site of `nearfar web`, in a real browser."""

import pytest
from served_site import served, well_behaved
from tests.web.web_runs import leave_pairs

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31m"
TEXTS = [HOSTILE, "the sea", "a hill", "a road", "a river", "a tree", "a stone", "snow"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The site of a folder with one run of pairs."""
    folder = tmp_path_factory.mktemp("words") / "site"
    leave_pairs(folder / HOSTILE, TEXTS)
    with served(folder) as address:
        yield address


def words_of(browser, place):
    return browser.evaluate(f"document.querySelector('{place} .words')?.innerText")


def type_in(browser, text):
    field = "document.getElementById('typed')"
    browser.evaluate(f"{field}.value = {text!r}; document.getElementById('look').click()")


@pytest.mark.parametrize("width", [1200, 400])
def test_words_find_images_and_an_image_finds_words(browser, address, width):
    browser.open(address, width=width)
    browser.wait_for("document.querySelector('#runs tbody a') !== null")
    run = browser.evaluate("document.querySelector('#runs tbody input').dataset.run")
    browser.open(f"{address}neighbors?id={run}", width=width)
    browser.wait_for("!document.getElementById('asking').hidden")

    type_in(browser, HOSTILE)
    browser.wait_for("document.querySelectorAll('#nearest img').length === 2")
    assert words_of(browser, "#query") == HOSTILE.replace("\x1b", r"\x1b")
    browser.evaluate(
        "const among = document.getElementById('among'); among.value = 'training';"
        "among.dispatchEvent(new Event('change'))"
    )
    browser.wait_for("document.querySelectorAll('#nearest img').length === 6")
    well_behaved(browser, address)

    browser.evaluate("document.querySelector('#examples a').click()")
    browser.wait_for("document.querySelectorAll('#across .words').length === 6")
    shown = browser.evaluate("document.getElementById('across').innerText")
    assert any(text in shown for text in TEXTS[1:])
    well_behaved(browser, address)
    browser.evaluate("history.back()")
    browser.wait_for("document.getElementById('across').offsetParent === null")

    type_in(browser, "   ")
    browser.wait_for("document.getElementById('wrong').innerText.includes('type some words')")
    assert browser.evaluate("document.getElementById('answer').hidden")
    type_in(browser, "the sea")
    browser.wait_for("document.getElementById('wrong').innerText === ''")
    assert browser.evaluate("document.querySelectorAll('#nearest img').length") == 6
