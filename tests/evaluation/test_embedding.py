"""What the projection head makes of the features is judged as the features are."""

from dataclasses import replace

import pytest
import torch
from rich.console import Console
from tests.recipes.small_recipe import small_recipe
from torch import nn

from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.encoders.saved import load_encoder
from nearfar.errors import SettingError
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.features import extract_features
from nearfar.evaluation.geometry import geometry
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.objectives import alignment
from nearfar.recipes.run import evaluate_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.views.specs import DigitsViewsSpec

VIEWS = DigitsViewsSpec().build((1, 8, 8), mean=(0.3,), std=(0.3,))
SPEC = EvaluationSpec.by(KNNSpec(votes=((5, 0.1),)), FewLabelsSpec(labels_per_class=(2,), draws=2))


class Linear(nn.Module):
    """A fixed map of the pixels."""

    def __init__(self, dim):
        super().__init__()
        draws = torch.Generator().manual_seed(dim)
        self.weight = nn.Parameter(torch.randn(64, dim, generator=draws))

    def forward(self, images):
        return images.float().flatten(1) @ self.weight


@pytest.fixture(scope="module")
def source():
    digits = load_source(DigitsSpec())
    train, test = (
        Part(each.examples[:count], each.labels[:count])
        for each, count in ((digits.train, 150), (digits.test, 40))
    )
    return Source("digits", train, test)


def test_asked_for_every_protocol_judges_it_as_it_would_an_encoder(source):
    spec = replace(SPEC, baselines=False, embeddings=True)
    found = evaluate(Linear(8), source, spec, embedding=Linear(5), views=VIEWS)
    alone = evaluate(Linear(5), source, replace(SPEC, baselines=False), views=VIEWS)
    of_embedding = [each for each in found.records if each.features == "embedding"]
    assert [replace(each, features="encoder") for each in of_embedding] == list(alone.records)
    assert {each.protocol for each in of_embedding} >= {"knn", "few_labels", "linear_probe"}
    for name in ("shown_map", "shown_predictions", "neighbor_indices", "gallery_images"):
        assert (found.arrays[f"embedding_{name}"] == alone.arrays[name]).all(), name
        assert name in found.arrays
    assert "embedding_shown_images" not in found.arrays


def test_unasked_its_geometry_alone_is_told(source):
    found = evaluate(Linear(8), source, SPEC, embedding=Linear(5), views=VIEWS)
    told = [each.protocol for each in found.records if each.features == "embedding"]
    assert told == ["alignment", "uniformity"]
    without = evaluate(Linear(8), source, SPEC, views=VIEWS)
    kept = [each for each in found.records if each.features != "embedding"]
    assert kept == list(without.records)


def test_asked_for_where_there_is_none_it_is_refused(source):
    with pytest.raises(SettingError, match="without a projection head, so it has no embedding"):
        evaluate(Linear(8), source, replace(SPEC, embeddings=True))


def test_a_protocol_names_what_it_gives_of_the_embedding():
    for name, each in ProtocolSpec.known().items():
        if each.judges_every_embedding:
            assert "embedding" in each.judges, name


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedding")
    recipe = small_recipe(folder)
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, embeddings=True))
    with (folder / "told").open("w") as told:
        run_recipe(recipe, folder / "run", console=Console(width=200, file=told))
    return folder


def test_a_run_keeps_its_head_and_judges_it(run):
    records = RunFolder(run / "run").read_evaluation()
    judged = {each["protocol"] for each in records if each["features"] == "embedding"}
    assert {"knn", "few_labels", "linear_probe", "alignment", "uniformity"} <= judged
    told = (run / "told").read_text()
    assert "Embedding" in told
    page = (run / "run" / "report.html").read_text()
    for heading in ("Map behind the projection head", "Behind the projection head", "Embedding<"):
        assert heading in page
    assert "Nearest neighbours behind the projection head" in page


def test_its_alignment_is_that_of_the_saved_heads_embeddings(run):
    embedding = load_encoder(run / "run", output="embedding")
    assert embedding.num_features == 4
    test = load_source(small_recipe(run).data).test
    rows = extract_features(embedding, test)
    features = extract_features(load_encoder(run / "run"), test)
    with torch.no_grad():
        torch.testing.assert_close(rows, embedding.head(features))
    assert geometry(rows, rows.flip(0)).alignment == pytest.approx(
        float(alignment(rows, rows.flip(0)))
    )


def test_it_can_be_asked_for_afterwards(run, tmp_path):
    asked = replace(
        small_recipe(run).evaluation,
        embeddings=True,
        leave_out=tuple(each for each in ProtocolSpec.known() if each != "knn"),
    )
    folder = evaluate_run(
        run / "run", evaluation=asked, out=tmp_path / "again", console=Console(quiet=True)
    )
    first = RunFolder(run / "run").read_evaluation()
    again = folder.read_evaluation()
    assert again == [each for each in first if each["protocol"] == "knn"]
