"""SimCLR over every pairwise objective: settings, views, ranks, parts, learning."""

import inspect
import re
from dataclasses import fields, replace
from itertools import combinations

import pytest
import torch
from tests.methods.interrupted_run import assert_goes_on_as_if_never_stopped
from torch import nn

from nearfar import objectives
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.check import check_labels, check_method
from nearfar.methods.config import SimCLRConfig
from nearfar.methods.pairwise import OBJECTIVES, PairwiseObjective
from nearfar.methods.pairwise_options import DROPS_FALSE_NEGATIVES, OPTIONS
from nearfar.methods.simclr import SimCLR
from nearfar.training.gradient_caching import cached_gradients
from rank_processes import run_on_ranks

OF_PAIRS = [name for name in OPTIONS if name not in ("debiased_neg", "debiased_pos", "triplet")]
VARIANTS = [{"objective": name} for name in OPTIONS] + [
    {"objective": "debiased_pos", "positives": "combination"},
    *({"objective": name, "drop_false_negatives": "yes"} for name in DROPS_FALSE_NEGATIVES),
    {"objective": "nt_xent", "drop_false_negatives": "rescaled"},
]
every_variant = pytest.mark.parametrize(
    "settings", VARIANTS, ids=lambda each: " ".join(each.values())
)


class RowByRow(nn.Module):
    """An encoder without batch-norm: every row depends on its own example alone."""

    num_features = 6

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 6))

    def forward(self, images):
        return self.layers(images)


def row_by_row(**settings) -> SimCLR:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        method = SimCLR(SimCLRConfig(projection_hidden=4, projection_dim=4, **settings), RowByRow())
        method.projection = nn.Linear(6, 4)
    return method.double()


def views_of(count, batch=11):
    generator = torch.Generator().manual_seed(3)
    examples = torch.randn(batch, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, batch, 5, generator=generator, dtype=torch.float64)
    return tuple(examples + 0.5 * noise)


LABELS = torch.arange(11) % 3


def gradients(method):
    return {name: each.grad for name, each in method.named_parameters()}


def test_every_setting_of_an_objective_is_one_of_its_function_with_its_name():
    named = {name for names in OPTIONS.values() for name in names}
    others = {"name", "objective", "drop_false_negatives", "projection_hidden", "projection_dim"}
    assert {each.name for each in fields(SimCLRConfig)} == named | others
    assert OBJECTIVES.keys() == OPTIONS.keys()
    learnt_or_of_noise = {"labels", "rescale", "scale", "bias"}
    for objective, names in OPTIONS.items():
        function = getattr(
            objectives, "batch_hard_triplet" if objective == "triplet" else objective
        )
        settings = {
            name
            for name, each in inspect.signature(function).parameters.items()
            if each.kind is each.KEYWORD_ONLY
        }
        assert set(names) == settings - learnt_or_of_noise
        assert ("rescale" in settings) == (objective in DROPS_FALSE_NEGATIVES)


@pytest.mark.parametrize("objective", OPTIONS)
def test_settings_left_out_are_the_objectives_own(objective):
    views = views_of(2)
    given = {"scale": 10.0, "bias": -10.0} if objective == "sigmoid" else {}
    if objective == "triplet":
        examples = torch.arange(11).repeat(2)
        expected = objectives.batch_hard_triplet(torch.cat(views), examples)
    elif objective in ("debiased_neg", "debiased_pos"):
        expected = getattr(objectives, objective)(views)
    else:
        expected = getattr(objectives, objective)(*views, **given)
    found = PairwiseObjective(SimCLRConfig(objective=objective)).double()(views)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def numbers(objective):
    """Every numeric setting of an objective, moved from its default."""
    return {name: 0.3 for name in OPTIONS[objective] if name not in ("positives", "marginal_over")}


@pytest.mark.parametrize("objective", [name for name in OPTIONS if numbers(name)])
def test_every_setting_reaches_the_objective(objective):
    views = views_of(3)
    default = float(PairwiseObjective(SimCLRConfig(objective=objective))(views))
    for name, value in numbers(objective).items():
        changed = PairwiseObjective(SimCLRConfig(objective=objective, **{name: value}))
        assert float(changed(views)) != pytest.approx(default, rel=1e-6), name


