"""A run that is being written is followed line by line, and half a line is none."""

import json

import pytest
from web_runs import ask, begin_run, client_of, ids, step_line

from nearfar.errors import NearfarError
from nearfar.web.growing_metrics import GrowingMetrics
from nearfar.web.run_curves import KeptCurves
from nearfar.web.thinned import MOST_POINTS, ThinnedCurve


def written(path, *lines, end="\n"):
    with path.open("a") as file:
        file.write("\n".join(map(json.dumps, lines)) + end)


def steps(lines):
    return [line["step"] for line in lines]


def test_half_a_line_waits_for_its_other_half(tmp_path):
    path = tmp_path / "metrics.jsonl"
    growing = GrowingMetrics(path)
    assert growing.new_lines() == ([], False)
    written(path, step_line(1), step_line(2))
    lines, anew = growing.new_lines()
    assert (steps(lines), anew) == ([1, 2], True)
    whole = json.dumps(step_line(3)) + "\n"
    for cut in range(0, len(whole) - 1, 17):
        with path.open("a") as file:
            file.write(whole[cut : min(cut + 17, len(whole) - 1)])
        assert growing.new_lines() == ([], False)
    with path.open("a") as file:
        file.write("\n")
    lines, anew = growing.new_lines()
    assert (steps(lines), anew) == ([3], False)
    assert growing.new_lines() == ([], False)


def test_a_file_that_was_cut_back_or_replaced_is_read_from_its_start(tmp_path):
    path = tmp_path / "metrics.jsonl"
    growing = GrowingMetrics(path)
    written(path, *map(step_line, range(1, 9)))
    growing.new_lines()
    kept = b"".join(path.read_bytes().splitlines(keepends=True)[:4])
    path.write_bytes(kept)
    lines, anew = growing.new_lines()
    assert (steps(lines), anew) == ([1, 2, 3, 4], True)
    # As long as before, and another: a resumed run wrote past the place that was come to.
    path.write_bytes(kept[: len(kept) // 2] + kept[: len(kept) // 2].replace(b"5.0", b"4.0"))
    other = tmp_path / "other"
    written(other, *(step_line(step, loss=9.0) for step in range(1, 20)))
    path.write_bytes(other.read_bytes())
    lines, anew = growing.new_lines()
    assert (len(lines), anew) == (19, True)
    path.unlink()
    assert growing.new_lines() == ([], True)


@pytest.mark.parametrize(
    "line", ["not JSON", "[]", '{"kind": "step"}', '{"kind": "step", "step": NaN}']
)
def test_a_damaged_line_is_told_each_time(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line + "\n")
    growing = GrowingMetrics(path)
    for _ in range(2):
        with pytest.raises(NearfarError, match=r"metrics\.jsonl is damaged"):
            growing.new_lines()


def test_a_long_curve_keeps_its_shape_in_few_points():
    curve = ThinnedCurve()
    count = 7 * MOST_POINTS + 3
    for step in range(count):
        curve.add(float(step), 2.0 * step + 1)
    x, y = curve.points()
    assert MOST_POINTS / 2 <= len(x) <= MOST_POINTS
    assert x == sorted(x)
    assert y == pytest.approx([2 * place + 1 for place in x])
    assert x[-1] > count - 9
    assert len(curve.x) < MOST_POINTS


def test_what_is_kept_of_a_run_is_bounded(tmp_path):
    kept = KeptCurves()
    for run in range(70):
        kept.of(tmp_path / str(run))
    assert len(kept._held) == 64
    odd = step_line(2) | {f"figure {number}": 1.0 for number in range(1000)}
    run = begin_run(tmp_path / "odd", steps=1)
    run.append_metrics(odd)
    assert len(kept.of(run.path).curves) == 200


def test_the_page_gets_what_was_added_and_nothing_where_nothing_was(tmp_path):
    run = begin_run(tmp_path / "one", steps=3)
    client = client_of(tmp_path)
    known = ids(client)["one"]
    first = ask(client, "api/curves", known)
    loss = {chart["id"]: chart for chart in first.json()["charts"]}["loss"]
    assert loss["figure"]["data"][0]["x"] == [1.0, 2.0, 3.0]
    again = client.get(first.request.url, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    run.append_metrics(step_line(4))
    run.append_metrics({"kind": "knn", "step": 4, "epoch": 0.4, "top1": 0.5, "asked": "held out"})
    run.append_metrics(
        {"kind": "collapsed", "step": 4, "epoch": 0.4, "told": "all features are <b>equal</b>"}
    )
    with run.metrics.open("a") as file:
        file.write('{"kind": "step", "step": 5, "epo')
    later = client.get(first.request.url, headers={"if-none-match": first.headers["etag"]})
    charts = {chart["id"]: chart for chart in later.json()["charts"]}
    assert charts["loss"]["figure"]["data"][0]["x"] == [1.0, 2.0, 3.0, 4.0]
    assert charts["knn-top1"]["figure"]["data"][0]["y"] == [50.0]
    assert charts["knn-top1"]["title"] == "kNN on held-out training examples"
    assert later.json()["runs"][0]["told"] == ["Epoch 0.4: all features are <b>equal</b>"]


def test_runs_over_one_another_have_a_line_each_and_their_names_are_no_markup(tmp_path):
    begin_run(tmp_path / "one")
    begin_run(tmp_path / "<b>two<b>")
    client = client_of(tmp_path)
    known = ids(client)
    answer = ask(client, "api/curves", *known.values()).json()
    traces = answer["charts"][0]["figure"]["data"]
    assert [trace["name"] for trace in traces] == ["&lt;b&gt;two&lt;b&gt;", "one"]
    assert len({(trace["meta"]["colour"], trace["line"]["dash"]) for trace in traces}) == 2
    page = ask(client, "run", *known.values())
    assert page.status_code == 200
    assert "<b>two" not in page.text
    assert ask(client, "run", *[f"{number:016x}" for number in range(13)]).status_code == 400


def test_a_long_name_leaves_room_for_the_curves(tmp_path):
    long = "a-name-" + "of-a-run-" * 12
    begin_run(tmp_path / long)
    begin_run(tmp_path / "b")
    client = client_of(tmp_path)
    answer = ask(client, "api/curves", *ids(client).values()).json()
    (shown, _) = [trace["name"] for trace in answer["charts"][0]["figure"]["data"]]
    assert len(shown) == 32
    assert shown.startswith("a-name-of")


def test_a_figure_of_a_plug_in_has_a_chart_of_its_own(tmp_path):
    run = begin_run(tmp_path / "one", steps=1)
    run.append_metrics(step_line(2) | {"my_own_figure": 3.0})
    client = client_of(tmp_path)
    charts = ask(client, "api/curves", ids(client)["one"]).json()["charts"]
    assert [chart["title"] for chart in charts][-1] == "My own figure"


def test_a_run_with_a_damaged_line_is_told_and_its_page_stays(tmp_path):
    run = begin_run(tmp_path / "one")
    client = client_of(tmp_path)
    known = ids(client)["one"]
    with run.metrics.open("a") as file:
        file.write("half a li\n")
    assert "is damaged" in ask(client, "api/curves", known).json()["error"]
    page = ask(client, "run", known)
    assert page.status_code == 200
    assert "Not all of this run can be read" in page.text
