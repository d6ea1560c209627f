"""`check_objective` passes what is right, and says which property of what is wrong fails."""

import pytest
import torch
import torch.distributed as dist
from torch.nn import functional as F

from nearfar.errors import NearfarError
from nearfar.objectives import nt_xent, vicreg
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.computing import computing_now
from nearfar.similarity.logsumexp import logsumexp
from nearfar.testing import check_objective, rows

BOTH = (0, 1)


def plain(first, second, temperature=0.5):
    """InfoNCE as anyone would write it."""
    if len(first) < 2:
        raise ValueError("a batch of two or more")
    similarities = unit_rows(first) @ unit_rows(second).T / temperature
    return F.cross_entropy(similarities, torch.arange(len(first)))


def with_noise_in_the_gradient(first, second):
    loss = plain(first, second)
    return loss + (1.1 * first.sum() - first.sum().detach()) - 0.1 * first.sum().detach()


def detached(first, second):
    return plain(first, second.detach()) + 0 * second.sum()


def first_counts_most(first, second):
    weights = torch.arange(len(first), 0, -1, dtype=first.dtype)
    return plain(first, second) + ((first - second).square().sum(dim=1) * weights).mean()


def normalised_by_torch(first, second):
    similarities = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
    return F.cross_entropy(similarities, torch.arange(len(first)))


def square_root_of_length(first, second):
    return plain(first, second) + first.square().sum(dim=1).sqrt().mean()


def divided_by_length(first, second):
    first = first / first.norm(dim=1, keepdim=True)
    return plain(first, second)


def of_deviations(first, second):
    return plain(first, second) / first.std(dim=0).mean()


def one_for_each_example(first, second):
    return (first - second).square().sum(dim=1)


def hides_nan(first, second):
    return plain(first.nan_to_num(), second)


def takes_one(first, second):
    return (unit_rows(first) - unit_rows(second)).square().mean()


def of_low_precision(first, second):
    return plain(first, second) + ((first + 300) - 300).square().mean()


def of_exponentials(first, second):
    sharp = (100 * unit_rows(first) @ unit_rows(second).T).diagonal()
    return plain(first, second) + sharp.exp().mean().log() / 100


class OnceDifferentiable(torch.autograd.Function):
    """The sum of squares, whose second derivative is forgotten."""

    @staticmethod
    def forward(ctx, rows):
        ctx.save_for_backward(rows)
        return rows.square().mean()

    @staticmethod
    def backward(ctx, gradient):
        (rows,) = ctx.saved_tensors
        return gradient * 2 * rows.detach() / rows.numel()


def without_second_derivative(first, second):
    return plain(first, second) + OnceDifferentiable.apply(first)


class Refusing(OnceDifferentiable):
    @staticmethod
    def backward(ctx, gradient):
        if torch.is_grad_enabled():
            raise NearfarError("the sum of squares has no second derivative here")
        return OnceDifferentiable.backward(ctx, gradient)


def refusing_a_second_derivative(first, second):
    return plain(first, second) + Refusing.apply(first)


def without_the_last_tile(first, second):
    sums = logsumexp(first, second, scale=1.0)
    return plain(first, second) + sums.mean() * (computing_now().implementation != "tiles")


def of_own_rows(first, second):
    """Sees that there are ranks, and takes what is its own."""
    if dist.is_initialized():
        own = slice(4 * dist.get_rank(), 4 * dist.get_rank() + 4)
        return plain(first[own], second[own])
    return plain(first, second)


def slow_by_twice(first, second):
    return 2 * plain(first, second).item()


def test_right_ones_pass():
    check_objective(plain, scaled=BOTH, rotated=BOTH, ranks=False)
    check_objective(vicreg, ranks=False)
    check_objective(refusing_a_second_derivative, ranks=False)


def test_on_two_ranks_too():
    check_objective(nt_xent, scaled=BOTH, rotated=BOTH, linear_memory=True)


def test_settings_and_inputs_are_as_said():
    def spread(embeddings, *, weight):
        if len(embeddings) < 2:
            raise NearfarError("a batch of 2 or more")
        return weight * embeddings.double().var(dim=0).mean().to(embeddings.dtype)

    check_objective(spread, inputs=rows, settings={"weight": 2.0}, ranks=False)


@pytest.mark.parametrize(
    ("objective", "described", "words"),
    [
        (one_for_each_example, {}, r"one number: its shape is \(7,\)"),
        (plain, {"slow": slow_by_twice}, r"it must be its equation: .*not close.*Expected"),
        (
            with_noise_in_the_gradient,
            {},
            r"slope of its value: input 0, entry \[\d, \d\]: gradient .*, slope ",
        ),
        (detached, {}, r"slope of its value: input 1, entry "),
        (
            without_second_derivative,
            {},
            "second derivatives must be right or refused: .*numerical:.*analytical:",
        ),
        (first_counts_most, {}, "order of the examples must not matter: .*Absolute difference"),
        (square_root_of_length, {}, "row of zeros in float64 .* gradient of input 0 holds nan"),
        (normalised_by_torch, {"scaled": BOTH}, r"row of zeros .* gradient of the row is \[.*\d\."),
        (divided_by_length, {}, "row of zeros in float64 .* the value is nan"),
        (of_deviations, {}, "equal rows in float64 .* the value is inf"),
        (vicreg, {"scaled": BOTH}, "length of a row must not matter: .*Expected"),
        (hides_nan, {}, "not finite must show in the value: nan in input 0 gives"),
        (takes_one, {}, "a smaller one be refused: a batch of 1 gives"),
        (takes_one, {"smallest_batch": 3}, "a smaller one be refused: a batch of 2 gives"),
        (of_exponentials, {}, "in float32 must leave value and gradient finite: the value is inf"),
        (of_low_precision, {}, "bfloat16 must come near to float64: the gradient .* is off by"),
        (without_the_last_tile, {}, "tiles must give what the whole matrix gives: .*not close"),
        (plain, {"linear_memory": True}, "square of the batch: .*4000000 numbers"),
    ],
)
def test_a_wrong_one_is_caught_by_its_name_in_words(objective, described, words):
    with pytest.raises(AssertionError, match=f"(?s)^{objective.__name__}: .*{words}"):
        check_objective(objective, ranks=False, **described)


def test_a_wrong_one_is_caught_on_ranks():
    with pytest.raises(AssertionError, match=r"(?s)of_own_rows: two ranks must .*not close"):
        check_objective(of_own_rows)


def test_one_that_fails_is_told_with_its_error():
    def broken(first, second):
        raise RuntimeError("no such thing")

    with pytest.raises(AssertionError, match="broken: it must give one number: RuntimeError: no"):
        check_objective(broken)


def test_ranks_need_an_objective_that_can_be_imported():
    with pytest.raises(AssertionError, match=r"<lambda>: two ranks must .*[Pp]ickle"):
        check_objective(lambda first, second: plain(first, second))
