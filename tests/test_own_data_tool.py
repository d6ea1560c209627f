"""The table of `nearfar train PATH` beside raw data is made from recorded runs."""

from pathlib import Path

import pytest
from PIL import Image
from tools.own_data.__main__ import CHART, draw, section
from tools.own_data.sets import SETS, Places
from tools.run_records import read_records

from nearfar.recipes.found_data import find_data

RECORDS = Path(__file__).parents[1] / "docs" / "own_data_runs.jsonl"


def score(top1, sd=None):
    return {"top1": top1, "sd": sd, "form": "centred"}


def test_a_row_says_where_the_encoder_is_ahead_of_raw_data():
    record = {
        "set": "wine",
        "minutes": 10.0,
        "seed": 0,
        "epochs": 7,
        "seconds": 90,
        "hardware": "CPU",
        "scores": {
            "knn": {"encoder": score(0.5), "raw": score(0.6), "untrained": score(0.4)},
            "few_labels": {"encoder": score(0.7, 0.01), "raw": score(0.6, 0.02)},
        },
    }
    row = section([record]).splitlines()[4]
    assert row.startswith("| `wine`, seed 0 | 7 | 1.5 min | 50.0 (centred) | 60.0 (centred)")
    assert "70.0 ± 1.0 (centred)" in row
    assert row.endswith("| 10 labels |")


def test_page_and_chart_hold_the_records_as_they_are(tmp_path):
    page = RECORDS.with_name("own_data.md").read_text()
    assert section(read_records(RECORDS)) in page
    draw(read_records(RECORDS), tmp_path / CHART.name)
    assert (tmp_path / CHART.name).read_bytes() == CHART.read_bytes()


@pytest.mark.parametrize(
    ("name", "source"), [("digits", "folder"), ("wine", "csv"), ("breast-cancer", "csv")]
)
def test_sets_inside_scikit_learn_are_read_as_what_they_are(name, source, tmp_path):
    path = SETS[name](tmp_path / name, Places())
    found = find_data(path)
    assert found.data.name == source
    if source == "folder":
        assert len(list(path.rglob("*.png"))) == 1797
        with Image.open(next(path.rglob("*.png"))) as image:
            assert image.size == (8, 8)
    else:
        assert found.data.label_column == "class"
