"""Draws of one's own: the bits that seeding would give, and nobody else's generator touched."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn import init

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.training.generators import OwnDraws, drawn_state, restore_drawn

CPU = torch.device("cpu")
ROWS = torch.linspace(0, 1, 60).view(4, 15)
QUERIES = ROWS.view(1, 4, 15)

DRAWS = {
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(3, 2),
    "randint": lambda: torch.randint(1000, (5,)),
    "randperm": lambda: torch.randperm(20),
    "normal": lambda: torch.normal(torch.zeros(4), torch.ones(4)),
    "bernoulli": lambda: torch.bernoulli(ROWS),
    "bernoulli of a tensor": lambda: ROWS.bernoulli(),
    "multinomial": lambda: torch.multinomial(ROWS + 0.1, 3),
    "multinomial of a tensor": lambda: (ROWS + 0.1).multinomial(3),
    "poisson": lambda: torch.poisson(ROWS * 9),
    "binomial": lambda: torch.binomial(torch.full((9,), 9.0), torch.full((9,), 0.5)),
    "uniform_": lambda: torch.empty(4).uniform_(-1, 2),
    "normal_": lambda: torch.empty(4).normal_(),
    "bernoulli_": lambda: torch.empty(40).bernoulli_(0.3),
    "exponential_": lambda: torch.empty(4).exponential_(),
    "random_": lambda: torch.empty(4).random_(100),
    "cauchy_": lambda: torch.empty(4).cauchy_(),
    "log_normal_": lambda: torch.empty(4).log_normal_(),
    "geometric_": lambda: torch.empty(4).geometric_(0.2),
    "rand_like": lambda: torch.rand_like(ROWS),
    "randn_like": lambda: torch.randn_like(ROWS),
    "randint_like": lambda: torch.randint_like(ROWS, 1000),
    "dropout": lambda: F.dropout(ROWS, 0.4),
    "dropout2d": lambda: F.dropout2d(ROWS.view(4, 15, 1, 1)),
    "alpha_dropout": lambda: F.alpha_dropout(ROWS, 0.4, training=True),
    "rrelu": lambda: F.rrelu(-ROWS, training=True),
    "gumbel": lambda: F.gumbel_softmax(ROWS),
    "attention": lambda: F.scaled_dot_product_attention(QUERIES, QUERIES, QUERIES, dropout_p=0.5),
    "attention module": lambda: nn.MultiheadAttention(15, 3, dropout=0.5)(
        QUERIES, QUERIES, QUERIES
    )[0],
    "gru": lambda: nn.GRU(15, 4, num_layers=2, dropout=0.5)(QUERIES)[0],
    "uniform weights": lambda: init.uniform_(torch.empty(3)),
    "kaiming weights": lambda: init.kaiming_normal_(torch.empty(3, 4)),
    "orthogonal weights": lambda: init.orthogonal_(torch.empty(3, 4)),
    "truncated weights": lambda: init.trunc_normal_(torch.empty(3, 4)),
    "linear": lambda: nn.Linear(3, 4).weight,
    "convolution": lambda: nn.Conv2d(3, 4, 3).weight,
    "embedding": lambda: nn.Embedding(3, 4).weight,
    "backbone": lambda: SmallResNetSpec(width=4).build((1, 8, 8)).state_dict()["stem.0.weight"],
}


@pytest.mark.parametrize("name", DRAWS)
def test_what_is_drawn_is_what_seeding_would_give_and_the_global_generator_stays(name):
    torch.manual_seed(5)
    expected = [DRAWS[name]() for _ in range(2)]
    torch.manual_seed(6)
    before = torch.get_rng_state()
    with OwnDraws(5):
        found = [DRAWS[name]() for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(found[0], found[1])


def test_a_generator_that_is_given_is_the_one_drawn_from():
    expected = torch.randn(3, generator=torch.Generator().manual_seed(9))
    with OwnDraws(5):
        state = drawn_state(CPU)
        assert torch.equal(torch.randn(3, generator=torch.Generator().manual_seed(9)), expected)
        assert torch.equal(drawn_state(CPU)["cpu"], state["cpu"])


def test_tensors_without_memory_draw_nothing():
    with OwnDraws(1), torch.device("meta"):
        before = drawn_state(CPU)["cpu"]
        assert nn.Linear(3, 4).weight.is_meta
        assert torch.equal(drawn_state(CPU)["cpu"], before)


def test_the_inner_of_two_is_drawn_from():
    with OwnDraws(1):
        torch.rand(1), F.dropout(ROWS)
        state = drawn_state(CPU)["cpu"]
        with OwnDraws(2):
            inner = torch.rand(3), F.dropout(ROWS)
        assert torch.equal(drawn_state(CPU)["cpu"], state)
    with OwnDraws(2):
        alone = torch.rand(3), F.dropout(ROWS)
    assert all(torch.equal(a, b) for a, b in zip(inner, alone, strict=True))


@pytest.mark.parametrize("own", [True, False])
def test_a_state_can_be_drawn_from_again(own):
    mode = OwnDraws(1)
    if own:
        mode.__enter__()
    state = drawn_state(CPU)
    first = torch.rand(3), F.dropout(ROWS)
    restore_drawn(state, CPU)
    again = torch.rand(3), F.dropout(ROWS)
    if own:
        mode.__exit__(None, None, None)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_threads_that_draw_at_once_do_not_disturb_each_other():
    def drawn(seed):
        with OwnDraws(seed):
            return torch.cat([F.dropout(torch.rand(500)) for _ in range(50)])

    expected = [drawn(seed) for seed in range(8)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(drawn, range(8)))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_thread_that_entered_none_draws_from_torch():
    drawn = []
    with OwnDraws(1):
        torch.manual_seed(3)
        thread = threading.Thread(target=lambda: drawn.append(torch.rand(3)))
        thread.start()
        thread.join()
    torch.manual_seed(3)
    assert torch.equal(drawn[0], torch.rand(3))
