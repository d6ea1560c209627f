"""BYOL: the loss, who has a gradient, how the target moves, and runs that go on."""

import math
from dataclasses import replace

import pytest
import torch
from tests.training.tiny_run import TINY
from torch import nn

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import SettingError
from nearfar.methods.byol import BYOL
from nearfar.methods.method import Method
from nearfar.methods.momentum import rising_momentum
from nearfar.methods.unlabelled_specs import BYOLSpec
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import SHORT, resumes_to_the_same_bits
from nearfar.training.averaging import StepAverage
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.ranks import Ranks

SMALL = BYOLSpec(projection_hidden=12, projection_dim=4, prediction_hidden=10, momentum=0.9)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def byol_method(config: BYOLSpec = SMALL) -> BYOL:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return BYOL(config, SmallResNetSpec(width=4).build((1, 8, 8)))


def row_by_row() -> BYOL:
    """With layer-norm in the place of batch-norm: every row depends on its own image alone."""
    method = byol_method()
    with torch.random.fork_rng():
        torch.manual_seed(6)
        method.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh())
    for network in (method.projector, method.predictor, method.target_projector):
        network[1] = nn.LayerNorm(network[1].num_features)
    method.target_encoder.load_state_dict(byol_method().target_encoder.state_dict())
    with torch.random.fork_rng():
        torch.manual_seed(7)
        method.target_encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh())
    method.target_encoder.requires_grad_(False)
    method.target_projector.requires_grad_(False)
    return method.double()


def views_of_step(step: int, batch: int = 8):
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(batch, 1, 8, 8, generator=generator)
    noise = torch.randn(2, batch, 1, 8, 8, generator=generator)
    return images + noise[0] / 2, images + noise[1] / 2


def doubled(views):
    return tuple(view.double() for view in views)


def cosine(one, other):
    return float(one @ other / (one.norm() * other.norm()))


def test_the_loss_is_the_sum_of_both_squared_distances():
    method = byol_method().double()
    views = doubled(views_of_step(0))
    predictions = [method.predictor(method.projector(method.encoder(view))) for view in views]
    targets = [method.target_projector(method.target_encoder(view)) for view in views]
    expected = 0.0
    for one, other in ((0, 1), (1, 0)):
        for prediction, target in zip(predictions[one], targets[other], strict=True):
            expected += (2 - 2 * cosine(prediction, target)) / 8
    assert float(method(views)) == pytest.approx(expected, rel=1e-12)


def test_the_networks_are_those_of_the_paper():
    method = byol_method()
    for network, widths in (
        (method.projector, (16, 12, 4)),
        (method.target_projector, (16, 12, 4)),
        (method.predictor, (4, 10, 4)),
    ):
        first, norm, activation, last = network
        assert (first.in_features, first.out_features, last.out_features) == widths
        assert isinstance(norm, nn.BatchNorm1d)
        assert isinstance(activation, nn.ReLU)
    assert not hasattr(method, "target_predictor")


def test_the_target_begins_as_the_online_network_and_has_no_gradient():
    method = byol_method()
    assert isinstance(method, Method)
    for name, value in method.target_encoder.state_dict().items():
        assert torch.equal(value, method.encoder.state_dict()[name])
    target = [*method.target_encoder.parameters(), *method.target_projector.parameters()]
    groups = TINY.optimizer.build(method).param_groups
    assert not {id(each) for group in groups for each in group["params"]} & set(map(id, target))
    assert [rows.requires_grad for rows in method.embed(views_of_step(0))] == [
        True,
        True,
        False,
        False,
    ]
    method(views_of_step(0)).backward()
    assert all(each.grad is None for each in target)
    trained = [each for each in method.parameters() if each.requires_grad]
    assert all(each.grad is not None for each in trained)


def test_the_target_follows_at_the_momentum_of_the_schedule():
    method = byol_method().double()
    for progress in (0.0, 0.25, 0.5, 1.0):
        with torch.no_grad():
            for parameter in method.parameters():
                if parameter.requires_grad:
                    parameter += 1
        before = method.target_projector[0].weight.clone()
        method.after_step(progress)
        m = 1 - (1 - 0.9) * (math.cos(math.pi * progress) + 1) / 2
        expected = m * before + (1 - m) * method.projector[0].weight
        torch.testing.assert_close(method.target_projector[0].weight, expected, **EXACT)
        if progress == 1.0:
            assert torch.equal(method.target_projector[0].weight, before)


