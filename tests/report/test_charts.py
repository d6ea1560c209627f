from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.report import charts
from nearfar.report.map_chart import embedding_map
from nearfar.report.run_files import RunFiles
from nearfar.spec import to_json


def run_of(steps=(), knn=()):
    return RunFiles(Path("r"), {}, {}, list(steps), list(knn), [], {}, True)


def test_a_long_curve_is_averaged_and_keeps_its_mean_and_ends():
    steps = [{"epoch": step / 100, "loss": float(step)} for step in range(12_345)]
    trace = charts.loss_curve({"r": run_of(steps)}).data[0]
    assert len(trace.x) == charts.LARGEST_CURVE
    assert np.mean(trace.y) == pytest.approx(np.mean([line["loss"] for line in steps]), rel=1e-2)
    assert trace.y[0] < 31
    assert trace.y[-1] > 12_300


def test_a_loss_that_was_not_finite_leaves_a_gap_and_no_error():
    steps = [{"epoch": 1.0, "loss": 3.0}, {"epoch": 2.0, "loss": None}]
    assert list(charts.loss_curve({"r": run_of(steps)}).data[0].y) == [3.0]


def test_runs_differ_by_colour_and_by_dash():
    runs = {str(at): run_of([{"epoch": 1.0, "loss": 1.0}]) for at in range(4)}
    traces = charts.loss_curve(runs).data
    assert len({trace.meta["colour"] for trace in traces}) == 4
    assert len({trace.line.dash for trace in traces}) == 4


def test_guessing_is_the_loss_of_equal_similarities():
    config = {"method": {"name": "simclr"}, "training": {"batch_size": 256}}
    assert charts.chance_loss(config) == pytest.approx(log(511))
    assert charts.chance_loss({"method": {"name": "other"}}) is None
    assert charts.chance_loss({}) is None


@pytest.mark.parametrize("objective", ObjectiveSpec.known())
@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("more", [{}, {"drop_false_negatives": "rescaled"}])
def test_the_level_of_guessing_is_the_objective_of_equal_embeddings(objective, views, more):
    if more and objective not in ObjectiveSpec.owners("drop_false_negatives"):
        return
    spec = ObjectiveSpec.known()[objective](**more)
    method = to_json(SimCLRSpec(objective=spec))
    level = charts.chance_loss({"method": method, "training": {"batch_size": 8}})
    equal = spec.build()([torch.ones(8, 4) / 2] * views, torch.arange(8) % 2)
    if objective in ("nt_xent", "debiased_neg", "debiased_pos", "decoupled", "n_pair"):
        assert level == pytest.approx(float(equal.detach()), rel=1e-5)
    else:
        assert level is None


@pytest.mark.parametrize(
    "settings", [{"drop_false_negatives": "yes"}, {"marginal_over": "negatives"}]
)
def test_there_is_no_such_level_where_candidates_are_missing(settings):
    method = {"name": "simclr", "objective": {"name": "debiased_pos", **settings}}
    assert charts.chance_loss({"method": method, "training": {"batch_size": 8}}) is None


def test_classes_are_shown_by_size_and_those_without_test_images_left_out():
    arrays = {
        "class_counts": np.array([500, 50, 5, 0]),
        "class_accuracy_knn": np.array([0.9, np.nan, 0.1, 0.0]),
        "class_accuracy_classifier": np.array([0.8, 0.5, 0.2, 0.0]),
    }
    first, second = charts.class_accuracy(arrays, ["<b>a</b>", "b", "c", "d"]).data
    assert (first.x.tolist(), first.y.tolist()) == ([500, 5], [90, 10])
    assert second.x.tolist() == [500, 50, 5]
    assert list(first.text) == ["&lt;b&gt;a&lt;/b&gt;", "c"]
    assert first.marker.symbol != second.marker.symbol
    assert charts.class_accuracy({}, []) is None


def test_the_map_marks_wrong_answers_and_counts_each_image_once():
    arrays = {
        "shown_map": np.arange(12, dtype=np.float32).reshape(6, 2),
        "shown_labels": np.array([0, 0, 0, 1, 1, 1]),
        "shown_predictions": np.array([1, 0, 0, 1, 1, 0]),
    }
    figure = embedding_map(arrays, ["cat", "<b>dog</b>"])
    rows = [row for trace in figure.data for row in trace.customdata]
    assert sorted(rows) == list(range(6))
    wrong = {
        row
        for trace in figure.data
        if not trace.showlegend
        for row, symbol in zip(trace.customdata, trace.marker.symbol, strict=True)
        if symbol == "x"
    }
    assert wrong == {0, 5}
    legend = {trace.name: trace.marker.symbol for trace in figure.data if trace.showlegend}
    assert legend == {"cat": "circle", "&lt;b&gt;dog&lt;/b&gt;": "circle", "kNN is wrong": "x"}


