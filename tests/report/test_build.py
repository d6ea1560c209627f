import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from digits_run import cells_of

from nearfar.errors import NearfarError
from nearfar.report.build import write_report
from nearfar.run_folder.folder import RunFolder

EMPTY_STATES = (
    "Not judged yet",
    "No training step has been recorded yet.",
    "They are shown once the encoder has been judged.",
    "The run has not recorded its command.",
)


class Text(HTMLParser):
    """What a reader sees and what a browser would run or fetch."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags, self._inside = [], [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        self._inside.append("/" + tag)

    def handle_data(self, data):
        if self._inside and self._inside[-1] not in {"script", "style"}:
            self.words.append(data)


def report_on(*runs, out):
    return Text(write_report(runs, out).read_text(encoding="utf-8"))


@pytest.fixture
def changed(digits_run, tmp_path):
    """A copy of the run that a test may change."""
    return RunFolder(shutil.copytree(digits_run, tmp_path / "copy"))


def without(folder, *names):
    arrays = folder.read_evaluation_arrays()
    folder.write_evaluation_arrays(
        {name: array for name, array in arrays.items() if name not in names}
    )


def test_the_verdict_comes_first_and_nothing_is_missing(digits_run, tmp_path):
    out = tmp_path / "new" / "report.html"
    page = report_on(digits_run, out=out)
    assert "SimCLR on digits" in page.text
    headings = ["raw data", "Encoder against its baselines", "Training", "views look like"]
    headings += ["Map of the embedding", "Nearest neighbours", "Near and far"]
    headings += ["What is mistaken for what", "How to repeat it"]
    places = [page.text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert not any(state in page.text for state in EMPTY_STATES)
    assert "nearfar train simclr-digits --out demo --overwrite" in page.text
    assert "What two views share" in page.text
    assert [entry.name for entry in out.parent.iterdir()] == ["report.html"]


def test_labels_are_called_unseen_where_the_method_learns_without(changed, tmp_path):
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "trained without labels" in page.text
    assert "true classes, which the encoder never saw." in page.text
    config = changed.read_config()
    changed.write_config(config | {"method": {"name": "supcon"}})
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "trained with labels" in page.text
    assert "Colours are true classes. Crosses" in page.text


def test_the_table_holds_the_records(digits_run, tmp_path):
    page = report_on(digits_run, out=tmp_path / "report.html")
    for record in RunFolder(digits_run).read_evaluation():
        shown = f"{100 * record['value']:.1f}" if record["metric"] != "mean" else record["value"]
        assert str(shown).replace("-", "−") in page.text
        if record["sd"]:
            assert f"± {100 * record['sd']:.1f}" in page.text


def test_every_picture_has_words_and_every_table_has_headers(digits_run, tmp_path):
    page = report_on(digits_run, out=tmp_path / "r.html")
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) > 100
    assert all(attrs["alt"] for attrs in pictures)
    assert all(attrs["scope"] in {"row", "col"} for tag, attrs in page.tags if tag == "th")
    charts = [attrs for _, attrs in page.tags if "chart" in attrs.get("class", "").split()]
    assert len(charts) == 8
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in charts)


def test_nothing_is_named_that_would_be_fetched(digits_run, tmp_path):
    page = report_on(digits_run, out=tmp_path / "r.html")
    for tag, attrs in page.tags:
        for name in ("src", "href", "action", "poster", "srcset", "data"):
            if attrs.get(name):
                assert attrs[name].startswith(("data:", "#")), (tag, attrs)
    styles = (tmp_path / "r.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in styles
    assert "@import" not in styles


def test_a_run_that_has_only_begun_shows_what_is_to_come(tmp_path):
    folder = RunFolder.create(tmp_path / "begun")
    folder.write_config({"recipe": "simclr-digits", "seed": 0, "training": {"epochs": 9}})
    page = report_on(folder.path, out=tmp_path / "r.html")
    assert all(state in page.text for state in EMPTY_STATES)
    assert "Training stands at epoch 0.0 of 9." in page.text
    assert f"nearfar train --resume {folder.path}" in page.text


def test_training_under_way_shows_its_curves_and_how_to_go_on(changed, tmp_path):
    for name in ("encoder.safetensors", "evaluation.json", "evaluation.npz"):
        (changed.path / name).unlink()
    with changed.metrics.open("a") as file:
        file.write('{"kind": "step", "ep')
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "Training stands at epoch 40.0 of 40." in page.text
    assert "Not judged yet: the encoder is judged when training is done." in page.text
    assert any(attrs.get("id") == "run-1-loss" for _, attrs in page.tags)


def test_a_trained_encoder_that_nobody_judged_says_how_to(changed, tmp_path):
    changed.evaluation.unlink()
    changed.evaluation_arrays.unlink()
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert f"Not judged yet. nearfar evaluate {changed.path} does so." in page.text
    assert "Not finished" not in page.text


def test_without_labels_there_are_a_map_and_neighbours_but_no_classes(changed, tmp_path):
    labelled = [
        "shown_labels",
        "shown_predictions",
        "neighbor_labels",
        "confusion_cells",
        "class_names",
    ]
    without(changed, *labelled)
    records = [line for line in changed.read_evaluation() if line["metric"] == "mean"]
    changed.write_evaluation(records)
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "The data has no labels to colour by." in page.text
    assert "No confusion matrix:" in page.text
    assert "Two views of one image lie nearer than views of two images in" in page.text
    assert "✓" not in page.text
    assert "beats" not in page.text


def test_without_a_test_part_the_rest_is_there(changed, tmp_path):
    arrays = changed.read_evaluation_arrays()
    keep = ("view_", "positive_", "random_")
    changed.write_evaluation_arrays({k: v for k, v in arrays.items() if k.startswith(keep)})
    changed.write_evaluation([])
    page = report_on(changed.path, out=tmp_path / "r.html")
    for state in ("No map was drawn.", "No neighbours were sought.", "No confusion matrix:"):
        assert state in page.text
    assert "Trained" in page.text
    assert "Untrained" not in page.text


def test_an_evaluation_without_views_says_so(changed, tmp_path):
    without(changed, "view_originals", "positive_distances", "untrained_positive_distances")
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "No views were drawn." in page.text
    assert "No distances were measured." in page.text


def test_the_command_is_what_one_types(changed, tmp_path):
    for recorded, typed in {
        "/home/me/.venv/bin/nearfar train x": "nearfar train x",
        "/lib/nearfar/__main__.py train x": "python -m nearfar train x",
    }.items():
        changed.write_environment({"command": recorded})
        assert (
            f"How to repeat it {typed} Configuration"
            in report_on(changed.path, out=tmp_path / "r.html").text
        )


def test_what_the_evaluation_notes_is_told(changed, tmp_path):
    note = "few labels: skipped 50 a class, as one class has only 7"
    arrays = changed.read_evaluation_arrays() | {"notes": np.array([note])}
    changed.write_evaluation_arrays(arrays)
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "F" + note[1:] + "." in page.text


def test_an_encoder_judged_elsewhere_is_not_called_unfinished(changed, tmp_path):
    for name in ("encoder.safetensors", "metrics.jsonl", "environment.json"):
        (changed.path / name).unlink()
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "Not finished" not in page.text
    assert "raw data" in page.text


def test_many_classes_are_told_by_their_worst_pairs(changed, tmp_path):
    arrays = changed.read_evaluation_arrays()
    confusion = np.diag(np.full(100, 10))
    confusion[3, 77] = 8
    arrays |= {
        "confusion_cells": cells_of(confusion),
        "class_names": np.array([f"kind {i}" for i in range(100)]),
    }
    changed.write_evaluation_arrays(arrays)
    page = report_on(changed.path, out=tmp_path / "r.html")
    assert "1000 of 1008 right" in page.text
    assert "kind 3 for kind 77 (8×)." in page.text
    assert not any(attrs.get("class") == "confusion" for _, attrs in page.tags)


def test_several_runs_are_compared_first_and_told_one_by_one_after(digits_run, changed, tmp_path):
    config = changed.read_config()
    config["method"]["objective"]["temperature"] = 0.123
    changed.write_config(config)
    changed.write_evaluation(
        [
            line | {"value": line["value"] / 2 if line["metric"] == "top1" else line["value"]}
            for line in changed.read_evaluation()
        ]
    )
    page = report_on(digits_run, changed.path, out=tmp_path / "r.html")
    assert "2 runs side by side" in page.text
    assert re.search(
        r"demo leads with 10 labels per class, 4\d\.\d points ahead of copy\.", page.text
    )
    assert "method.objective.temperature 0.5 0.123" in page.text
    assert "encoder.width" not in page.text
    details = [attrs["id"] for tag, attrs in page.tags if attrs.get("class") == "run"]
    assert details == ["run-1", "run-2"]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def judged_on(folder, data):
    arrays = folder.read_evaluation_arrays() | {"judged_on": np.array(data)}
    folder.write_evaluation_arrays(arrays)
    return folder.path


def test_runs_on_other_data_stand_side_by_side_without_a_ranking(digits_run, changed, tmp_path):
    config = changed.read_config()
    config["data"] |= {"name": "folder", "root": "/pictures/birds"}
    changed.write_config(config)
    page = report_on(digits_run, judged_on(changed, "birds"), out=tmp_path / "r.html")
    assert "No two of these runs were judged alike" in page.text
    assert "Not all of these runs were judged on the same data." in page.text
    assert "copy on data B (folder, in /pictures/birds, 500 test examples, 10 classes)" in page.text
    scores = page.text.split("Scores")[1].split("Settings that differ")[0]
    for word in ("★ best", "level with the best", "leads"):
        assert word not in scores
    assert scores.count("data A") == scores.count("data B") > 0


def test_runs_on_the_same_data_are_ranked_among_themselves(digits_run, changed, tmp_path):
    other = RunFolder(shutil.copytree(digits_run, tmp_path / "birds"))
    better = [
        line | {"value": 1.0 if line["metric"] == "top1" else line["value"]}
        for line in other.read_evaluation()
    ]
    other.write_evaluation(better)
    worse = [
        line | {"value": line["value"] / 2 if line["metric"] == "top1" else line["value"]}
        for line in changed.read_evaluation()
    ]
    changed.write_evaluation(worse)
    page = report_on(digits_run, changed.path, judged_on(other, "birds"), out=tmp_path / "r.html")
    assert re.search(r"On data A: demo leads with 10 labels per class, [\d.]+ points", page.text)
    knn = page.text.split("kNN k = 20")[1].split("Linear probe")[0]
    demo, copy, birds = re.findall(r"([\d.]+) [\d.]+–[\d.]+( ★ best)?", knn)[:3]
    assert (demo[1], copy[1], birds) == (" ★ best", "", ("100.0", ""))


def test_a_run_that_does_not_say_what_it_was_judged_on_is_not_ranked(changed, tmp_path):
    without(changed, "judged_on")
    other = shutil.copytree(changed.path, tmp_path / "other")
    page = report_on(changed.path, other, out=tmp_path / "r.html")
    assert "No two of these runs were judged alike" in page.text
    assert "no fingerprint of the data was kept" in page.text


def with_sizes(folder, share=1.0):
    """Makes a run one on a long tail: accuracies by size of class, and a classifier."""
    records = folder.read_evaluation()
    first = [line for line in records if line["metric"] == "top1"]
    first += [
        first[0] | {"protocol": "classifier", "features": "encoder", "sd": None, "parameters": {}}
    ]
    for at, (shots, classes) in enumerate((("many", 4), ("medium", 1), ("few", 5))):
        told = {"shots": shots, "classes": classes}
        records += [
            line
            | {"value": share * (0.901 - 0.3 * at), "n": 50, "sd": None}
            | {"parameters": line["parameters"] | told}
            for line in first
        ]
    folder.write_evaluation([*records, first[-1]])
    counts = np.array([200, 150, 130, 110, 70, 19, 10, 8, 4, 2])
    arrays = {"class_counts": counts, "class_accuracy_knn": np.linspace(1, 0.2, 10)}
    folder.write_evaluation_arrays(folder.read_evaluation_arrays() | arrays)
    return folder.path


def test_sizes_of_classes_are_told_where_they_differ(digits_run, changed, tmp_path):
    balanced = report_on(digits_run, out=tmp_path / "r.html")
    assert "By training images of the class" not in balanced.text
    page = report_on(with_sizes(changed), out=tmp_path / "r.html")
    told = page.text.split("By training images of the class")[1]
    for words in ("Many 4 classes, more than 100 each", "Medium 1 class, 20 to 100", "Few 5 cla"):
        assert words in told
    row = told.split("The method's own classifier")[1]
    places = [row.index(value) for value in ("90.1", "60.1", "30.1")]
    assert places == sorted(places)
    assert "raw 30.1 untrained 30.1" in told
    assert any(attrs.get("id") == "run-1-classes" for _, attrs in page.tags)
    verdicts = [
        text.split("seed 0.")[1].split("Encoder against")[0] for text in (balanced.text, page.text)
    ]
    assert verdicts[0] == verdicts[1]


def test_runs_are_compared_by_size_of_class_too(changed, tmp_path):
    other = RunFolder(shutil.copytree(changed.path, tmp_path / "other"))
    page = report_on(with_sizes(changed), with_sizes(other, 0.3), out=tmp_path / "r.html")
    told = page.text.split("By training examples of the class")[1]
    sizes = ("Many: more than 100 each", "Medium: 20 to 100 each", "Few: fewer than 20 each")
    places = [told.index(size) for size in sizes]
    assert places == sorted(places)
    few = told.rsplit(sizes[2], 1)[1].split("The method's own classifier")[1]
    assert re.match(r" 30\.1 [\d.–]+ ★ best 9\.0 ", few)


def test_runs_of_one_folder_name_go_by_their_path(digits_run, tmp_path):
    other = shutil.copytree(digits_run, tmp_path / "other" / digits_run.name)
    page = report_on(digits_run, other, out=tmp_path / "r.html")
    assert str(other) in page.text
    assert str(digits_run) in page.text


def test_hostile_text_stays_text(changed, tmp_path):
    hostile = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    arrays = changed.read_evaluation_arrays()
    arrays["class_names"] = np.array([f"{i}{hostile}\"'" for i in range(10)])
    changed.write_evaluation_arrays(arrays)
    changed.write_config(json.loads(json.dumps(changed.read_config()).replace("digits", "<b>x")))
    changed.write_environment({"command": f"nearfar {hostile}", hostile: hostile})
    folder = changed.path.rename(changed.path.with_name("<script>alert(1)<"))
    page = report_on(folder, out=tmp_path / "r.html")
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert sum("type" not in attrs for attrs in scripts) == 2  # plotly and page.js
    assert not any(tag == "img" and attrs.get("src") == "x" for tag, attrs in page.tags)
    assert not any(tag == "b" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert f"nearfar {hostile}" in page.text


def test_bad_input_is_one_clear_line(digits_run, changed, tmp_path):
    out = tmp_path / "r.html"
    with pytest.raises(NearfarError, match="name at least one"):
        write_report([], out)
    with pytest.raises(NearfarError, match=r"not a run folder|no run folder"):
        write_report([tmp_path], out)
    with pytest.raises(NearfarError, match="given twice"):
        write_report([digits_run, digits_run], out)
    changed.evaluation_arrays.write_bytes(changed.evaluation_arrays.read_bytes()[:1000])
    with pytest.raises(NearfarError, match=r"evaluation\.npz.*damaged"):
        write_report([changed.path], out)
    assert not out.exists()


def test_a_report_is_replaced_whole(digits_run, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("old")
    assert write_report([digits_run], out) == out
    assert out.read_text().rstrip().endswith("</html>")
