"""Texts are trained on, judged and gone on with as all other examples are."""

import json

import pytest
import torch
from rich.console import Console
from tests.recipes.cut_run import goes_on_to_the_same_bits

from nearfar.data.text_specs import TextLinesSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.text_specs import TextBagSpec, TextGRUSpec, TextTransformerSpec
from nearfar.errors import SettingError
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.methods.unlabelled_specs import MoCoSpec, SimCLRSpec
from nearfar.recipes.assembly import untrained_encoder
from nearfar.recipes.example_format import Format
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import run_recipe
from nearfar.testing import run_on_ranks
from nearfar.text_bytes import encoded
from nearfar.training.averaging import StepAverage
from nearfar.training.generators import OwnDraws
from nearfar.training.ranks import Ranks
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import SimCSEViewsSpec, TextViewsSpec

WORDS = {"sea": "wave salt ship sail tide", "land": "hill tree road field stone"}
HEAD = {"projection_hidden": 8, "projection_dim": 4}


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """Two books of two kinds each, whose lines are of words of their kind."""
    root = tmp_path_factory.mktemp("books")
    generator = torch.Generator().manual_seed(0)
    for kind, words in WORDS.items():
        (root / kind).mkdir()
        for book in range(2):
            drawn = torch.randint(5, (30, 6), generator=generator).tolist()
            lines = [" ".join(words.split()[place] for place in line) for line in drawn]
            (root / kind / f"{book}.txt").write_text("\n".join(lines) + "\n")
    return root


def _recipe(books, **changed):
    settings = {
        "data": TextLinesSpec(root=books, neighbours=1, length=48),
        "views": TextViewsSpec(),
        "encoder": TextGRUSpec(width=8, tokens="bpe", vocabulary=280),
        "method": SimCLRSpec(**HEAD),
        "training": TrainingSpec(
            epochs=2, batch_size=16, device="cpu", precision="fp32", threads=1, knn_every=2
        ),
        "evaluation": EvaluationSpec.by(
            KNNSpec(votes=((5, 0.1),)), FewLabelsSpec(labels_per_class=(2,), draws=2)
        ),
    }
    return Recipe(**settings | changed)


def test_a_run_is_judged_beside_tf_idf_and_takes_strings(books, tmp_path, capsys):
    page = run_recipe(_recipe(books), tmp_path / "run", console=Console(width=120, no_color=True))
    out = capsys.readouterr().out
    assert "texts of 48 bytes" in out
    assert page.is_file()
    records = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    values = {(each["protocol"], each["features"]): each["value"] for each in records}
    assert values["knn", "raw"] == 1.0
    assert {("knn", "encoder"), ("knn", "untrained"), ("uniformity", "encoder")} <= set(values)
    encoder = load_encoder(tmp_path / "run")
    assert encoder(["salt and waves", ""]).shape == (2, 8)
    untrained = untrained_encoder(_recipe(books), Format.of_encoder(encoder))
    merges = encoder.backbone.get_buffer("tokens.merges")
    assert (merges[:, 0] >= 0).any()
    assert torch.equal(untrained.backbone.get_buffer("tokens.merges"), merges)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {
            "encoder": TextTransformerSpec(width=8, depth=1),
            "views": SimCSEViewsSpec(),
            "method": MoCoSpec(queue_size=32, **HEAD),
        },
    ],
    ids=["neighbours", "dropout alone"],
)
def test_a_run_that_was_cut_goes_on_to_the_same_bits(books, tmp_path, changed):
    recipe = _recipe(books, **changed)
    goes_on_to_the_same_bits(recipe, tmp_path, knn=lambda _: {"top1": 0.5})


def _gradients(rank, count, spec):
    rows, _ = encoded([f"{words} {number}" for words in WORDS.values() for number in range(5)], 48)
    with OwnDraws(0):
        method = SimCLRSpec(**HEAD).build(spec.build((48,)))
        method.projection[1] = torch.nn.LayerNorm(8)
    method = method.double()
    shares = (4, 6) if count > 1 else (10,)
    views = (rows.split(shares)[rank], rows.flip(0).split(shares)[rank])
    loss = method(views)
    loss.backward()
    parameters = list(method.parameters())
    StepAverage(method, parameters, Ranks(rank, count)).finish(loss.detach())
    return [each.grad for each in parameters]


@pytest.mark.slow
def test_two_ranks_have_the_gradients_of_one_process(tmp_path):
    spec = TextGRUSpec(width=8, dropout=0.0)
    expected = _gradients(0, 1, spec)
    for found in run_on_ranks(2, _gradients, tmp_path, spec):
        torch.testing.assert_close(found, expected)


def test_views_that_would_all_be_one_are_refused(books):
    with pytest.raises(SettingError, match=r"all views of an example would be one; set encoder\."):
        _recipe(
            books,
            data=TextLinesSpec(root=books),
            views=SimCSEViewsSpec(),
            encoder=TextBagSpec(dropout=0.0),
        )
    _recipe(books, views=SimCSEViewsSpec(), encoder=TextBagSpec(dropout=0.0))
    with pytest.raises(SettingError, match=r"another for its second view, and views\.count is 1"):
        _recipe(books, views=TextViewsSpec(count=1), method=CrossEntropySpec())


def test_without_the_library_byte_pairs_are_refused_before_any_work(monkeypatch):
    monkeypatch.setattr("nearfar.encoders.text_specs.find_spec", lambda _: None)
    with pytest.raises(
        SettingError, match=r"pip install 'nearfar\[text\]', or set encoder\.tokens"
    ):
        TextGRUSpec(tokens="bpe")
    TextGRUSpec()
