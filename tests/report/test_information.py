import math
import shutil
from dataclasses import replace

import pytest

from nearfar.errors import NearfarError
from nearfar.information.result import (
    BoundEstimate,
    EstimationSettings,
    MutualInformation,
    PartSizes,
)
from nearfar.information.specs import CriticSpec
from nearfar.report.build import write_report
from nearfar.report.information import bounds_chart, curves_chart, information_section


def estimate_of(bound, value, *, warnings=(), is_lower_bound=True):
    return BoundEstimate(
        bound=bound,
        title=f"<{bound}>",
        value=value,
        interval=(value - 0.2, value + 0.2),
        sd=0.4,
        batches=15,
        is_lower_bound=is_lower_bound,
        limited_by_batch=bound == "info_nce",
        steps=300,
        best_step=200,
        training_value=value + 0.1,
        effective_samples=None if bound == "info_nce" else 1234.0,
        curve=((0, -0.3), (100, 1.0), (200, 1.5), (300, 1.4)),
        warnings=warnings,
    )


FOUND = MutualInformation(
    names=("a.npz:x", "<b>.npz"),
    estimates=(estimate_of("info_nce", 1.5), estimate_of("nwj", 1.75, warnings=("it <varies>",))),
    ceiling=math.log(128),
    ksg=1.62,
    label_entropy=None,
    features=20,
    other_features=3,
    classes=None,
    samples=PartSizes(6000, 1500, 2500),
    warnings=(),
    settings=EstimationSettings(128, 300, 5e-4, 0, CriticSpec(), "CPU"),
    versions={"torch": "2.11"},
    seconds=12.0,
    command="nearfar mi a.npz:x '<b>.npz'",
)


@pytest.fixture
def folder(tmp_path):
    """A folder with mutual information and no run."""
    path = tmp_path / "found"
    path.mkdir()
    FOUND.save(path / "mutual_information.json")
    return path


def test_the_page_of_mutual_information_alone(folder):
    page = write_report([folder], folder / "report.html").read_text()
    for words in (
        "Mutual information of a.npz:x and &lt;b&gt;.npz",
        "10,000 pairs of 20 columns and 3 columns",
        "At least about 1.50 nats, by &lt;info_nce&gt; (1.30 to 1.70).",
        "it &lt;varies&gt;",
        "KSG 1.62",
        "1,234",
        "200 of 300",
    ):
        assert words in page, words
    assert "Encoder against its baselines" not in page


def test_the_section_is_part_of_a_runs_page(digits_run, tmp_path):
    run = shutil.copytree(digits_run, tmp_path / "run")
    without = write_report([run], tmp_path / "without.html").read_text()
    FOUND.save(run / "mutual_information.json")
    page = write_report([run], tmp_path / "with.html").read_text()
    assert "Mutual information of a.npz:x" in page
    assert "Mutual information of a.npz:x" not in without
    assert "What the views look like" in page


def test_mutual_information_alone_is_no_run_to_compare(digits_run, folder, tmp_path):
    with pytest.raises(NearfarError, match="holds mutual information and no run to compare"):
        write_report([digits_run, folder], tmp_path / "page.html")


def test_a_damaged_file_is_refused_in_one_line(folder, tmp_path):
    (folder / "mutual_information.json").write_text("{}")
    with pytest.raises(NearfarError, match="is damaged"):
        write_report([folder], tmp_path / "page.html")


@pytest.mark.parametrize(
    ("estimates", "words"),
    [
        # The highest lower bound without warning leads, not the highest value.
        ((estimate_of("a", 1.0), estimate_of("b", 3.0, is_lower_bound=False)), "about 1.00 nats"),
        ((estimate_of("a", 1.0), estimate_of("b", 1.2)), "about 1.20 nats, by <b>"),
        ((estimate_of("a", 1.0, warnings=("no",)),), "No lower bound is free of warnings"),
        ((estimate_of("a", 0.1),), "No information was found"),
    ],
)
def test_what_leads_is_the_strongest_that_can_be_said(estimates, words):
    assert words in information_section(replace(FOUND, estimates=estimates), "run-1")["lead"]


def test_bounds_stand_beside_log_n_ksg_and_the_labels_entropy():
    figure = bounds_chart(replace(FOUND, label_entropy=2.0))
    assert [trace.y for trace in figure.data] == [(1.5,), (1.75,)]
    assert figure.data[0].error_y.array[0] == pytest.approx(0.2)
    assert sorted(shape.y0 for shape in figure.layout.shapes) == pytest.approx(
        [1.62, 2.0, math.log(128)]
    )
    assert len(bounds_chart(replace(FOUND, ksg=None)).layout.shapes) == 1


def test_values_that_are_not_finite_are_left_out_of_charts_and_told_in_the_table():
    broken = estimate_of("nwj", -math.inf)
    broken = replace(broken, curve=((0, 0.0), (100, math.nan), (200, 1.0)))
    found = replace(FOUND, estimates=(broken,))
    assert len(bounds_chart(found).data) == 0
    assert curves_chart(found).data[0].x == (0, 200)
    assert information_section(found, "run-1")["rows"][0]["value"] == "-inf"
