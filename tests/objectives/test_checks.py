"""The words with which objectives refuse."""

import jaxtyping
import pytest
import torch

from nearfar.errors import NearfarError
from nearfar.objectives import (
    balanced_softmax,
    barlow_twins,
    batch_hard_triplet,
    byol,
    clip,
    contrastive,
    debiased_neg,
    debiased_pos,
    info_nce,
    nce,
    paco,
    semi_hard_triplet,
    sigmoid,
    supcon,
    uniformity,
    vicreg,
)
from nearfar.objectives.checks import require_pairs


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ((4, 3), (5, 3), r"are \(4, 3\) and \(5, 3\)"),
        ((4, 3), (4, 2), r"are \(4, 3\) and \(4, 2\)"),
        ((4,), (4,), r"must both be \(batch, dim\)"),
        ((2, 4, 3), (2, 4, 3), r"must both be \(batch, dim\)"),
    ],
)
def test_views_of_other_shapes_are_refused(first, second, told):
    with pytest.raises(NearfarError, match=told):
        require_pairs(torch.zeros(first), torch.zeros(second))


@pytest.fixture
def _only_our_checks():
    """The shapes in signatures are not checked, as in a person's own program."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


LABELLED = {
    "supcon": lambda labels: supcon(torch.ones(4, 3), labels),
    "batch_hard_triplet": lambda labels: batch_hard_triplet(torch.ones(4, 3), labels),
    "semi_hard_triplet": lambda labels: semi_hard_triplet(torch.ones(4, 3), labels),
    "balanced_softmax": lambda labels: balanced_softmax(
        torch.ones(4, 3), labels, torch.ones(3, dtype=torch.int64)
    ),
    "paco": lambda labels: paco(torch.ones(4, 2), torch.ones(4, 2), labels, torch.ones(4, 3)),
}


@pytest.mark.usefixtures("_only_our_checks")
@pytest.mark.parametrize("call", LABELLED.values(), ids=LABELLED)
@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (torch.tensor([0.0, 0.0, 1.0, 1.0]), r"labels must be whole numbers, and are torch\.float"),
        (torch.tensor([True, True, False, False]), "must be whole numbers, and are torch.bool"),
        (torch.tensor([0, 0, 1]), r"one number for each of 4 rows, and are \(3,\)"),
        (torch.tensor([[0], [0], [1], [1]]), r"one number for each of 4 rows, and are \(4, 1\)"),
        (torch.tensor([0, 0, -1, -1]), "labels hold -1: class numbers begin at 0"),
    ],
    ids=["float", "bool", "short", "matrix", "negative"],
)
def test_labels_that_are_none_are_refused(call, labels, told):
    with pytest.raises(NearfarError, match=told):
        call(labels)


ONES, HALVES = torch.ones(4, dtype=torch.int64), torch.tensor([0, 0, 1, 1])


@pytest.mark.usefixtures("_only_our_checks")
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: supcon(torch.ones(4), HALVES), r"embeddings must be \(batch, dim\), .* \(4,\)"),
        (lambda: supcon(torch.eye(4), HALVES, kind="inn"), "unknown kind 'inn'.* 'in'"),
        (
            lambda: supcon(torch.eye(4), HALVES, keys=torch.ones(2, 4)),
            "supcon needs keys and key_labels together: one of them is missing",
        ),
        (
            lambda: supcon(torch.eye(4), HALVES, keys=torch.ones(2, 5), key_labels=HALVES[:2]),
            r"keys must be \(batch, 4\), and are \(2, 5\)",
        ),
        (
            lambda: supcon(torch.eye(4), HALVES, keys=torch.ones(2, 4), key_labels=HALVES),
            r"key_labels must be one number for each of 2 rows, and are \(4,\)",
        ),
        (
            lambda: supcon(torch.eye(4), HALVES, keys=torch.ones(4, 4), key_labels=-HALVES),
            "key_labels hold -1: class numbers begin at 0",
        ),
        (lambda: batch_hard_triplet(torch.ones(4), HALVES), r"must be \(batch, dim\)"),
        (
            lambda: balanced_softmax(torch.ones(4, 3), HALVES, ONES),
            r"class_counts must be 3 whole numbers, one a class, and are \(4,\)",
        ),
        (lambda: balanced_softmax(torch.ones(4, 3), HALVES, torch.ones(3) / 2), "whole.*float32"),
        (lambda: balanced_softmax(torch.ones(4), HALVES, ONES), "logits must be"),
        (
            lambda: paco(torch.eye(4), torch.eye(4), HALVES, torch.ones(3, 2)),
            "centre_logits have 3 rows, and must have one for each of 4 queries",
        ),
        (
            lambda: paco(
                *(torch.eye(4), torch.eye(4), HALVES, torch.ones(4, 2)),
                queue=torch.ones(2, 3),
                queue_labels=torch.tensor([0, 1]),
            ),
            r"queue must be \(batch, 4\), and are \(2, 3\)",
        ),
        (
            lambda: paco(
                *(torch.eye(4), torch.eye(4), HALVES, torch.ones(4, 2)), normalisation="men"
            ),
            "unknown normalisation 'men': did you mean 'mean'",
        ),
        (lambda: nce(*torch.ones(2, 3), torch.ones(2), torch.ones(3)), r"\(2,\) and \(3,\)"),
        (lambda: byol(torch.ones(2, 3), torch.ones(3, 3)), "embeddings of two views"),
        (lambda: vicreg(torch.ones(2, 3), torch.ones(3, 3)), "embeddings of two views"),
        (lambda: barlow_twins(torch.ones(1, 3), torch.ones(1, 3)), "batch of 2 or more, not 1"),
        (
            lambda: info_nce(torch.eye(4), torch.eye(4), negatives=torch.ones(7, 3)),
            r"negatives must be \(queue, 4\), and are \(7, 3\)",
        ),
        (
            lambda: contrastive(torch.eye(4), torch.eye(4), torch.ones(7, 4)),
            r"negatives must be \(4, M, 4\) with M of 1 or more, and are \(7, 4\)",
        ),
        (
            lambda: clip(torch.eye(4), torch.eye(4), scale=torch.ones(1)),
            r"scale is a tensor of shape \(1,\): it must be one number, of shape \(\)",
        ),
        (
            lambda: sigmoid(torch.eye(4), torch.eye(4), scale=10.0, bias=torch.ones(4)),
            r"bias is a tensor of shape \(4,\)",
        ),
        (lambda: debiased_neg(torch.ones(2, 4, 3)), "a sequence of 2 views or more"),
        (lambda: debiased_neg((torch.eye(4), torch.ones(3, 4))), "embeddings of two views"),
        (
            lambda: debiased_pos((torch.eye(4), torch.eye(4)), positives="groupin"),
            "unknown positives 'groupin': did you mean 'grouping'",
        ),
        (
            lambda: debiased_pos((torch.eye(4), torch.eye(4)), marginal_over="all"),
            "unknown marginal_over 'all'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, told):
    with pytest.raises(NearfarError, match=told) as refusal:
        call()
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("_only_our_checks")
@pytest.mark.parametrize("shape", [(4,), (2, 4, 3), ()])
def test_embeddings_that_are_no_matrix_have_no_uniformity(shape):
    with pytest.raises(NearfarError, match=r"embeddings must be \(batch, dim\), and are"):
        uniformity(torch.ones(shape))


def test_class_counts_may_be_whole_floats_and_nothing_between():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 1, 2])
    counts = labels.bincount(minlength=3)
    expected = balanced_softmax(logits, labels, counts)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.uint8):
        assert torch.equal(balanced_softmax(logits, labels, counts.to(dtype)), expected)
    assert torch.equal(
        paco(logits, logits, labels, logits, class_counts=counts.float()),
        paco(logits, logits, labels, logits, class_counts=counts),
    )
    for wrong in (counts + 0.5, counts / 0.0, counts * float("nan")):
        with pytest.raises(NearfarError, match="class_counts must be 3 whole numbers"):
            balanced_softmax(logits, labels, wrong)
