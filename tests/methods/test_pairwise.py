"""SimCLR over every pairwise objective: settings, views, ranks, parts, learning."""

import inspect
import re
from itertools import combinations

import pytest
import torch
from torch import nn

from nearfar import objectives
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.objective_specs import (
    AlignUniformSpec,
    DebiasedNegSpec,
    NTXentSpec,
    ObjectiveSpec,
    SigmoidSpec,
    TripletSpec,
)
from nearfar.methods.simclr import SimCLR
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.plugins import imported
from nearfar.spec import as_spec, settings_of
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import resumes_to_the_same_bits
from nearfar.training.gradient_caching import cached_gradients

OBJECTIVES = ObjectiveSpec.known()
OF_PAIRS = [name for name, each in OBJECTIVES.items() if not each.of_all_views]
DROPS_FALSE_NEGATIVES = ObjectiveSpec.owners("drop_false_negatives")
VARIANTS = [{"name": name} for name in OBJECTIVES] + [
    {"name": "debiased_pos", "positives": "combination"},
    *({"name": name, "drop_false_negatives": "yes"} for name in DROPS_FALSE_NEGATIVES),
    {"name": "nt_xent", "drop_false_negatives": "rescaled"},
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


def row_by_row(name="nt_xent", **settings) -> SimCLR:
    objective = as_spec(ObjectiveSpec, {"name": name, **settings})
    spec = SimCLRSpec(objective=objective, projection_hidden=4, projection_dim=4)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        method = SimCLR(spec, RowByRow())
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
    learnt_or_of_noise = {"labels", "rescale", "scale", "bias"}
    for objective, spec in OBJECTIVES.items():
        function = imported(spec.function)
        defaults = {
            name: each.default
            for name, each in inspect.signature(function).parameters.items()
            if each.kind is each.KEYWORD_ONLY
        }
        settings = settings_of(spec())
        assert ("rescale" in defaults) == (objective in DROPS_FALSE_NEGATIVES)
        assert settings.pop("drop_false_negatives", "no") == "no"
        assert settings == {k: v for k, v in defaults.items() if k not in learnt_or_of_noise}


@pytest.mark.parametrize("objective", OBJECTIVES)
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
    found = OBJECTIVES[objective]().build().double()(views)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def numbers(objective):
    """Every numeric setting of an objective, moved from its default."""
    settings = settings_of(OBJECTIVES[objective]())
    return {name: 0.3 for name, value in settings.items() if isinstance(value, float)}


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if numbers(name)])
def test_every_setting_reaches_the_objective(objective):
    views = views_of(3)
    default = float(OBJECTIVES[objective]().build()(views))
    for name, value in numbers(objective).items():
        changed = OBJECTIVES[objective](**{name: value}).build()
        assert float(changed(views)) != pytest.approx(default, rel=1e-6), name


@pytest.mark.parametrize(
    ("name", "value"), [("positives", "combination"), ("marginal_over", "negatives")]
)
def test_words_of_debiased_pos_reach_it(name, value):
    views = views_of(3)
    expected = objectives.debiased_pos(views, **{name: value})
    found = OBJECTIVES["debiased_pos"](**{name: value}).build()(views)
    assert float(found) == float(expected) != float(objectives.debiased_pos(views))


@pytest.mark.parametrize("objective", OF_PAIRS)
def test_more_views_are_the_mean_of_all_pairs(objective):
    views, objective = views_of(4), OBJECTIVES[objective]().build()
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
    found = TripletSpec(margin=0.2).build()(views)
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
    method = row_by_row("sigmoid")
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "ntxent"}, "unknown objective 'ntxent': did you mean 'nt_xent'"),
        (
            {"name": "vicreg", "temperature": 0.5},
            "method.objective.temperature is 0.5: vicreg has no such setting, it belongs to "
            "nt_xent, debiased_neg, debiased_pos, decoupled and contrast_align_uniform",
        ),
        (
            {"name": "nt_xent", "beta": 1.0},
            "method.objective.beta is 1.0: nt_xent has no such setting, it belongs to debiased_neg",
        ),
        (
            {"name": "triplet", "drop_false_negatives": "yes"},
            "method.objective.drop_false_negatives is 'yes': triplet has no such setting, it "
            "belongs to nt_xent, debiased_neg and debiased_pos",
        ),
        ({"name": "nt_xent", "drop_false_negatives": "rescale"}, "did you mean 'rescaled'"),
        ({"name": "debiased_pos", "positives": "group"}, "did you mean 'grouping'"),
        ({"name": "debiased_pos", "tau_plus": 0.0}, "must be above 0 and below 1"),
        ({"name": "debiased_neg", "tau_plus": 1.0}, "must be 0 or more, and below 1"),
        ({"name": "debiased_neg", "beta": -0.5}, "beta is -0.5: it must be 0 or more"),
        ({"name": "triplet", "margin": 0.0}, "method.objective.margin is 0.0: it must be above 0"),
        (
            {"name": "align_uniform", "align_weight": 0.0, "uniform_weight": 0.0},
            "method.objective.align_weight and method.objective.uniform_weight are 0: nothing is",
        ),
        (
            {
                "name": "contrast_align_uniform",
                "contrast_weight": 0.0,
                "align_weight": 0.0,
                "uniform_weight": 0.0,
            },
            "method.objective.uniform_weight are 0: nothing is left to learn from",
        ),
        ({"name": "align_uniform", "t": float("inf")}, "t is inf: it must be a finite number"),
    ],
)
def test_impossible_and_foreign_settings_are_refused_in_one_line(settings, words):
    with pytest.raises(SettingError, match=re.escape(words)) as refused:
        SimCLRSpec(objective=settings)
    assert "\n" not in str(refused.value)


def test_a_value_at_the_edge_is_taken():
    assert DebiasedNegSpec(tau_plus=0.0, beta=0.0).beta == 0
    assert AlignUniformSpec(uniform_weight=0.0).uniform_weight == 0


def test_data_without_labels_are_refused_where_false_negatives_are_to_be_dropped():
    config = SimCLRSpec(objective=NTXentSpec(drop_false_negatives="yes"))
    with pytest.raises(SettingError, match=r"drop_false_negatives is yes: it needs labels.*photos"):
        config.require_labels(False, "photos")
    config.require_labels(True, "photos")
    SimCLRSpec().require_labels(False, "photos")


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


def test_a_run_of_sigmoid_is_saved_with_what_it_learns():
    def build():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 6))
            encoder.num_features = 6
            config = SimCLRSpec(objective=SigmoidSpec(), projection_hidden=8, projection_dim=4)
            return SimCLR(config, encoder)

    state = resumes_to_the_same_bits(build)
    assert float(state["method.objective.bias"]) != -10
