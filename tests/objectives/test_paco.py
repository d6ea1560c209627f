"""PaCo: the probabilities at its optimum, and what the table of cases does not show."""

import pytest
import torch
from cases.objectives.paco import queued, slow_paco
from torch.nn import functional as F

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives import balanced_softmax, paco

ALPHA, TEMPERATURE = 0.3, 0.1


def probabilities(queries, keys, centre_logits):
    """Of each candidate of each query (queries, keys, centres), from the embeddings."""
    rows = F.normalize(queries, dim=1)
    samples = torch.cat((rows, F.normalize(keys, dim=1)))
    similarities = rows @ samples.T / TEMPERATURE
    similarities[:, : len(rows)].fill_diagonal_(-torch.inf)
    return torch.cat((similarities, centre_logits), dim=1).softmax(dim=1)


@pytest.mark.parametrize("normalisation", ["sum", "mean"])
def test_the_optimum_gives_pairs_and_centre_the_probabilities_of_the_paper(normalisation):
    labels = torch.arange(4) % 2
    queries, keys = torch.randn(2, 4, 3, dtype=torch.float64).unbind()
    centre_logits = torch.randn(4, 2, dtype=torch.float64)
    free = [tensor.requires_grad_() for tensor in (queries, keys, centre_logits)]
    optimiser = torch.optim.LBFGS(
        free,
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = paco(
            *(queries, keys, labels, centre_logits),
            alpha=ALPHA,
            temperature=TEMPERATURE,
            normalisation=normalisation,
        )
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        found = probabilities(*free)
    positives = 3  # of four samples of a class, without the query itself
    pair, centre = ALPHA / (1 + ALPHA * positives), 1 / (1 + ALPHA * positives)
    own = labels[:, None] == labels.repeat(2)
    own[:, :4].fill_diagonal_(False)
    torch.testing.assert_close(
        found[:, :8][own], torch.full((12,), pair, dtype=torch.float64), rtol=1e-3, atol=0
    )
    torch.testing.assert_close(
        found[:, 8:].gather(1, labels[:, None]),
        torch.full((4, 1), centre, dtype=torch.float64),
        rtol=1e-3,
        atol=0,
    )


def test_without_queue_and_counts_it_is_the_loop_with_none_and_even_ones():
    queries, keys, labels, centre_logits, *_ = queued(5, 3, 0)
    none, no_labels = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    value = paco(queries, keys, labels, centre_logits, alpha=0.2, temperature=0.5)
    # Equal shares are 1 only in sum: a centre logit raised by log C takes that back.
    even = torch.ones(4, dtype=torch.int64)
    raised = centre_logits + torch.tensor(4.0).log()
    expected = slow_paco(
        queries, keys, labels, raised, none.reshape(0, 3), no_labels, even, 0.2, 0.5, "mean"
    )
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_keys_and_queue_that_are_detached_get_no_gradient():
    queries, keys, labels, centre_logits, queue, queue_labels, counts = queued(5, 3, 0)
    queries.requires_grad_()
    centre_logits.requires_grad_()
    paco(
        *(queries, keys, labels, centre_logits),
        queue=queue,
        queue_labels=queue_labels,
        class_counts=counts,
    ).backward()
    assert queries.grad.norm() > 0
    assert centre_logits.grad.norm() > 0
    assert (centre_logits.grad[:, counts == 0] == 0).all()


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8])
def test_labels_of_any_whole_type_are_the_same(kind):
    queries, keys, labels, centre_logits, queue, queue_labels, _ = queued(5, 3, 0)
    expected = paco(
        queries, keys, labels, centre_logits, queue=queue, queue_labels=queue_labels
    ).item()
    value = paco(
        *(queries, keys, labels.to(kind), centre_logits),
        queue=queue,
        queue_labels=queue_labels.to(kind),
    )
    assert value.item() == expected


def test_what_does_not_fit_is_refused():
    queries, keys, labels, centre_logits, queue, queue_labels, counts = queued(5, 3, 1)
    given = (queries, keys, labels, centre_logits)
    with pytest.raises(NearfarError, match="queue and its labels together"):
        paco(*given, queue=queue)
    with pytest.raises(NearfarError, match="queue_labels hold 9: there are only 4 classes"):
        paco(*given, queue=queue, queue_labels=queue_labels * 0 + 9)
    with pytest.raises(NearfarError, match=f"class {labels[0]} has no example"):
        paco(*given, class_counts=counts.index_fill(0, labels[:1], 0))
    with pytest.raises(SettingError, match="alpha is 0"):
        paco(*given, alpha=0.0)


def test_with_next_to_no_alpha_it_is_balanced_softmax_among_samples_that_only_repel():
    """In the limit: `log(Σ_j e^{s_ij} + Σ_c q(c) e^{c_ic}) − log q(y) e^{c_iy}`."""
    generator = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64).unbind()
    logits = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    labels, counts = torch.arange(6) % 3, torch.tensor([50, 9, 4])
    among = counts.double() / counts.sum()
    similarities = torch.cat((F.normalize(queries, dim=1), F.normalize(keys, dim=1)))
    similarities = similarities[:6] @ similarities.T / TEMPERATURE
    similarities[:, :6].fill_diagonal_(-torch.inf)
    centres = logits + among.log()
    expected = torch.cat((similarities, centres), dim=1).logsumexp(dim=1)
    expected = (expected - centres.gather(1, labels[:, None]).squeeze(1)).mean()

    def found(shift=0.0):
        free = logits.clone().requires_grad_()
        loss = paco(
            *(queries, keys, labels, free + shift),
            class_counts=counts,
            alpha=1e-12,
            temperature=TEMPERATURE,
        )
        return loss, torch.autograd.grad(loss, free)[0]

    torch.testing.assert_close(found()[0], expected)
    # Logits are free to grow: the samples are then of no weight, and cross-entropy is left.
    plain = logits.clone().requires_grad_()
    loss = balanced_softmax(plain, labels, counts)
    torch.testing.assert_close(found(shift=60.0)[0], loss.detach(), rtol=1e-8, atol=0)
    (gradient,) = torch.autograd.grad(loss, plain)
    torch.testing.assert_close(found(shift=60.0)[1], gradient, rtol=1e-6, atol=1e-10)
