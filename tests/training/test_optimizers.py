import pytest
import torch
from torch import nn

from nearfar.spec import as_spec
from nearfar.training.optimizers import LARS
from nearfar.training.specs import AdamWSpec, OptimizerSpec


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4), nn.LayerNorm(4)
    )


def lars_reference(weights, gradients, *, rates, momentum, decay, trust, adapted):
    """SimCLR's published LARS in float64, one number at a time."""
    weight, velocity = list(weights), [0.0] * len(weights)
    for rate, gradient in zip(rates, gradients, strict=True):
        direction = [g + decay * w for g, w in zip(gradient, weight, strict=True)]
        size = sum(w * w for w in weight) ** 0.5
        slope = sum(d * d for d in direction) ** 0.5
        ratio = trust * size / slope if adapted and size > 0 and slope > 0 else 1.0
        for i, d in enumerate(direction):
            velocity[i] = momentum * velocity[i] + rate * ratio * d
            weight[i] -= velocity[i]
    return weight


@pytest.mark.parametrize("adapted", [True, False])
def test_lars_follows_the_reference(adapted):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(6, generator=generator, dtype=torch.float64)
    gradients = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    rates = [0.1, 0.4, 0.4, 0.2, 0.05]
    shape = (2, 3) if adapted else (6,)
    weight = nn.Parameter(start.reshape(shape).clone())
    optimizer = LARS([weight], lr=1.0, momentum=0.9, weight_decay=0.3, trust_coefficient=0.02)
    for rate, gradient in zip(rates, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = gradient.reshape(shape).clone()
        optimizer.step()
    expected = lars_reference(
        start.tolist(),
        gradients.tolist(),
        rates=rates,
        momentum=0.9,
        decay=0.3,
        trust=0.02,
        adapted=adapted,
    )
    torch.testing.assert_close(
        weight.detach().flatten(), torch.tensor(expected, dtype=torch.float64)
    )


def test_lars_steps_do_not_depend_on_the_scale_of_the_gradient():
    ends = []
    for scale in (1.0, 1000.0):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(3, 4))
        weight.grad = scale * torch.ones(3, 4)
        LARS([weight], lr=1.0).step()
        ends.append(weight.detach())
    torch.testing.assert_close(*ends)


@pytest.mark.parametrize("zero", ["weight", "gradient"])
def test_lars_takes_a_plain_step_where_a_norm_is_zero(zero):
    weight = nn.Parameter(torch.zeros(2, 2) if zero == "weight" else torch.ones(2, 2))
    weight.grad = torch.zeros(2, 2) if zero == "gradient" else torch.ones(2, 2)
    before = weight.detach().clone()
    LARS([weight], lr=0.5).step()
    torch.testing.assert_close(weight.detach(), before - 0.5 * weight.grad)


def test_lars_evaluates_a_closure():
    weight = nn.Parameter(torch.ones(2, 2))

    def closure() -> float:
        loss = (weight**2).sum()
        weight.grad = None
        loss.backward()
        return loss.item()

    assert LARS([weight], lr=1.0).step(closure) == 4.0
    assert (weight < 1).all()


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_norms_and_biases_are_not_decayed(name):
    module = network()
    spec = as_spec(OptimizerSpec, {"name": name, "weight_decay": 0.5, "learning_rate": 0.1})
    before = {key: value.detach().clone() for key, value in module.named_parameters()}
    optimizer = spec.build(module)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    changed = {
        key for key, value in module.named_parameters() if not torch.equal(value, before[key])
    }
    assert changed == {"0.weight", "3.weight"}


def test_every_trained_parameter_is_optimised_once_and_frozen_ones_are_not():
    module = network()
    module[0].weight.requires_grad_(False)
    optimizer = AdamWSpec().build(module)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters() if p.requires_grad)
    assert id(module[0].weight) not in held


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_each_optimiser_learns(name):
    torch.manual_seed(0)
    module, inputs = network(), torch.randn(16, 2, 4, 4)
    rate = {"adamw": 0.01, "sgd": 0.05, "lars": 0.5}[name]
    optimizer = as_spec(OptimizerSpec, {"name": name, "learning_rate": rate}).build(module)
    losses = []
    for _ in range(30):
        loss = (module(inputs) - inputs.mean((1, 2, 3))[:, None]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
