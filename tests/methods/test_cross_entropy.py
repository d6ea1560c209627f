"""Cross-entropy and balanced softmax: the loss is their equation, alone, in parts and on ranks."""

import functools
import math

import pytest
import torch
from tests.methods.labelled_steps import (
    EXACT,
    TanhRows,
    assert_only_class_numbers_are_labels,
    assert_parts_are_the_whole_batch,
    assert_ranks_are_one_process,
    labels_of,
    steps_on_a_rank,
    views_of,
)

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError
from nearfar.methods.cross_entropy import CrossEntropy
from nearfar.methods.labelled_specs import BalancedSoftmaxSpec, CrossEntropySpec
from nearfar.methods.method import Method
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import resumes_to_the_same_bits

COUNTS = torch.tensor([90, 20, 5])


def row_by_row(balanced: bool = False) -> CrossEntropy:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = BalancedSoftmaxSpec() if balanced else CrossEntropySpec()
        return CrossEntropy(config, TanhRows(), COUNTS).double()


def with_batch_norm() -> CrossEntropy:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = SmallResNetSpec(width=4).build((1, 8, 8))
        return CrossEntropy(BalancedSoftmaxSpec(), encoder, COUNTS)


@torch.no_grad()
def slow_loss(method: CrossEntropy, views, labels, weights) -> float:
    """Softmax of the logits, each class's exponential times its weight; an example at a time."""
    losses = []
    for view in views:
        for image, label in zip(view, labels, strict=True):
            features = torch.tanh(method.encoder.layer(image))
            logits = [
                float(row @ features + bias)
                for row, bias in zip(method.classifier.weight, method.classifier.bias, strict=True)
            ]
            weighted = [w * math.exp(logit) for w, logit in zip(weights, logits, strict=True)]
            losses.append(-math.log(weighted[int(label)] / sum(weighted)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("balanced", "weights"), [(False, (1, 1, 1)), (True, (90, 20, 5))])
def test_the_loss_is_the_equation_over_all_views(balanced, weights, count):
    method, views, labels = row_by_row(balanced), views_of(1, 7, count), labels_of(1, 7)
    expected = slow_loss(method, views, labels, weights)
    torch.testing.assert_close(method(views, labels).item(), expected, **EXACT)
    assert isinstance(method, Method)


def test_balanced_softmax_of_equal_classes_is_cross_entropy():
    method, plain = row_by_row(balanced=True), row_by_row()
    method.class_counts.fill_(7)
    views, labels = views_of(1, 7), labels_of(1, 7)
    torch.testing.assert_close(method(views, labels), plain(views, labels), **EXACT)


def test_the_optimum_of_balanced_softmax_does_not_lean_to_large_classes():
    """Features that tell nothing: training by shares, the plain logits come to be equal."""
    encoder = TanhRows()
    method = CrossEntropy(BalancedSoftmaxSpec(), encoder, torch.tensor([90, 10]))
    plain = CrossEntropy(CrossEntropySpec(), encoder, torch.tensor([90, 10]))
    labels = (torch.arange(100) >= 90).long()
    views = (torch.zeros(100, 10), torch.zeros(100, 10))
    for each in (method, plain):
        optimizer = torch.optim.SGD(each.classifier.parameters(), lr=1.0)
        for _ in range(150):
            optimizer.zero_grad()
            each(views, labels).backward()
            optimizer.step()
    with torch.no_grad():
        shares = [
            each.classifier(each.encoder(views[0][:1])).softmax(dim=1)[0]
            for each in (method, plain)
        ]
    torch.testing.assert_close(shares[0], torch.tensor([0.5, 0.5]), rtol=0, atol=1e-3)
    torch.testing.assert_close(shares[1], torch.tensor([0.9, 0.1]), rtol=0, atol=1e-3)


def test_counts_are_of_the_data_and_not_in_the_checkpoint():
    assert not any("counts" in name for name in row_by_row().state_dict())


def test_in_parts_it_is_the_whole_batch():
    assert_parts_are_the_whole_batch(functools.partial(row_by_row, True))


@pytest.mark.parametrize("in_parts", [False, True])
def test_two_ranks_are_one_process_with_the_global_batch(tmp_path, in_parts):
    build = functools.partial(row_by_row, in_parts)
    assert_ranks_are_one_process(run_on_ranks(2, steps_on_a_rank, tmp_path, build, in_parts), build)


def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits():
    resumes_to_the_same_bits(with_batch_norm)


def test_the_accuracy_is_that_of_the_plain_logits():
    method = row_by_row(balanced=True)
    assert method.scalars == {}
    views, labels = views_of(1, 7), labels_of(1, 7)
    method(views, labels)
    with torch.no_grad():
        hits = [
            (method.classifier(method.encoder(view)).argmax(dim=1) == labels).double().mean()
            for view in views
        ]
    assert method.scalars == {"accuracy": pytest.approx(float(sum(hits)) / 2)}


def test_a_batch_without_labels_or_with_an_uncounted_class_is_refused():
    with pytest.raises(NearfarError, match="cross-entropy needs a label for each of 7 examples"):
        row_by_row()(views_of(1, 7))
    method = row_by_row(balanced=True)
    method.class_counts[2] = 0
    with pytest.raises(NearfarError, match="class 2 has no example"):
        method(views_of(1, 3), torch.tensor([0, 2, 1]))


def test_labels_that_are_no_class_numbers_are_refused_and_not_cut():
    assert_only_class_numbers_are_labels(row_by_row)