@pytest.mark.parametrize(
    ("name", "value"), [("positives", "combination"), ("marginal_over", "negatives")]
)
def test_words_of_debiased_pos_reach_it(name, value):
    views = views_of(3)
    expected = objectives.debiased_pos(views, **{name: value})
    found = PairwiseObjective(SimCLRConfig(objective="debiased_pos", **{name: value}))(views)
    assert float(found) == float(expected) != float(objectives.debiased_pos(views))


@pytest.mark.parametrize("objective", OF_PAIRS)
def test_more_views_are_the_mean_of_all_pairs(objective):
    views, settings = views_of(4), SimCLRConfig(objective=objective)
    objective = PairwiseObjective(settings)
    with torch.no_grad():
        pairs = [float(objective(pair)) for pair in combinations(views, 2)]
        assert float(objective(views)) == pytest.approx(sum(pairs) / 6)


def test_triplets_of_more_views_take_the_farthest_of_the_examples_own():
    views = views_of(3, batch=4)
    rows = nn.functional.normalize(torch.cat(views), dim=1)
    far = torch.cdist(rows, rows).square()
    losses = []
    for i in range(12):
        own = [j for j in range(12) if j % 4 == i % 4 and j != i]
        others = [j for j in range(12) if j % 4 != i % 4]
        losses.append(max(0.0, float(far[i, own].max() - far[i, others].min()) + 0.2))
    found = PairwiseObjective(SimCLRConfig(objective="triplet", margin=0.2))(views)
    assert float(found) == pytest.approx(sum(losses) / 12)


def test_false_negatives_are_dropped_by_the_labels_of_the_batch():
    views = views_of(2)
    for drop, rescale in (("yes", False), ("rescaled", True)):
        method = row_by_row(drop_false_negatives=drop)
        expected = objectives.nt_xent(*method.embed(views), labels=LABELS, rescale=rescale)
        torch.testing.assert_close(method(views, LABELS), expected)
        assert not torch.equal(expected, objectives.nt_xent(*method.embed(views)))
    with pytest.raises(NearfarError, match="dropping false negatives needs labels"):
        method(views)


def test_sigmoid_learns_its_scale_and_bias_from_where_its_authors_began():
    method = row_by_row(objective="sigmoid")
    learnt = dict(method.objective.named_parameters())
    assert float(learnt["log_scale"].exp().detach()) == pytest.approx(10)
    assert float(learnt["bias"].detach()) == -10
    method(views_of(2)).backward()
    assert all(each.grad is not None and float(each.grad) != 0 for each in learnt.values())


def test_scalars_are_of_all_views():
    method, views = row_by_row(), views_of(3)
    with torch.no_grad():
        embedded = method.embed(views)
        method(views)
    pairs = [float(objectives.alignment(*pair)) for pair in combinations(embedded, 2)]
    spreads = [float(objectives.uniformity(view)) for view in embedded]
    assert method.scalars["alignment"] == pytest.approx(sum(pairs) / 3)
    assert method.scalars["uniformity"] == pytest.approx(sum(spreads) / 3)
    rows = nn.functional.normalize(torch.cat(embedded), dim=1)
    nearest = (rows @ rows.T - 9 * torch.eye(33)).argmax(dim=1)
    same = (nearest % 11 == torch.arange(33) % 11).double().mean()
    assert method.scalars["nearest_is_positive"] == pytest.approx(float(same))


