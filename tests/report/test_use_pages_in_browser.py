"""A page of a use in a real browser, wide and narrow, light and dark."""

import numpy as np
import pytest

from nearfar.report.charts import frame
from nearfar.uses.page import Chart, Page, Shown, Strip, Table, write_page

pytestmark = pytest.mark.browser

LONG = "a/very/long/name/of/a/file/that/no/telephone/has/room/for/" + 9 * "0123456789"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    figure = frame("distance", "examples")
    figure.add_bar(x=[1, 2, 3], y=[3, 9, 2], meta={"colour": "accent"})
    pictures = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    cells = [
        Shown(f"{LONG}{place}", each, "0.987", ("right", "wrong", "unknown")[place % 3], LONG)
        for place, each in enumerate(pictures)
    ]
    file = tmp_path_factory.mktemp("use") / "page.html"
    write_page(
        Page(
            eyebrow="nearfar <test>",
            title="Copies & others",
            summary=LONG,
            lead="What <b>was</b> found.",
            more=["More."],
            notes=[f"no picture of {LONG}"],
            charts=[Chart("Distances", "A note.", figure, "histogram")],
            tables=[Table("Pairs", "A note.", ("Label", "Likely"), [(LONG, "<i>b")])],
            strips_title="Groups",
            strips_note="In front.",
            strips=[
                Strip(cells[0], cells[1:], LONG),
                Strip(None, [*cells, Shown("no picture")]),
            ],
            command=f"nearfar {LONG}",
            left_out=1234,
        ),
        file,
    )
    return file


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (400, False)])
def test_no_complaint_no_request_no_overflow_of_a_use(browser, page, width, dark):
    browser.show(page, width=width, dark=dark)
    browser.draw_everything()
    assert not browser.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert browser.complaints() == []
    assert browser.requests() == [page.resolve().as_uri()]
    assert browser.evaluate("document.querySelectorAll('b, i').length") == 0
    shown = "[...document.images].every(each => each.complete && each.naturalWidth > 0)"
    assert browser.evaluate(shown)
    assert browser.evaluate("document.images.length") == 24
    assert "1,234 more are not shown" in browser.evaluate("document.body.innerText")
