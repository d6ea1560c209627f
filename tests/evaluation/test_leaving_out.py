"""Every protocol can be left out: it is not done, and all that reads an evaluation stands."""

import io
import re

import pytest
import torch
from rich.console import Console
from torch import nn

from nearfar.data.source import Source, choose
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.console import print_scores
from nearfar.recipes.recipe import Recipe
from nearfar.report.build import write_report
from nearfar.run_folder.folder import RunFolder
from nearfar.views.specs import DigitsViewsSpec

VIEWS = DigitsViewsSpec().build((1, 8, 8), mean=(0.3,), std=(0.3,))
PROTOCOLS = tuple(ProtocolSpec.known())
RECORDS = {
    "knn": {"knn"},
    "few_labels": {"few_labels"},
    "linear_probe": {"linear_probe"},
    "classifier": {"classifier"},
    "geometry": {"alignment", "uniformity"},
    "map": set(),
    "gallery": set(),
    "effective_rank": {"effective_rank"},
    "retrieval": {"recall", "map_at_r", "reciprocal_rank"},
    "clustering": set(),
    "fine_tuning": set(),
    "sgd_probe": set(),
    "depth": set(),
    "segmentation": set(),
    "semantic_similarity": set(),
    "pair_retrieval": set(),
    "zero_shot": set(),
    "across_kinds": set(),
}
"""Protocols of the records that each gives; those not run by default, or of pairs, give none."""
ARRAYS = {
    "knn": {"confusion_cells", "shown_predictions", "class_accuracy_knn"},
    "few_labels": set(),
    "linear_probe": {"class_accuracy_linear_probe"},
    "classifier": {"class_accuracy_classifier"},
    "geometry": {
        "positive_distances",
        "random_distances",
    },
    "map": {"shown_map"},
    "gallery": {
        "neighbor_indices",
        "neighbor_similarities",
        "neighbor_labels",
        "gallery_queries",
        "gallery_bank_indices",
        "gallery_images",
    },
    **{name: set() for name in PROTOCOLS[PROTOCOLS.index("gallery") + 1 :]},
}
"""Arrays that each gives alone."""
SECTIONS = {
    "knn": "What is mistaken for what",
    "geometry": "Near and far",
    "map": "Map of the embedding",
    "gallery": "Nearest neighbours",
}
"""Parts of the page that each gives alone."""
MEASURES = {
    "geometry": ("alignment", "uniformity"),
    "effective_rank": ("effective rank",),
    "retrieval": ("recall", "MAP@R", "MRR"),
}
"""What the figures are called that are no accuracies."""
OF_FEATURES = ("effective_rank", "retrieval")
"""Protocols that ask for features and give no accuracy."""
BARE = {"view_originals", "view_samples", "judged_on", "evaluation_settings", "notes"}
"""Arrays that are kept whatever is left out."""


class Encoder(nn.Module):
    """Pixels as features, and a count of the images that it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = 0

    def forward(self, images):
        self.shown += len(images)
        return images.float().flatten(1)


@pytest.fixture(scope="module", autouse=True)
def short_fits():
    """What the probes find does not matter here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nearfar.evaluation.softmax_regression.MAX_STEPS", 5)
        yield


@pytest.fixture(scope="module")
def source():
    """Four digits without names of classes, of one of which there are many training images."""
    digits = load_source(DigitsSpec())
    train, test = digits.train, digits.test
    rows = [(train.labels == c).nonzero().squeeze(1)[: 8 if c else 24] for c in range(4)]
    judged = (test.labels < 4).nonzero().squeeze(1)[:20]
    return Source("digits", choose(train, torch.cat(rows)), choose(test, judged))


def judge(source, folder, *left_out, baselines=False):
    config = EvaluationSpec.by(
        KNNSpec(votes=((5, 0.1),)),
        FewLabelsSpec(labels_per_class=(1,), draws=1),
        leave_out=left_out,
        baselines=baselines,
    )
    run = RunFolder.create(folder)
    run.write_config(recipe_to_json(Recipe(evaluation=config)))
    encoder = Encoder()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = nn.Linear(64, 4)
    evaluation = evaluate(
        encoder,
        source,
        config,
        classifier=classifier,
        views=VIEWS,
        untrained=Encoder(),
        run_folder=run,
    )
    console = Console(file=io.StringIO(), width=200)
    print_scores(console, run.read_evaluation(), evaluation.notes)
    page = write_report([folder], folder / "report.html").read_text()
    return evaluation, encoder.shown, console.file.getvalue(), page


