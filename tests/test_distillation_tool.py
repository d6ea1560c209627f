"""The table of docs/distillation.md is made from recorded runs."""

import pytest
from tools import distillation
from tools.distillation import (
    ASKED,
    CHART,
    PAGE,
    RECORDS,
    ROWS,
    draw,
    recipes,
    record_of,
    section,
)
from tools.run_records import read_records

from nearfar.methods.distill_spec import DistillSpec
from nearfar.run_folder.folder import RunFolder


def test_page_and_chart_hold_the_records_as_they_are(tmp_path):
    assert section(read_records(RECORDS)) in PAGE.read_text()
    draw(read_records(RECORDS), tmp_path / CHART.name)
    assert (tmp_path / CHART.name).read_bytes() == CHART.read_bytes()


def test_students_take_as_many_steps_and_learn_from_their_seeds_teacher(tmp_path):
    made = dict(recipes(2, tmp_path))
    students = [made[name] for name in ("alone", "queue", "regression")]
    assert len({(each.training, each.encoder, each.views, each.seed) for each in students}) == 1
    taught = [each.method for each in students if isinstance(each.method, DistillSpec)]
    assert [each.objective for each in taught] == ["queue", "regression"]
    assert {each.teacher for each in taught} == {str(tmp_path / "teacher-seed2")}


@pytest.fixture
def _quick(monkeypatch, tmp_path):
    """One epoch each, and page, chart and records elsewhere."""
    monkeypatch.setattr(distillation, "TEACHER_EPOCHS", 1)
    monkeypatch.setattr(distillation, "STUDENT_EPOCHS", 1)
    monkeypatch.setattr(distillation, "TEACHER_WIDTH", 4)
    monkeypatch.setattr(distillation, "RECORDS", tmp_path / "runs.jsonl")
    monkeypatch.setattr(distillation, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(distillation, "CHART", tmp_path / CHART.name)
    (tmp_path / "page.md").write_text("<!-- distillation -->\n<!-- /distillation -->\n")


@pytest.mark.slow
@pytest.mark.usefixtures("_quick")
def test_what_is_recorded_is_not_trained_again(tmp_path, monkeypatch):
    words = ["--seeds", "5", "--out", str(tmp_path / "out")]
    assert distillation.main(words) == 0
    records = read_records(tmp_path / "runs.jsonl")
    assert [each["run"] for each in records] == ["teacher", "alone", "queue", "regression"]
    held = record_of(RunFolder(tmp_path / "out" / "queue-seed5"))
    assert records[2] == {"run": "queue", "seed": 5, **held}
    for run, features in ROWS.values():
        scores = next(each for each in records if each["run"] == run)["scores"][features]
        assert scores.keys() == ASKED.keys()
    page = (tmp_path / "page.md").read_text()
    assert page.count("\n| ") == 1 + len(ROWS) + 1
    monkeypatch.setattr(distillation, "run_recipe", None)
    assert distillation.main(words) == 0
