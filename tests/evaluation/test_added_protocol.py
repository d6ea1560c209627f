"""A protocol of another package is run, set, left out and shown as our own are."""

import io
import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from nearfar import report
from nearfar.cli.app import main
from nearfar.cli.train import _read
from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.errors import SettingError
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec, measures
from nearfar.evaluation.judged import Found
from nearfar.evaluation.measures import Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.records import Record
from nearfar.recipes import console
from nearfar.recipes.config_json import recipe_from_json, recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.report.build import write_report
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import NotNegative

OWN = tuple(ProtocolSpec.known())


def judge(spec, judged):
    """Accuracy of the nearest class mean, and how far the features are spread."""
    data = judged.labelled
    means = torch.stack([data.train[data.train_labels == c].mean(dim=0) for c in range(10)])
    means = (1 - spec.shrink) * means + spec.shrink * data.train.mean(dim=0)
    answers = torch.cdist(data.test, means).argmin(dim=1)
    right = float((answers == data.test_labels).double().mean())
    count, asked = len(answers), {"shrink": spec.shrink}
    return Found(
        [
            Record("nearest_mean", data.kind, "top1", right, count, parameters=asked),
            Record("spread", data.kind, "mean", float(data.test.std()), count),
        ],
        notes=["nearest mean: every class has one"],
        answers=answers,
    )


@pytest.fixture
def added():
    """The spec, known while a test runs."""

    class NearestMeanSpec(ProtocolSpec):
        """The class whose mean is nearest (Mensink et al. 2013)."""

        target = f"{__name__}:judge"
        name = "nearest_mean"
        judges = ("encoder", "raw")
        needs_labels = True
        measures = (
            Measure(
                name="nearest_mean",
                words="Nearest class mean",
                short="nearest mean",
                parameters={"shrink": float},
                letters={"shrink": "s"},
                judge="the nearest class mean",
                place=2,
            ),
            Measure(name="spread", explained="deviation of the features of each {one}"),
        )

        shrink: NotNegative = 0.0
        """Share of the mean of all that each class's mean takes."""

    yield NearestMeanSpec
    ProtocolSpec.choices.pop("nearest_mean", None)


@pytest.fixture(scope="module")
def source():
    digits = load_source(DigitsSpec())
    train, test = (
        Part(part.examples[:count], part.labels[:count])
        for part, count in ((digits.train, 200), (digits.test, 50))
    )
    return Source("digits", train, test)


def judged(source, folder, spec):
    """A run that was judged so; what is printed of it."""
    run = RunFolder.create(folder)
    run.write_config(recipe_to_json(Recipe(evaluation=spec)))
    found = evaluate(nn.Flatten(), source, spec, run_folder=run)
    written = Console(file=io.StringIO(), width=200)
    console.print_scores(written, run.read_evaluation(), found.notes)
    return found, written.file.getvalue()


def test_it_stands_in_records_console_page_and_comparison(added, source, tmp_path):
    spec = EvaluationSpec.by(added(shrink=0.5), leave_out=OWN)
    found, told = judged(source, tmp_path / "one", spec)
    assert [(r.protocol, r.features, r.parameters) for r in found.records] == [
        ("nearest_mean", "encoder", {"shrink": 0.5}),
        ("spread", "encoder", {}),
        ("nearest_mean", "raw", {"shrink": 0.5}),
        ("spread", "raw", {}),
    ]
    said = "under the nearest class mean (s = 0.5)"
    level = f"The encoder and raw data are level within the noise {said}."
    assert "Nearest class mean s = 0.5" in told
    assert level in told
    assert "Spread" in told
    assert told.count("nearest mean: every class has one") == 1

    page = write_report([tmp_path / "one"], tmp_path / "one.html").read_text()
    assert "Nearest class mean" in page
    assert level in page
    assert "More measures: spread" in page
    assert "Spread: deviation of the features of each image." in page

    judged(source, tmp_path / "two", EvaluationSpec.by(added(shrink=0.5), leave_out=OWN))
    page = write_report([tmp_path / "one", tmp_path / "two"], tmp_path / "both.html").read_text()
    assert f"are the best {said}, level within the noise" in page
    assert page.count("Nearest class mean") >= 3


def test_accuracies_by_size_of_class_are_charted(added, source, tmp_path):
    train = load_source(DigitsSpec()).train
    rows = [(train.labels == c).nonzero().squeeze(1)[: 15 if c else 60] for c in range(10)]
    uneven = Part(train.examples[torch.cat(rows)], train.labels[torch.cat(rows)])
    spec = EvaluationSpec.by(added(), leave_out=OWN, baselines=False)
    found, _ = judged(Source("uneven", uneven, source.test), tmp_path / "run", spec)
    assert found.arrays["class_accuracy_nearest_mean"].shape == (10,)
    page = write_report([tmp_path / "run"], tmp_path / "page.html").read_text()
    assert "Accuracy of each class by its training" in page
    assert '"name":"nearest mean"' in page


def test_it_is_set_and_left_out_as_our_own_are(added, capsys):
    words = ["simclr-digits", "--evaluation.nearest-mean.shrink", "0.25"]
    evaluation = _read([*words, "--evaluation.leave-out", "map", "nearest_mean"]).evaluation
    assert evaluation.of(added).shrink == 0.25
    assert evaluation.leave_out == ("map", "nearest_mean")
    assert "nearest_mean" not in [each.name for each in evaluation.chosen()]
    with pytest.raises(SettingError, match=r"evaluation.nearest_mean.shrink is -1.0: it must be 0"):
        _read([*words[:-1], "-1"])
    with pytest.raises(SettingError, match=r"did you mean '--evaluation.nearest-mean.shrink'"):
        _read(["simclr-digits", "--evaluation.nearest-mean.shrnk", "1"])

    assert main(["protocols", "nearest_mean"]) == 0
    assert re.search(r"shrink +0 +0 or more", capsys.readouterr().out)


def test_its_settings_stand_in_a_config(added):
    recipe = Recipe(evaluation=EvaluationSpec.by(added(shrink=0.5)))
    values = json.loads(json.dumps(recipe_to_json(recipe)))
    assert values["evaluation"]["nearest_mean"] == {"shrink": 0.5}
    assert recipe_from_json(values) == recipe


def test_its_settings_reach_other_ranks(added, monkeypatch):
    monkeypatch.setitem(globals(), "NearestMeanSpec", added)
    added.__qualname__ = "NearestMeanSpec"
    spec = EvaluationSpec.by(added(shrink=0.5), leave_out=("map",))
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_without_its_package_a_page_still_shows_its_figures(added, source, tmp_path):
    spec = EvaluationSpec.by(added(shrink=0.5), leave_out=OWN)
    judged(source, tmp_path / "run", spec)
    values = recipe_to_json(Recipe(evaluation=spec))
    ProtocolSpec.choices.pop("nearest_mean")
    page = write_report([tmp_path / "run"], tmp_path / "page.html").read_text()
    assert "Nearest mean" in page
    assert "shrink = 0.5" in page
    with pytest.raises(SettingError, match=r"unknown setting 'evaluation.nearest_mean'"):
        recipe_from_json(values)


def test_what_shows_an_evaluation_knows_no_measure_by_name():
    shown_by = [*Path(report.__file__).parent.rglob("*.*"), Path(console.__file__)]
    texts = [file.read_text() for file in shown_by if file.suffix in (".py", ".html", ".js")]
    # A check during training is called "knn" too.
    names = "|".join(measures().keys() - {"knn"})
    assert [re.findall(f"[\"'](?:{names})[\"']", text) for text in texts] == [[]] * len(texts)