def test_a_class_that_is_all_wrong_is_no_cross_in_the_legend():
    arrays = {
        "shown_map": np.zeros((4, 2), np.float32),
        "shown_labels": np.array([0, 0, 1, 1]),
        "shown_predictions": np.array([0, 0, 0, 0]),
    }
    figure = embedding_map(arrays, ["cat", "dog"])
    legend = {trace.name: trace.marker.symbol for trace in figure.data if trace.showlegend}
    assert legend["dog"] == "circle"


@pytest.mark.parametrize("classes", [1, 2, 10, 11, 100, 2000])
def test_no_two_classes_share_a_colour(classes):
    labels = np.arange(2 * classes) % classes
    labels = np.concatenate([labels, np.full(5, classes - 1)])
    arrays = {
        "shown_map": np.random.default_rng(0).normal(size=(len(labels), 2)).astype(np.float32),
        "shown_labels": labels,
        "shown_predictions": labels,
    }
    figure = embedding_map(arrays, [f"kind {label}" for label in range(classes)])
    drawn = [trace for trace in figure.data if not trace.showlegend]
    colours = [trace.meta["colour"] for trace in drawn]
    assert len(colours) == len(set(colours)) == (classes if classes <= 10 else 9)
    assert sorted(row for trace in drawn for row in trace.customdata) == list(range(len(labels)))
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert named[-1] == f"kind {classes - 1}"  # the largest class has a colour
    assert len(figure.layout.annotations) == (classes if classes <= 10 else 8)
    if classes > 10:
        assert named[0] == f"{classes - 8:,} other classes"


def test_long_names_are_shortened_and_keep_their_ends():
    assert charts.shortened("cat") == "cat"
    short = charts.shortened("a" * 100 + "z" * 100)
    assert len(short) == charts.LONGEST_NAME
    assert (short[0], short[-1]) == ("a", "z")


def test_the_name_of_a_class_in_two_groups_stands_in_the_larger_one():
    points = np.array([[0, 0], [0, 1], [1, 0], [9, 9], [9, 8]], np.float32)
    arrays = {"shown_map": points, "shown_labels": np.zeros(5, int)}
    label = embedding_map(arrays, ["cat"]).layout.annotations[0]
    assert [label.x, label.y] in points[:3].tolist()


def test_the_map_needs_no_labels():
    figure = embedding_map({"shown_map": np.zeros((3, 2), np.float32)}, [])
    assert figure.data[0].customdata == (0, 1, 2)
    assert not figure.layout.showlegend


def test_histograms_hold_every_pair():
    near, far = np.array([0.0, 0.1, 2.0]), np.array([1.0, 1.5])
    figure = charts.distance_histograms(near, far, top=2.0)
    assert [float(np.sum(trace.y)) for trace in figure.data] == pytest.approx([100, 100])


def bound_steps(*values, ceiling=5.5, name="mutual_information_bound"):
    return [
        {"epoch": float(at), "loss": 1.0, name: value, "mutual_information_ceiling": ceiling}
        for at, value in enumerate(values)
    ]


def test_the_bound_is_drawn_below_its_ceiling():
    figure = charts.bound_curve({"r": run_of(bound_steps(0.5, 2.0, None, 4.0))})
    assert figure is not None
    assert list(figure.data[0].y) == [0.5, 2.0, 4.0]
    assert [line.y0 for line in figure.layout.shapes] == [5.5]
    assert figure.layout.annotations[0].text == "log N: 5.50"
    low, high = figure.layout.yaxis.range
    assert low == 0
    assert high > 5.5


def test_a_bound_below_nothing_is_not_cut_off():
    figure = charts.bound_curve({"r": run_of(bound_steps(-3.0, 2.0))})
    assert figure is not None
    assert figure.layout.yaxis.range[0] == -3.0


def test_runs_without_a_bound_have_no_curve_of_it():
    plain = run_of([{"epoch": 1.0, "loss": 1.0}])
    assert charts.bound_curve({"r": plain}) is None
    assert charts.bound_curve({"r": run_of()}) is None
    runs = {"with": run_of(bound_steps(1.0)), "other": run_of(bound_steps(2.0, ceiling=7.0))}
    both = charts.bound_curve(runs | {"without": plain})
    assert both is not None
    assert [trace.name for trace in both.data] == ["with", "other"]
    assert [line.y0 for line in both.layout.shapes] == [5.5, 7.0]


def test_cpc_has_the_bound_of_the_next_step():
    run = run_of(bound_steps(1.0, 2.0, name="bound_1"))
    assert charts.bound_curve({"r": run}) is None
    figure = charts.bound_curve({"r": run}, "bound_1")
    assert figure is not None
    assert list(figure.data[0].y) == [1.0, 2.0]
