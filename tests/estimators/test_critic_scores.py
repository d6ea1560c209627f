"""Both ways of holding scores: the same sums, the same gradients, and what is refused."""

import math

import pytest
import torch

from nearfar.errors import NearfarError
from nearfar.estimators.info_nce import leave_one_out_logsumexp
from nearfar.estimators.scores import (
    ScoreMatrix,
    Scores,
    SeparableScores,
    log_mean_exp_of_unpaired,
    without_own,
)
from nearfar.testing.objectives import LargestTensor


def rows(n=7, dim=3):
    return torch.randn(n, dim, dtype=torch.float64), torch.randn(n, dim, dtype=torch.float64)


def weighed_row(scores, places):
    """A statistic that takes each score, and each row's own apart, into account."""
    return (scores.tanh() * torch.arange(scores.shape[1])).sum(1) + without_own(
        scores, places, 0.5
    ).square().sum(1)


SUMS = {
    "paired": lambda scores: scores.paired,
    "unpaired_logsumexp": lambda scores: scores.unpaired_logsumexp(),
    "unpaired_logsumexp_of_keys": lambda scores: scores.unpaired_logsumexp_of_keys(),
    "unpaired_softplus": lambda scores: scores.unpaired_softplus(),
    "by_row": lambda scores: scores.by_row(weighed_row),
    "swapped": lambda scores: scores.swapped().by_row(weighed_row),
}
LOOPS = {
    "paired": lambda f, i: f[i][i],
    "unpaired_logsumexp": lambda f, i: math.log(
        sum(math.exp(f[i][j]) for j in range(len(f)) if j != i)
    ),
    "unpaired_logsumexp_of_keys": lambda f, j: math.log(
        sum(math.exp(f[i][j]) for i in range(len(f)) if i != j)
    ),
    "unpaired_softplus": lambda f, i: sum(
        math.log(1 + math.exp(f[i][j])) for j in range(len(f)) if j != i
    ),
    "by_row": lambda f, i: sum(
        j * math.tanh(f[i][j]) + (0.5 if j == i else f[i][j]) ** 2 for j in range(len(f))
    ),
    "swapped": lambda f, j: sum(
        i * math.tanh(f[i][j]) + (0.5 if j == i else f[i][j]) ** 2 for i in range(len(f))
    ),
}
each_sum = pytest.mark.parametrize("name", SUMS)


@each_sum
def test_both_give_what_the_loop_gives(name):
    queries, keys = rows()
    matrix = queries @ keys.T
    expected = [LOOPS[name](matrix.tolist(), i) for i in range(7)]
    for scores in (SeparableScores(queries, keys), ScoreMatrix(matrix)):
        assert isinstance(scores, Scores)
        assert len(scores) == 7
        assert SUMS[name](scores).tolist() == pytest.approx(expected, rel=1e-12)


@each_sum
def test_gradients_are_those_of_finite_differences(name):
    queries, keys = (tensor.requires_grad_() for tensor in rows(5, 2))
    assert torch.autograd.gradcheck(lambda q, k: SUMS[name](SeparableScores(q, k)), (queries, keys))
    assert torch.autograd.gradcheck(lambda q, k: SUMS[name](ScoreMatrix(q @ k.T)), (queries, keys))


@each_sum
def test_half_precision_is_computed_in_full(name):
    queries, keys = (tensor.bfloat16() for tensor in rows())
    found = SUMS[name](SeparableScores(queries, keys))
    expected = SUMS[name](SeparableScores(queries.double(), keys.double()))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = SUMS[name](SeparableScores(queries.float(), keys.float()))
    torch.testing.assert_close(under_autocast, found)
    matrix = rows()[0] @ rows()[1].T
    of_matrix = SUMS[name](ScoreMatrix(matrix.bfloat16()))
    expected = SUMS[name](ScoreMatrix(matrix.bfloat16().double()))
    assert of_matrix.dtype == torch.float32
    torch.testing.assert_close(of_matrix.double(), expected, rtol=1e-5, atol=1e-5)


@each_sum
def test_separable_scores_are_never_all_held(name):
    queries, keys = (torch.randn(3000, 2, requires_grad=True) for _ in range(2))
    with LargestTensor() as largest:
        SUMS[name](SeparableScores(queries, keys)).sum().backward()
    assert 0 < largest.elements <= 3000**2 / 8


def test_scores_far_apart_do_not_overflow():
    queries = (100 * torch.eye(4)).requires_grad_()
    scores = SeparableScores(queries, 100 * torch.eye(4).roll(1, dims=0))
    assert scores.unpaired_logsumexp().tolist() == [10_000] * 4
    assert scores.unpaired_softplus().tolist() == pytest.approx([10_000 + 2 * math.log(2)] * 4)
    assert log_mean_exp_of_unpaired(scores).item() == pytest.approx(10_000 - math.log(3))
    log_mean_exp_of_unpaired(scores).backward()
    assert torch.isfinite(queries.grad).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_shows_in_every_sum(bad):
    queries, keys = rows()
    queries[2, 0] = bad
    for name, value in SUMS.items():
        assert value(SeparableScores(queries, keys)).isnan().any(), name


def test_plus_infinity_in_a_matrix_shows_and_minus_infinity_is_a_score():
    matrix = torch.zeros(3, 3, dtype=torch.float64)
    matrix[0, 1] = math.inf
    assert ScoreMatrix(matrix).unpaired_logsumexp()[0].isnan()
    assert ScoreMatrix(matrix).unpaired_softplus()[0].isnan()
    matrix[0, 1] = -math.inf
    matrix.requires_grad_()
    scores = ScoreMatrix(matrix)
    assert scores.unpaired_logsumexp().tolist() == [0, math.log(2), math.log(2)]
    assert scores.unpaired_softplus()[0].item() == pytest.approx(math.log(2))
    (scores.unpaired_logsumexp().sum() + scores.unpaired_softplus().sum()).backward()
    assert torch.isfinite(matrix.grad).all()


def test_each_score_left_out_in_turn_even_the_one_that_outweighs_all():
    scores = torch.randn(4, 6, dtype=torch.float64)
    scores[0, 2], scores[1], scores[2, :2] = 900.0, 3.0, 40.0
    scores.requires_grad_()
    found = leave_one_out_logsumexp(scores)
    for i, row in enumerate(scores.detach()):
        for j in range(6):
            others = torch.cat((row[:j], row[j + 1 :]))
            assert found[i, j].item() == pytest.approx(others.logsumexp(0).item(), rel=1e-12)
    assert torch.autograd.gradcheck(leave_one_out_logsumexp, scores)


def test_what_is_no_scores_is_refused():
    with pytest.raises(NearfarError, match=r"must be \(n, n\).*and are \(2, 3\)"):
        ScoreMatrix(torch.zeros(2, 3))
    with pytest.raises(NearfarError, match="needs a batch of 2 or more, not 1"):
        ScoreMatrix(torch.zeros(1, 1))
    with pytest.raises(NearfarError, match=r"\(3, 2\) and \(4, 2\)"):
        SeparableScores(torch.zeros(3, 2), torch.zeros(4, 2))
    with pytest.raises(NearfarError, match="needs a batch of 2 or more, not 1"):
        SeparableScores(torch.zeros(1, 4), torch.zeros(1, 4))