def test_the_target_normalises_by_its_batch_and_keeps_statistics_of_its_own():
    method = byol_method()
    norm = method.target_projector[1]
    outputs = []
    norm.register_forward_hook(lambda *seen: outputs.append(seen[2].clone()))
    method(views_of_step(0))
    for normalised in outputs:
        torch.testing.assert_close(normalised.mean(0), torch.zeros(12), rtol=0, atol=1e-5)
    assert norm.num_batches_tracked == 2
    own = norm.running_mean.clone()
    method.after_step(0.0)
    assert torch.equal(norm.running_mean, own)
    method(views_of_step(1))
    assert not torch.equal(norm.running_mean, own)


def test_in_parts_the_gradient_is_that_of_the_whole_batch():
    whole, parts = row_by_row(), row_by_row()
    views = doubled(views_of_step(0, 11))
    expected = whole(views)
    expected.backward()
    found = cached_gradients(parts, views, None, 3)
    torch.testing.assert_close(found, expected.detach(), **EXACT)
    for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, **EXACT)


def steps_on_a_rank(rank: int, world: int) -> tuple:
    return steps_of(row_by_row(), lambda view: view.split((3, 5))[rank], Ranks(rank, world))


def steps_of(method: BYOL, share, ranks: Ranks) -> tuple:
    trained = [each for each in method.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    average = StepAverage(method, trained, ranks)
    losses = []
    for step in range(3):
        loss = method(tuple(share(view) for view in doubled(views_of_step(step))))
        optimizer.zero_grad()
        (loss,) = average.last_pass(loss)
        loss.backward()
        losses.append(loss.detach())
        average.finish(losses[-1])
        optimizer.step()
        method.after_step(step / 3)
    return losses, dict(method.state_dict()), method.scalars


def test_two_ranks_are_one_process_with_the_global_batch(tmp_path):
    losses, state, scalars = steps_of(row_by_row(), lambda view: view, Ranks())
    for found in run_on_ranks(2, steps_on_a_rank, tmp_path):
        torch.testing.assert_close(found[0], losses, **EXACT)
        torch.testing.assert_close(found[1], state, **EXACT)
        assert found[2] == pytest.approx(scalars, abs=1e-10)


def test_scalars_show_a_collapse():
    method = byol_method()
    assert method.scalars == {}
    method(views_of_step(0))
    assert method.scalars["target_uniformity"] < -0.5
    with torch.no_grad():
        method.predictor[3].weight.copy_(torch.ones(4, 10))
    method(views_of_step(0))
    assert method.scalars["uniformity"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("micro_batch_size", [None, 4])
def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits(micro_batch_size):
    config = replace(SHORT, micro_batch_size=micro_batch_size)
    resumes_to_the_same_bits(byol_method, config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projection_hidden": 0}, "method.projection_hidden is 0: it must be 1 to"),
        ({"prediction_hidden": -1}, "method.prediction_hidden is -1: it must be 1 to"),
        ({"momentum": -0.1}, "method.momentum is -0.1: it must be 0 to 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        byol_method(replace(SMALL, **settings))


def test_more_than_two_views_are_refused():
    views = views_of_step(0)
    with pytest.raises(SettingError, match=r"views.count is 4: BYOL compares 2 views"):
        byol_method()((*views, *views))


def test_the_momentum_of_a_run_begins_at_its_first_and_ends_one_step_before_one():
    steps = 400
    momenta = [rising_momentum(0.996, k / steps) for k in range(steps)]
    assert momenta[0] == 0.996
    assert momenta[1] == pytest.approx(0.996 + 0.004 * (math.pi / steps) ** 2 / 4, abs=1e-10)
    assert momenta[200] == pytest.approx(0.998)
    assert momenta[-1] == pytest.approx(1 - 0.004 * (math.pi / steps) ** 2 / 4, abs=1e-10)
    assert momenta[-1] < 1