def unchecked(**settings) -> SimCLRConfig:
    """Settings as a program without a type checker may give them."""
    config = SimCLRConfig()
    for name, value in settings.items():
        object.__setattr__(config, name, value)
    return config


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objective": "ntxent"}, "unknown method.objective 'ntxent': did you mean 'nt_xent'"),
        (
            {"objective": "vicreg", "temperature": 0.5},
            "method.temperature is 0.5: vicreg has no such setting, it belongs to nt_xent, "
            "debiased_neg, debiased_pos and decoupled: set it to None",
        ),
        (
            {"beta": 1.0},
            "method.beta is 1.0: nt_xent has no such setting, it belongs to "
            "debiased_neg: set it to None",
        ),
        (
            {"objective": "triplet", "drop_false_negatives": "yes"},
            "method.drop_false_negatives is yes: triplet has no such setting, it belongs to "
            "nt_xent, debiased_neg and debiased_pos: set it to no",
        ),
        ({"drop_false_negatives": "rescale"}, "did you mean 'rescaled'"),
        ({"objective": "debiased_pos", "positives": "group"}, "did you mean 'grouping'"),
        ({"objective": "debiased_pos", "tau_plus": 0.0}, "must be above 0 and below 1"),
        ({"objective": "debiased_neg", "tau_plus": 1.0}, "must be 0 or above, and below 1"),
        ({"objective": "debiased_neg", "beta": -0.5}, "method.beta is -0.5: it must be 0 or above"),
        ({"objective": "triplet", "margin": 0.0}, "method.margin is 0.0: it must be above 0"),
        ({"objective": "align_uniform", "t": float("inf")}, "method.t is inf: it must be above 0"),
    ],
)
def test_impossible_and_foreign_settings_are_refused_in_one_line(settings, words):
    with pytest.raises(SettingError, match=re.escape(words)) as refused:
        check_method(unchecked(**settings))
    assert "\n" not in str(refused.value)


def test_a_value_at_the_edge_is_taken():
    check_method(SimCLRConfig(objective="debiased_neg", tau_plus=0.0, beta=0.0))
    check_method(SimCLRConfig(objective="align_uniform", uniform_weight=0.0))


def test_data_without_labels_are_refused_where_false_negatives_are_to_be_dropped():
    config = SimCLRConfig(drop_false_negatives="yes")
    with pytest.raises(SettingError, match=r"drop_false_negatives is yes: it needs labels.*photos"):
        check_labels(config, labelled=False, source="photos")
    check_labels(config, labelled=True, source="photos")
    check_labels(replace(config, drop_false_negatives="no"), labelled=False, source="photos")


@every_variant
def test_parts_of_three_views_leave_the_gradients_of_the_whole_batch(settings):
    views = views_of(3)
    in_parts, whole = row_by_row(**settings), row_by_row(**settings)
    loss = cached_gradients(in_parts, views, LABELS, 4)
    expected = whole(views, LABELS)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradients(in_parts), gradients(whole), rtol=1e-9, atol=1e-10)


COUNTS = (7, 4)


def on_a_rank(rank, world):
    """Loss and gradients of each variant, of three views of this rank's own rows."""
    found = []
    for settings in VARIANTS:
        method = row_by_row(**settings)
        views = tuple(view.split(COUNTS)[rank] for view in views_of(3))
        loss = method(views, LABELS.split(COUNTS)[rank])
        loss.backward()
        found.append((loss.detach(), gradients(method), method.scalars))
    return found


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    return run_on_ranks(2, on_a_rank, tmp_path_factory.mktemp("ranks"))


@every_variant
def test_two_ranks_average_to_the_gradients_of_the_global_batch(ranks, settings):
    method = row_by_row(**settings)
    expected = method(views_of(3), LABELS)
    expected.backward()
    (loss, first, scalars), (other_loss, second, _) = (
        found[VARIANTS.index(settings)] for found in ranks
    )
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(other_loss, expected.detach(), rtol=1e-10, atol=1e-10)
    assert scalars == pytest.approx(method.scalars, abs=1e-10)
    for name, gradient in gradients(method).items():
        average = (first[name] + second[name]) / 2
        torch.testing.assert_close(average, gradient, rtol=1e-10, atol=1e-10)


def test_a_run_of_sigmoid_is_saved_with_what_it_learns(tmp_path):
    def build():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 6))
            encoder.num_features = 6
            config = SimCLRConfig(objective="sigmoid", projection_hidden=8, projection_dim=4)
            return SimCLR(config, encoder)

    state = assert_goes_on_as_if_never_stopped(tmp_path, build)
    assert float(state["method.objective.bias"]) != -10
