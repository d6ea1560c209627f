"""Collapse is told when it comes, once, and a look changes nothing of the run."""

import copy
from dataclasses import replace

import pytest
import torch
from cases.methods import CASES
from rich.console import Console
from test_killed import metrics
from tiny_run import TINY, build_method, train_tiny
from torch import nn

from nearfar.methods.byol import BYOL
from nearfar.methods.unlabelled_specs import BYOLSpec
from nearfar.objectives.precision import unit_rows
from nearfar.testing.methods import EXAMPLES
from nearfar.testing.rank_processes import run_on_ranks
from nearfar.training.collapse import LOOK_EVERY, LOOKS, ONE_POINT, CollapseWatch, measure, rows
from nearfar.training.generators import OwnDraws, drawn_state
from nearfar.training.hardware import choose_hardware
from nearfar.training.spectrum import effective_rank, spread

CPU = choose_hardware("cpu", "fp32")


def look(method, views, hardware, rank=0):
    return measure(rows(method, views, hardware, rank=rank))


def figures(features=0.5, embeddings=0.5, rank=9.0):
    return {
        "feature_spread": features,
        "feature_rank": 9.0,
        "embedding_spread": embeddings,
        "embedding_rank": rank,
    }


def kinds(watch, *seen):
    return [[kind for kind, _ in watch.see(each)] for each in seen]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_look_changes_nothing_of_any_method(case):
    method = case.seeded()
    shape = EXAMPLES["images"][0]
    views = tuple(
        torch.randn(6, *shape, generator=torch.Generator().manual_seed(n)) for n in (0, 1)
    )
    method.train()
    method.encoder.eval()  # a part that stays frozen
    state = copy.deepcopy(method.state_dict())
    modes = [module.training for module in method.modules()]
    with OwnDraws(7):
        drawn = drawn_state(CPU.device)
        seen = look(method, views, CPU)
        assert all(torch.equal(drawn[name], each) for name, each in drawn_state(CPU.device).items())
    assert set(seen) == {"feature_spread", "feature_rank", "embedding_spread", "embedding_rank"}
    assert all(torch.equal(state[name], each) for name, each in method.state_dict().items())
    assert modes == [module.training for module in method.modules()]


def test_it_measures_what_the_loss_sees():
    method, views = build_method(), torch.randn(2, 80, 1, 8, 8).unbind()
    seen = look(method, views, CPU)
    with torch.no_grad():
        features = method.encoder(views[0][:64])
        embedded, _ = method.embed(tuple(view[:64] for view in views))
    assert seen["feature_spread"] == pytest.approx(spread(features), rel=1e-4)
    assert seen["feature_rank"] == pytest.approx(effective_rank(unit_rows(features)), rel=1e-4)
    assert seen["embedding_spread"] == pytest.approx(spread(embedded), rel=1e-4)
    assert seen["embedding_rank"] == pytest.approx(effective_rank(unit_rows(embedded)), rel=1e-4)


def test_what_is_not_finite_is_left_to_the_loss():
    method = build_method()
    with torch.no_grad():
        next(method.parameters()).fill_(torch.nan)
    assert look(method, torch.randn(2, 4, 1, 8, 8).unbind(), CPU) == {}


def test_it_is_told_once_after_some_looks_in_a_row_and_so_is_its_end():
    watch = CollapseWatch([], "images")
    low, high = figures(embeddings=ONE_POINT / 2), figures()
    assert kinds(watch, low, low, high, low, low) == [[]] * 5
    assert kinds(watch, low) == [["collapsed"]]
    assert watch.collapsed == ["embeddings"]
    assert kinds(watch, low, high, high, low, {}, high, high) == [[]] * 7
    assert kinds(watch, high) == [["recovered"]]
    assert watch.collapsed == []


def test_rows_in_one_corner_count_where_they_take_few_directions():
    corner = {"embeddings": 0.04}
    assert kinds(CollapseWatch([], "images"), *[figures(**corner, rank=5)] * 4) == [[]] * 4
    told = kinds(CollapseWatch([], "images"), *[figures(**corner, rank=2)] * 4)
    assert told == [[], [], ["collapsed"], []]
    # Two classes lie on one line, far apart: that is no collapse.
    assert kinds(CollapseWatch([], "images"), *[figures(embeddings=1.0, rank=1)] * 4) == [[]] * 4


def test_batch_norm_of_many_parts_is_given_enough_rows():
    case = next(case for case in CASES if "split" in case.title)
    method = replace(case, spec=replace(case.spec, batch_norm_splits=40)).seeded()
    assert look(method, torch.randn(2, 90, *EXAMPLES["images"][0]).unbind(), CPU)


def test_the_sentence_names_what_collapsed():
    watch = CollapseWatch([], "series")
    for _ in range(LOOKS - 1):
        watch.see(figures(features=1e-5))
    (_, told), *_ = watch.see(figures(features=1e-5))
    assert "the features that the encoder gives are nearly the same for all series" in told
    assert "(spread 1e-05 of 1 in 9.0 directions, 3 looks in a row)" in told


def test_a_resumed_run_counts_the_looks_before():
    lines = [{"kind": "step", **figures(embeddings=0.0)}] * (LOOKS - 1)
    assert kinds(CollapseWatch(lines, "images"), figures(embeddings=0.0)) == [["collapsed"]]
    told = CollapseWatch([*lines, *lines], "images")
    assert told.collapsed
    assert kinds(told, figures(embeddings=0.0)) == [[]]


class OneForAll(nn.Module):
    """An encoder whose every feature is nearly the same for all images."""

    num_features = 4

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.ones(4))

    def forward(self, images):
        return self.bias + 1e-4 * images.flatten(1)[:, :4]


def test_a_run_that_collapsed_says_so_everywhere(tmp_path, capsys):
    with OwnDraws(0):
        method = BYOL(
            BYOLSpec(projection_hidden=8, projection_dim=4, prediction_hidden=8), OneForAll()
        )
    epochs = -(-(LOOKS + 1) * LOOK_EVERY // 4)
    config = replace(TINY, epochs=epochs, knn_every=0)
    path = tmp_path / "run"
    train_tiny(path, config, method=method, console=Console(width=500))
    lines = metrics(path)
    (collapsed,) = (line for line in lines if line["kind"] == "collapsed")
    assert collapsed["step"] == LOOKS * LOOK_EVERY
    assert "the features" in collapsed["told"]
    told = capsys.readouterr().out
    assert "warning  step 30, epoch 8: collapse: the features" in told
    looked = [line["step"] for line in lines if "feature_rank" in line]
    assert looked == list(range(LOOK_EVERY, epochs * 4 + 1, LOOK_EVERY))
    assert looked == [line["step"] for line in lines if line.get("feature_spread", 1) < ONE_POINT]


def looks_of_moco(rank, world):
    """A look on each rank, where keys are exchanged before they are normalised."""
    method = next(case for case in CASES if case.title == "`moco`").seeded()
    draws = torch.Generator().manual_seed(rank)
    views = torch.randn(2, 6, *EXAMPLES["images"][0], generator=draws).unbind()
    return look(method, views, CPU, rank=rank)


def test_ranks_look_together(tmp_path):
    first, second = run_on_ranks(2, looks_of_moco, tmp_path / "ranks")
    assert set(first) == set(second) == set(figures())
    assert first != second
