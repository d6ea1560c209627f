"""The site of `nearfar web` in a real browser: followed live, compared, asked for neighbours."""

import shutil

import pytest
import torch
from served_site import served, well_behaved

from nearfar.encoders.saved import save_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.run_folder.folder import RunFolder

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def site(digits_run, tmp_path_factory):
    """A finished run, one with a hostile name that can be asked, and one that is being written."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(digits_run, folder / "demo")
    config = {
        "recipe": "simclr-digits",
        "data": {"name": "digits"},
        "method": {"name": "simclr"},
        "encoder": {"name": "small-resnet"},
        "views": {"name": "digits"},
        "training": {"epochs": 40, "batch_size": 64},
    }
    asked = RunFolder.create(folder / HOSTILE)
    asked.write_config(config)
    spec = SmallResNetSpec(width=4)
    torch.manual_seed(0)
    save_encoder(asked.path, spec.build((1, 8, 8)), spec, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
    live = RunFolder.create(folder / "live")
    live.write_config(config)
    for number in range(1, 6):
        live.append_metrics(step(number))
    with live.held(), served(folder) as address:
        yield address, live


def step(number):
    return {
        "kind": "step",
        "step": number,
        "epoch": number / 5,
        "loss": 6 - number / 10,
        "learning_rate": 0.001,
        "examples_per_second": 500.0,
    }


def rows_of(browser):
    browser.wait_for("document.querySelectorAll('#runs tbody tr').length === 3")
    return browser.evaluate(
        "[...document.querySelectorAll('#runs tbody tr')].map(r => r.innerText)"
    )


def test_a_run_is_followed_while_it_is_written(browser, site):
    address, live = site
    browser.open(address, width=1200)
    shown = "\n".join(rows_of(browser))
    assert HOSTILE in shown
    assert "running" in shown
    assert "epoch 1.0 of 40, 500 examples/s" in shown
    well_behaved(browser, address)
    browser.evaluate("[...document.links].find(each => each.text === 'live').click()")
    points = "document.querySelector('.chart')?.data?.[0].x.length"
    browser.wait_for(f"{points} === 5")
    live.append_metrics(step(6))
    with live.metrics.open("a") as file:
        file.write('{"kind": "step", "st')
    browser.wait_for(f"{points} === 6")
    with live.metrics.open("a") as file:
        file.write('ep": 7, "epoch": 1.4, "loss": 5.0, "learning_rate": 0.001}\n')
    browser.wait_for(f"{points} === 7")
    assert "epoch 1.4 of 40" in browser.evaluate("document.body.innerText")
    well_behaved(browser, address)


@pytest.mark.slow
def test_runs_are_chosen_and_laid_over_one_another(browser, site):
    address, _ = site
    browser.open(address, width=1200)
    rows_of(browser)
    boxes = "document.querySelectorAll('#runs input')"
    assert browser.evaluate("document.getElementById('compare').disabled")
    browser.evaluate(f"[...{boxes}].slice(1).forEach(each => each.click())")
    browser.evaluate("document.getElementById('compare').click()")
    browser.wait_for("document.querySelector('.chart')?.data?.length === 2")
    shown = browser.evaluate("document.body.innerText")
    assert "2 runs over one another" in shown
    well_behaved(browser, address)
    browser.evaluate("[...document.links].find(each => each.text.startsWith('Report')).click()")
    browser.wait_for("document.title.startsWith('2 runs side by side')")
    browser.wait_for("document.readyState === 'complete'")
    browser.draw_everything()
    assert browser.complaints() == []
    assert browser.evaluate("origin") == "null"


@pytest.mark.slow
def test_the_list_is_filtered_and_sorted_and_says_what_it_cannot_do(browser, site):
    address, _ = site
    browser.open(address, width=1200)
    rows_of(browser)

    def type_in(text):
        field = "document.getElementById('filter')"
        browser.evaluate(f"{field}.value = '{text}'; {field}.dispatchEvent(new Event('input'))")

    type_in("state=running")
    browser.wait_for("document.querySelectorAll('#runs tbody tr').length === 1")
    type_in("nothing-of-the-kind")
    browser.wait_for("document.getElementById('none').innerText === 'No run is so.'")
    type_in("sate=running")
    browser.wait_for("document.getElementById('wrong').innerText.includes('sate')")
    type_in("")
    assert rows_of(browser)[0].strip().startswith("<img")
    browser.evaluate("document.querySelector('th[data-column=name] button').click()")
    browser.wait_for("document.querySelector('#runs tbody th').innerText === 'live'")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1200, True), (400, False)])
def test_every_page_fits_wide_and_narrow_light_and_dark(browser, site, width, dark):
    address, _ = site
    browser.open(address, width=width, dark=dark)
    rows_of(browser)
    well_behaved(browser, address)
    ids = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#runs tbody tr')].map(row => "
        "[row.querySelector('a').text, row.querySelector('input').dataset.run]))"
    )
    for page, run in (("run", "demo"), ("map", "demo"), ("map", "live"), ("run", HOSTILE)):
        browser.open(f"{address}{page}?id={ids[run]}", width=width, dark=dark)
        browser.wait_for("![...document.querySelectorAll('.chart')].some(c => !c.dataset.drawn)")
        well_behaved(browser, address)
    browser.open(f"{address}neighbors?id={ids[HOSTILE]}", width=width, dark=dark)
    browser.wait_for("document.querySelectorAll('#examples figure').length === 48", 60)
    browser.evaluate("document.querySelector('#examples a').click()")
    browser.wait_for("document.querySelectorAll('#nearest figure').length === 16")
    well_behaved(browser, address)
    browser.open(f"{address}neighbors?id={ids['live']}", width=width, dark=dark)
    browser.wait_for("document.getElementById('told').innerText.includes('no encoder yet')")


def test_a_server_that_ended_is_told(browser, tmp_path):
    with served(tmp_path) as address:
        browser.open(address, width=800)
        browser.wait_for("document.getElementById('none').innerText.startsWith('There is no run')")
    browser.wait_for("document.getElementById('lost').innerText.includes('does not answer')")
