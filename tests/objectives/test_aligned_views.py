"""Gradients in float32 stay right once pairs align, where lse − s⁺ would cancel."""

import pytest
from aligned import aligned_views, gradient_error

from nearfar.objectives import debiased_neg, debiased_pos, decoupled, info_nce, nt_xent, sigmoid

# Measured with 256 pairs: 2e-7 to 2e-6 at T = 0.05 and 0.5, up to 1e-5 at T = 0.01.
WORST = {0.5: 3e-6, 0.05: 5e-6, 0.01: 3e-5}


@pytest.mark.parametrize("temperature", WORST)
@pytest.mark.parametrize("objective", [nt_xent, info_nce, decoupled])
def test_float32_keeps_its_precision(objective, temperature):
    def loss(first, second):
        return objective(first, second, temperature=temperature)

    assert gradient_error(loss, *aligned_views(128, 32, 0.9)) < WORST[temperature]


@pytest.mark.parametrize("temperature", WORST)
def test_float32_keeps_its_precision_in_both_directions(temperature):
    def loss(first, second):
        return info_nce(first, second, temperature=temperature, symmetric=True)

    assert gradient_error(loss, *aligned_views(128, 32, 0.9)) < WORST[temperature]


@pytest.mark.parametrize("temperature", WORST)
def test_float32_keeps_its_precision_in_the_sigmoid_loss(temperature):
    def loss(first, second):
        return sigmoid(first, second, scale=1 / temperature, bias=-10.0)

    assert gradient_error(loss, *aligned_views(128, 32, 0.9)) < WORST[temperature]


@pytest.mark.parametrize("temperature", WORST)
def test_float32_keeps_its_precision_in_the_debiased_losses(temperature):
    views = aligned_views(128, 32, 0.9)

    def positives(*views):
        return debiased_pos(views, temperature=temperature)

    def negatives(*views):
        return debiased_neg(views, temperature=temperature)

    assert gradient_error(positives, *views) < WORST[temperature]
    if temperature > 0.01:  # there the loss is 1e-80, below all of float32
        assert gradient_error(negatives, *views) < WORST[temperature]


def test_float32_keeps_its_precision_where_debiasing_cancels():
    # This prior puts half of the anchors at the clamp, and takes from others up to 0.995 of S.
    def loss(*views):
        return debiased_neg(views, temperature=0.2, tau_plus=0.0166)

    assert gradient_error(loss, *aligned_views(128, 32, 0.9)) < 3e-6
