"""Figures that are no accuracies are compared where their measure says which way is better."""

import numpy as np
import pytest

from nearfar.evaluation.dense_specs import DepthSpec, SegmentationSpec
from nearfar.report.build import write_report
from nearfar.report.comparison import _score_rows
from nearfar.report.score_tables import score_table
from nearfar.report.scores import score_rows
from nearfar.report.verdict import run_verdict, verdict
from nearfar.run_folder.folder import RunFolder

HEAD = {"head": "linear", "trained": "head"}


def record(protocol, features, value, error=0.01, **parameters):
    return {
        "protocol": protocol,
        "features": features,
        "metric": "mean",
        "value": value,
        "n": 100,
        "parameters": {**HEAD, "standard_error": error, "learning_rate": 0.01, **parameters},
    }


def rows_of(encoder, raw, protocol="depth_rel", **named):
    return score_rows([record(protocol, "encoder", encoder, **named), record(protocol, "raw", raw)])


@pytest.mark.parametrize(
    ("encoder", "raw", "said"),
    [
        (0.2, 0.3, "The encoder beats raw data by 0.100 in relative error of depth under a linear"),
        (0.3, 0.2, "The encoder falls short of raw data by 0.100 in relative error of depth under"),
        (
            0.21,
            0.2,
            "The encoder and raw data are level within the noise in relative error of depth",
        ),
    ],
)
def test_the_verdict_says_who_errs_less(encoder, raw, said):
    assert verdict(rows_of(encoder, raw))[0].startswith(said)


def test_the_verdict_says_whose_overlap_is_higher_and_of_the_frozen_linear_head_alone():
    more = [
        record("mean_iou", "encoder", 0.9, head="conv"),
        record("mean_iou", "encoder", 0.9, trained="all"),
        record("mean_iou", "encoder", 0.5),
        record("mean_iou", "raw", 0.3),
        record("mean_iou", "raw", 0.1, head="conv"),
    ]
    (sentence,) = verdict(score_rows(more))
    assert sentence == "The encoder beats raw data by 0.200 in mean IoU under a linear head."
    both = [*more, record("depth_rel", "encoder", 0.2), record("depth_rel", "raw", 0.3)]
    (sentence,) = verdict(score_rows(both))
    assert sentence == (
        "The encoder beats raw data by 0.100 in relative error of depth under a linear head; "
        "in mean IoU under a linear head it leads by 0.200."
    )


@pytest.mark.parametrize(("protocol", "sign"), [("depth_rel", "−"), ("mean_iou", "+")])
def test_leads_are_signed_by_what_is_better(protocol, sign):
    table = score_table(rows_of(0.3, 0.2, protocol))
    (row,) = table["rows"]
    assert table["lead"] == "raw data"
    assert row["gap"]["value"] == f"{sign}0.100"
    assert row["gap"]["outcome"] == ("ahead" if sign == "+" else "behind")
    assert row["cells"][0] == {"value": "0.300", "spread": "± 0.010", "share": None}
    # Errors of 0.01 on both sides: 0.1 ± 1.96 · 0.01 · √2.
    low, high = ("−0.128", "−0.072") if sign == "−" else ("+0.072", "+0.128")
    assert row["gap"]["interval"] == f"{low} to {high}"


def test_runs_are_compared_by_the_lower_error():
    tables = {name: rows_of(value, 0.9) for name, value in (("a", 0.3), ("b", 0.2), ("c", 0.21))}
    letters = dict.fromkeys(tables, "")
    (row,) = _score_rows(tables, letters)
    assert [cell["mark"] for cell in row["cells"]] == [None, "best", "level"]
    assert (
        "b and c are the best in relative error of depth under a linear head, level"
        in run_verdict(list(tables), list(tables.values()))
    )
    ahead = run_verdict(["a", "b"], [tables["a"], tables["b"]])
    assert ahead == "b leads in relative error of depth under a linear head, 0.100 ahead of a."


def test_every_measure_of_dense_protocols_says_which_way_is_better():
    told = {each.name: each.better for p in (DepthSpec, SegmentationSpec) for each in p.measures}
    assert told.pop("depth_within") == "higher"
    assert {name for name, better in told.items() if better == "lower"} == {
        "depth_rmse",
        "depth_mae",
        "depth_rel",
    }


def test_rows_of_other_settings_stand_apart_and_factors_are_told():
    found = score_rows(
        [
            record("depth_within", "encoder", 0.5, within=1.25),
            record("depth_within", "encoder", 0.7, within=1.25**2),
            record("depth_within", "encoder", 0.9, within=1.25**3, stage=-2, loss="by l1"),
        ]
    )
    assert [f"{row.title}: {row.detail}" for row in found] == [
        "Depth within a factor of 1.25: linear head",
        "Depth within a factor of 1.25²: linear head",
        "Depth within a factor of 1.25³: linear head, stage -2, by l1",
    ]


def test_the_page_shows_what_the_verdict_speaks_of_in_the_first_table(tmp_path):
    pages = []
    for name, value in (("one", 0.2), ("two", 0.3)):
        run = RunFolder.create(tmp_path / name)
        run.write_config({"data": {"name": "scenes"}})
        run.write_evaluation(
            [
                record("depth_rel", "encoder", value),
                record("depth_rel", "raw", 0.4),
                record("depth_rmse", "encoder", 0.7),
            ]
        )
        run.write_evaluation_arrays({"judged_on": np.array("the same")})
        pages.append(run.path)
    page = write_report(pages[:1], tmp_path / "page.html").read_text()
    first, more = page.split("More measures")
    assert "The encoder beats raw data by 0.200 in relative error of depth" in first
    assert "Depth, relative error, lower is better" in first
    assert "+0.200" in first
    assert "Figures on test images: ± the standard error over them." in first
    assert "Accuracy (top-1)" not in first
    assert "Depth, root mean squared error" in more
    both = write_report(pages, tmp_path / "both.html").read_text()
    assert "one leads in relative error of depth under a linear head, 0.100 ahead of two." in both
