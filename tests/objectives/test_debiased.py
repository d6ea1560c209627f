"""What is special to the debiased losses: limits, clamps, and what becomes of more views."""

import math
from itertools import combinations

import pytest
import torch
from cases.objectives.debiased import slow_neg, slow_pos

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives import debiased_neg, debiased_pos, nt_xent
from nearfar.testing import views


def value_and_gradients(objective, inputs):
    held = [view.clone().requires_grad_() for view in inputs]
    value = objective(held)
    return value.item(), torch.autograd.grad(value, held)


def test_without_a_prior_debiased_neg_is_nt_xent():
    drawn = views(2)(6, 5, 0)
    value, gradients = value_and_gradients(lambda v: debiased_neg(v, tau_plus=0.0), drawn)
    expected, exact = value_and_gradients(lambda v: nt_xent(*v), drawn)
    assert value == pytest.approx(expected, rel=1e-12)
    for ours, theirs in zip(gradients, exact, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_hard_negatives_begin_at_beta_0_and_raise_the_loss():
    drawn = views(2)(6, 5, 0)
    plain = float(debiased_neg(drawn))
    assert float(debiased_neg(drawn, beta=1e-9)) == pytest.approx(plain, rel=1e-8)
    assert float(debiased_neg(drawn, beta=1.0)) > plain + 0.1


@pytest.mark.parametrize("objective", [debiased_neg, debiased_pos])
def test_equal_rows_give_the_logarithm_of_the_number_of_candidates(objective):
    rows = torch.ones(8, 4, dtype=torch.float64)
    assert float(objective((rows, rows))) == pytest.approx(math.log(15))


def test_debiased_neg_never_falls_below_the_smallest_possible_sum_of_negatives():
    # Separated views: τ⁺ N e^{1/T} takes away far more than the N that the negatives sum up to.
    rows = torch.eye(6, dtype=torch.float64)
    assert float(debiased_neg((rows, rows), temperature=0.1)) == pytest.approx(
        math.log1p(10 * math.exp(-20))
    )


def test_at_its_clamp_debiased_neg_still_pulls_positives_but_pushes_nothing():
    first = torch.eye(6, dtype=torch.float64) + 0.05
    second = torch.eye(6, dtype=torch.float64)
    second[:, 0] += 0.2

    def clamped(views):
        return debiased_neg(views, temperature=0.1)

    def only_pull(views):
        cosines = torch.cosine_similarity(views[0], views[1])
        return torch.log1p(10 * torch.exp(-10 - cosines / 0.1)).mean()

    value, gradients = value_and_gradients(clamped, (first, second))
    expected, exact = value_and_gradients(only_pull, (first, second))
    assert value == pytest.approx(expected)
    for ours, theirs in zip(gradients, exact, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-15)


def test_debiased_pos_at_its_clamp_in_a_tiny_batch():
    # The first anchor's negatives coincide with it and its positive is opposite: A is below 0.
    towards = torch.tensor([1.0, 0.0], dtype=torch.float64)
    first = torch.stack((towards, towards)) + 0.01 * torch.eye(2, dtype=torch.float64)
    second = torch.stack((-towards, towards))
    settings = {"temperature": 0.5, "tau_plus": 0.01}
    value = float(debiased_pos((first, second), **settings))
    assert value == pytest.approx(slow_pos(first, second, **settings))
    # −log( A / (A + N τ⁺ g) ) with A = τ⁺ e^{−1/T} and g nearly e^{1/T}, in one of four anchors.
    assert value > math.log1p(2 * 0.99 * math.exp(4)) / 4
    held = (first.requires_grad_(), second.requires_grad_())
    assert torch.autograd.gradcheck(lambda *v: debiased_pos(v, **settings), held)


@pytest.mark.parametrize("batch", [2, 9, 10, 11, 30])
@pytest.mark.parametrize("tau_plus", [0.01, 0.1, 0.5, 0.9])
def test_priors_and_batches_on_both_sides_of_every_clamp(batch, tau_plus):
    drawn = views(2)(batch, 3, batch)
    for temperature in (0.1, 1.0):
        settings = {"temperature": temperature, "tau_plus": tau_plus}
        neg, pos = float(debiased_neg(drawn, **settings)), float(debiased_pos(drawn, **settings))
        assert neg == pytest.approx(slow_neg(*drawn, **settings), rel=1e-9)
        assert pos == pytest.approx(slow_pos(*drawn, **settings), rel=1e-9)


def test_of_two_views_grouping_is_combination_and_of_more_it_is_not():
    two, three = views(2)(6, 5, 0), views(3)(6, 5, 0)
    grouped = float(debiased_pos(two))
    assert float(debiased_pos(two, positives="combination")) == pytest.approx(grouped)
    combined = float(debiased_pos(three, positives="combination"))
    pairs = [float(debiased_pos(pair)) for pair in combinations(three, 2)]
    assert combined == pytest.approx(sum(pairs) / 3)
    assert float(debiased_pos(three)) != pytest.approx(combined)


def test_the_pull_on_a_positive_is_small_and_grows_with_its_similarity():
    # With many negatives at right angles, h = 1 for all: A (N + 2) = v + s + τ⁺ N − 2 τ⁻.
    batch, number = 64, 126
    eye = torch.eye(2 * batch, dtype=torch.float64)

    def pull(cosine):
        angle = torch.tensor(math.acos(cosine), dtype=torch.float64, requires_grad=True)
        second = angle.cos() * eye[:batch] + angle.sin() * eye[batch:]
        loss = debiased_pos((eye[:batch], second))
        return float(torch.autograd.grad(loss, angle)[0]) / -math.sin(math.acos(cosine))

    for cosine in (-0.5, 0.5, 0.9):
        v = math.exp(cosine / 0.5)
        seen = v + math.exp(2) + 0.1 * number - 1.8
        a = seen / (number + 2)
        expected = -(0.1 * number / (a + 0.1 * number)) * (v / 0.5) / seen
        assert pull(cosine) == pytest.approx(expected, rel=1e-9)
    assert abs(pull(0.9)) > 5 * abs(pull(-0.5))


def test_what_cannot_be_computed_is_refused():
    rows = torch.ones(3, 4)
    with pytest.raises(NearfarError, match="debiased_neg needs a sequence of 2 views or more"):
        debiased_neg([rows])
    with pytest.raises(SettingError, match=r"tau_plus is 1\.0: it must be 0 or above, and below 1"):
        debiased_neg((rows, rows), tau_plus=1.0)
    with pytest.raises(SettingError, match=r"tau_plus is 0\.0: it must be above 0 and below 1"):
        debiased_pos((rows, rows), tau_plus=0.0)
    with pytest.raises(SettingError, match=r"beta is -1\.0"):
        debiased_neg((rows, rows), beta=-1.0)
    with pytest.raises(SettingError, match=r"temperature is 0\.0"):
        debiased_pos((rows, rows), temperature=0.0)
