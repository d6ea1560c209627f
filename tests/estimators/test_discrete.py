"""Tables of probabilities: against loops, against scipy and scikit-learn, and what is refused."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from nearfar.errors import NearfarError
from nearfar.estimators.discrete import (
    discrete_entropy,
    discrete_information,
    discrete_kl,
    label_entropy,
)


def counts_of(rows, columns):
    """Tables of counts with at least one example."""
    row = st.lists(st.integers(0, 9), min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows).filter(lambda table: sum(map(sum, table)))


def table_of(counts):
    counts = torch.tensor(counts, dtype=torch.float64)
    return counts / counts.sum()


@given(counts=counts_of(3, 4))
def test_entropy_is_that_of_scipy(counts):
    table = table_of(counts)
    expected = float(entropy(table.flatten().numpy()))
    assert discrete_entropy(table).item() == pytest.approx(expected, abs=1e-12)


@given(counts=counts_of(3, 4))
def test_information_is_the_loop_and_that_of_the_counted_examples(counts):
    table = table_of(counts)
    p = table.tolist()
    loop = sum(
        p[i][j] * math.log(p[i][j] / (sum(p[i]) * sum(row[j] for row in p)))
        for i in range(3)
        for j in range(4)
        if p[i][j]
    )
    found = discrete_information(table).item()
    assert found == pytest.approx(loop, abs=1e-12)
    pairs = [(i, j) for i in range(3) for j in range(4) for _ in range(counts[i][j])]
    x, y = zip(*pairs, strict=True)
    assert found == pytest.approx(mutual_info_score(x, y), abs=1e-12)
    entropies = label_entropy(torch.tensor(x)) + label_entropy(torch.tensor(y))
    assert found == pytest.approx((entropies - discrete_entropy(table)).item(), abs=1e-12)


def test_divergence_is_the_loop_and_infinite_where_q_cannot_be():
    p = torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64)
    q = torch.tensor([0.125, 0.5, 0.25, 0.125], dtype=torch.float64)
    expected = 0.5 * math.log(4) + 0.25 * math.log(0.5)
    assert discrete_kl(p, q).item() == pytest.approx(expected)
    assert discrete_kl(q, p).item() == math.inf
    assert discrete_kl(p, p).item() == 0


def test_labels_may_be_any_whole_numbers():
    assert label_entropy(torch.tensor([-5, 900, -5, 7])).item() == pytest.approx(1.5 * math.log(2))
    assert label_entropy(torch.full((9,), 3)).item() == 0


def test_half_precision_is_computed_in_full():
    table = torch.tensor([[0.25, 0.25], [0.5, 0.0]]).bfloat16()
    assert discrete_information(table).dtype == torch.float32
    expected = discrete_information(table.double()).item()
    assert discrete_information(table).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ([0.5, 0.6], r"the sum 1\.1"),
        ([-0.5, 1.5], r"the least is -0\.5"),
        ([math.nan, 1.0], "the sum nan"),
        ([1.0, math.inf], "the sum inf"),
    ],
)
def test_what_are_no_probabilities_is_refused(table, told):
    bad, good = torch.tensor(table), torch.tensor([0.5, 0.5])
    for call in (
        lambda: discrete_entropy(bad),
        lambda: discrete_kl(good, bad),
        lambda: discrete_kl(bad, good),
        lambda: discrete_information(bad[:, None]),
    ):
        with pytest.raises(NearfarError, match=told):
            call()
    with pytest.raises(NearfarError, match="needs one or more, not 0"):
        label_entropy(torch.zeros(0, dtype=torch.int64))
