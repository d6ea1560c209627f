"""What follows a network: its parameters move as the equation says, its buffers as they must."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from nearfar.methods.momentum import follow, frozen_copy, rising_momentum


class Counting(nn.Linear):
    """A layer with a buffer of floats and one of whole numbers that nothing but training moves."""

    def __init__(self):
        super().__init__(3, 3)
        self.register_buffer("level", torch.zeros(2))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))


def network() -> nn.Sequential:
    return nn.Sequential(Counting(), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2, bias=False))


def moved(leader: nn.Module) -> None:
    """Training, as far as a follower can see."""
    with torch.no_grad():
        for parameter in leader.parameters():
            parameter += torch.randn_like(parameter)
    leader[0].level += torch.randn(2)
    leader[0].calls += 3
    leader(torch.randn(7, 3, dtype=leader[0].weight.dtype))


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def test_a_copy_has_the_same_weights_of_its_own_and_takes_no_gradient():
    leader = network()
    drawn = torch.get_rng_state()
    follower = frozen_copy(leader)
    assert torch.equal(drawn, torch.get_rng_state())
    assert not any(parameter.requires_grad for parameter in follower.parameters())
    assert all(parameter.requires_grad for parameter in leader.parameters())
    moved(leader)
    assert not torch.equal(follower[0].weight, leader[0].weight)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.99, 1.0])
def test_parameters_and_float_buffers_follow_the_equation(momentum):
    leader = network().double()
    follower = frozen_copy(leader)
    moved(leader)
    before, led = state(follower), state(leader)
    follow(follower, leader, momentum)
    for name, value in follower.state_dict().items():
        if name.startswith("1.") and "weight" not in name and "bias" not in name:
            continue
        if name == "0.calls":
            assert value == led[name] == 3
            continue
        expected = momentum * before[name] + (1 - momentum) * led[name]
        torch.testing.assert_close(value, expected, rtol=1e-14, atol=1e-14)
        if momentum in (0.0, 1.0):
            assert torch.equal(value, before[name] if momentum else led[name])


def test_batch_norm_in_training_keeps_the_statistics_of_its_own_activations():
    leader = network()
    follower = frozen_copy(leader)
    moved(leader)
    follower(torch.randn(7, 3))
    own = state(follower[1])
    follow(follower, leader, 0.5)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(follower[1].state_dict()[name], own[name])
    assert not torch.equal(follower[1].running_mean, leader[1].running_mean)


def test_its_statistics_describe_its_activations_and_not_the_leaders():
    leader = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=0.05)).double()
    follower = frozen_copy(leader)
    with torch.no_grad():
        leader[0].weight *= 5
        leader[0].bias += 2
    inputs = torch.randn(4000, 4).double()
    for batch in inputs.split(40):
        leader(batch)
        follower(batch)
        follow(follower, leader, 0.9999)
    activations = follower[0](inputs)
    torch.testing.assert_close(follower[1].running_mean, activations.mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(follower[1].running_var, activations.var(0), rtol=0.15, atol=0)


def test_batch_norm_that_is_not_in_training_follows():
    leader = network()
    follower = frozen_copy(leader).eval()
    moved(leader)
    follow(follower, leader, 0.0)
    for name, value in follower.state_dict().items():
        assert torch.equal(value, leader.state_dict()[name]), name


def test_parametrised_layers_can_be_followed():
    leader = nn.Sequential(spectral_norm(nn.Linear(3, 2)))
    follower = frozen_copy(leader)
    with torch.no_grad():
        leader[0].parametrizations.weight.original += 1
    follow(follower, leader, 0.0)
    torch.testing.assert_close(follower.eval()(torch.eye(3)), leader.eval()(torch.eye(3)))


def test_under_autocast_the_average_is_taken_in_full_precision():
    leader = nn.Linear(50, 50)
    follower = frozen_copy(leader)
    with torch.no_grad():
        leader.weight += 1
    before = follower.weight.double()
    with torch.autocast("cpu", torch.bfloat16):
        follow(follower, leader, 0.999)
    torch.testing.assert_close(
        follower.weight.double() - before, torch.full((50, 50), 1e-3).double(), rtol=1e-3, atol=1e-7
    )


def test_momentum_rises_from_its_base_to_one_along_a_cosine():
    assert rising_momentum(0.996, 0.0) == pytest.approx(0.996, abs=1e-15)
    assert rising_momentum(0.996, 1.0) == 1.0
    assert rising_momentum(0.9, 0.5) == pytest.approx(0.95)
    for k in range(11):
        expected = 1 - (1 - 0.99) * (math.cos(math.pi * k / 10) + 1) / 2
        assert rising_momentum(0.99, k / 10) == pytest.approx(expected, abs=1e-15)