def section(page, title):
    """The text of one part of the page."""
    found = re.search(f"<h2>{title}</h2>(.*?)</section>", page, flags=re.S)
    return re.sub("<script.*?</script>", "", found[1], flags=re.S)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """The evaluation of which nothing is left out."""
    return judge(source, tmp_path_factory.mktemp("whole") / "run")


def test_what_each_protocol_gives_is_known(whole):
    evaluation, _, told, page = whole
    assert {r.protocol for r in evaluation.records} == set().union(*RECORDS.values())
    pictures = {"shown_images", "shown_labels", "class_counts"}
    assert set(evaluation.arrays) == BARE | pictures | set().union(*ARRAYS.values())
    assert "left out by" not in told.lower() + page.lower()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_left_out_leaves_all_others_as_they_were(source, whole, tmp_path, protocol):
    evaluation, _, told, page = judge(source, tmp_path / "run", protocol)
    before = whole[0]
    kept = [record for record in before.records if record.protocol not in RECORDS[protocol]]
    assert list(evaluation.records) == kept
    assert set(before.arrays) - set(evaluation.arrays) == ARRAYS[protocol]
    assert f"left out by evaluation.leave_out: {protocol}" in told
    assert f"Left out by evaluation.leave_out: {protocol}." in page
    for name, title in SECTIONS.items():
        said = "Left out by evaluation.leave_out." in section(page, title)
        assert said == (name == protocol), title
    summary = re.search("<summary>(More measures: .*?)</summary>", page)[1]
    held = ["top-5", *(name for each in MEASURES if each != protocol for name in MEASURES[each])]
    assert summary == f"More measures: {', '.join(held)}"
    caption = re.search(f"{re.escape(summary)}</summary>.*?<caption>(.*?)</caption>", page, re.S)[1]
    assert ("Alignment:" in caption) == ("Uniformity:" in caption) == (protocol != "geometry")
    assert "Top-5 in per cent" in caption
    assert ("Mistakes are not marked" in page) == (protocol == "knn")


def test_all_left_out_leaves_views_and_the_reasons(source, tmp_path):
    evaluation, shown, told, page = judge(source, tmp_path / "run", *PROTOCOLS, baselines=True)
    assert evaluation.records == ()
    assert set(evaluation.arrays) == BARE
    assert shown == 0
    assert told.split() == f"note left out by evaluation.leave_out: {', '.join(PROTOCOLS)}".split()
    assert "evaluation.leave_out names few labels, kNN and linear probe." in page
    assert "Not judged yet" not in page
    for title in SECTIONS.values():
        assert "Left out by evaluation.leave_out." in section(page, title), title


def test_a_run_without_figures_stands_beside_another(source, tmp_path):
    judge(source, tmp_path / "bare", *PROTOCOLS)
    judge(source, tmp_path / "other", "knn", "few_labels", "linear_probe", "map", "gallery")
    page = write_report([tmp_path / "bare", tmp_path / "other"], tmp_path / "both.html")
    assert "The method&#39;s own classifier" in page.read_text()


def test_titles_say_what_stands_below_them(source, tmp_path):
    *_, page = judge(
        source, tmp_path / "one", "knn", "few_labels", "linear_probe", "classifier", *OF_FEATURES
    )
    assert "<summary>More measures: alignment, uniformity</summary>" in page
    assert "Top-5" not in page
    *_, page = judge(source, tmp_path / "two")
    assert "Scores of the encoder</h2>" in page
    assert "its baselines" not in page
    *_, page = judge(
        source, tmp_path / "three", "few_labels", "geometry", *OF_FEATURES, baselines=True
    )
    assert "Encoder against its baselines</h2>" in page
    assert "<summary>More measures: top-5</summary>" in page


def test_features_are_taken_only_where_a_protocol_needs_them(source, tmp_path):
    accuracies = ("knn", "few_labels", "linear_probe", "classifier", *OF_FEATURES)
    _, shown, *_ = judge(source, tmp_path / "map", *accuracies, "geometry", "gallery")
    assert shown == len(source.test)
    _, shown, *_ = judge(source, tmp_path / "gallery", *accuracies, "geometry", "map")
    assert shown == len(source.test) + len(source.train)


def test_classes_without_names_are_charted_without_map_and_gallery(source, tmp_path):
    _, _, _, page = judge(source, tmp_path / "run", "map", "gallery")
    assert "Accuracy of each class by its training" in page
