"""PaCo's loss, queue and momentum, step by step, are those of the slow algorithm."""

import functools
import math
from dataclasses import replace

import pytest
import torch
from tests.methods.labelled_steps import (
    SlowKeys,
    TanhRows,
    assert_keys_enter_only_after_their_step,
    assert_nothing_trains_the_keys,
    assert_only_class_numbers_are_labels,
    assert_parts_are_the_whole_batch,
    assert_ranks_are_one_process,
    assert_steps_are_the_slow_ones,
    labels_of,
    step_alone,
    steps_on_a_rank,
    views_of,
)
from torch import nn

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.embedding_scalars import shared_information
from nearfar.methods.labelled_specs import PaCoSpec
from nearfar.methods.method import Method
from nearfar.methods.momentum import frozen_copy
from nearfar.methods.paco import PaCo
from nearfar.testing import run_on_ranks
from nearfar.testing.methods import sgd
from nearfar.testing.resuming import resumes_to_the_same_bits
from nearfar.training.averaging import StepAverage
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.ranks import Ranks

SMALL = PaCoSpec(
    temperature=0.3,
    alpha=0.2,
    queue_size=8,
    momentum=0.9,
    projection_hidden=8,
    projection_dim=4,
)
CLASS_COUNTS = torch.tensor([90, 20, 5])


def row_by_row(**settings) -> PaCo:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        method = PaCo(replace(SMALL, **settings), TanhRows(), CLASS_COUNTS)
        method.projection = nn.Linear(6, 4)
        method.momentum_projection = frozen_copy(method.projection)
        return method.double()


def with_batch_norm() -> PaCo:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = SmallResNetSpec(width=4).build((1, 8, 8))
        return PaCo(replace(SMALL, queue_size=20), encoder, CLASS_COUNTS)


class SlowPaCo(SlowKeys):
    """Cui et al. 2021, equations 3 and 4, in loops."""

    def loss(self, weights, images, queries, keys, classes):
        alpha, priors = self.spec.alpha, CLASS_COUNTS.double() / CLASS_COUNTS.sum()
        loss = torch.zeros(()).double()
        for i, (image, label) in enumerate(zip(images, classes, strict=True)):
            candidates = self.candidates(i, queries, keys, classes)
            features = torch.tanh(weights[0] @ image + weights[1])
            centres = priors * (weights[4] @ features + weights[5]).exp()
            samples = [(queries[i] @ row / self.spec.temperature).exp() for row, _ in candidates]
            normaliser = sum(samples) + centres.sum()
            of_anchor = -(centres[label] / normaliser).log()
            positives = [s for s, (_, of) in zip(samples, candidates, strict=True) if of == label]
            of_anchor = of_anchor - alpha * sum((s / normaliser).log() for s in positives)
            if self.spec.normalisation == "mean":
                of_anchor = of_anchor / (1 + alpha * len(positives))
            loss = loss + of_anchor / len(queries)
        return loss


@pytest.mark.parametrize("normalisation", ["sum", "mean"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_those_of_the_slow_algorithm(normalisation, momentum):
    method = row_by_row(normalisation=normalisation, momentum=momentum)
    assert_steps_are_the_slow_ones(method, SlowPaCo(method, method.classifier))


def test_it_is_a_method_whose_keys_no_optimiser_and_no_gradient_reaches():
    method = row_by_row()
    assert isinstance(method, Method)
    trained = assert_nothing_trains_the_keys(method)
    assert trained >= set(map(id, method.classifier.parameters()))
    assert [rows.requires_grad for rows in method.embed(views_of(0, 5))] == [True, False, True]


def test_the_keys_of_a_step_enter_only_after_it():
    assert_keys_enter_only_after_their_step(row_by_row())


def test_in_parts_it_is_the_whole_batch():
    assert_parts_are_the_whole_batch(row_by_row)


@pytest.mark.parametrize("in_parts", [False, True])
def test_two_ranks_are_one_process_with_the_global_batch(tmp_path, in_parts):
    build = functools.partial(row_by_row, queue_size=11)
    assert_ranks_are_one_process(run_on_ranks(2, steps_on_a_rank, tmp_path, build, in_parts), build)


def batch_norm_on_a_rank(rank: int, world: int) -> tuple:
    """A step whose keys pass batch-norm; whose images they were, by their first pixel."""
    method = with_batch_norm()
    torch.manual_seed(50 + rank)
    company = []
    method.momentum_encoder.register_forward_pre_hook(
        lambda _, inputs: company.extend(inputs[0][:, 0, 0, 0].tolist())
    )
    views = torch.randn(2, 12, 1, 8, 8, generator=torch.Generator().manual_seed(7))
    first, second = (view.split(6)[rank] for view in views)
    loss = cached_gradients(method, (first, second), labels_of(0, 12).split(6)[rank], 6)
    trained = [each for each in method.parameters() if each.requires_grad]
    StepAverage(method, trained, Ranks(rank, world)).finish(loss)
    method.after_step(0.5)
    return second[:, 0, 0, 0].tolist(), company, method.state_dict()


def test_with_batch_norm_keys_pass_in_the_company_of_other_ranks(tmp_path):
    found = run_on_ranks(2, batch_norm_on_a_rank, tmp_path)
    for own, company, state in found:
        assert set(company) - set(own)
        for name in ("queue.keys", "queue.labels"):
            assert torch.equal(state[name], found[0][2][name])
    assert sorted(found[0][1] + found[1][1]) == sorted(found[0][0] + found[1][0])


def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits():
    state = resumes_to_the_same_bits(with_batch_norm)
    assert state["method.queue.entered"] == 2 * 4 * 8
    assert len(state["method.queue.labels"].unique()) == 3
    moved = state["method.momentum_projection.0.weight"] - state["method.projection.0.weight"]
    assert moved.abs().max() > 0


def test_scalars_are_of_the_last_call():
    method = row_by_row()
    assert method.scalars == {}
    step_alone(method, sgd(method), 0, 6)
    views, labels = views_of(1, 6), labels_of(1, 6)
    method(views, labels)
    queries, keys, logits = method.embed(views)
    queries, keys = (nn.functional.normalize(rows, dim=1) for rows in (queries, keys))
    of_pairs = shared_information([(queries, keys)], temperature=method.spec.temperature)
    assert method.scalars == {
        "accuracy": pytest.approx(float((logits.argmax(dim=1) == labels).double().mean())),
        "alignment": pytest.approx(float((queries - keys).detach().square().sum(1).mean())),
        "queue_filled": 6 / 8,
        "mutual_information_bound": pytest.approx(of_pairs["mutual_information_bound"]),
        "mutual_information_ceiling": pytest.approx(math.log(6)),
    }


def test_what_it_cannot_train_with_is_refused():
    with pytest.raises(NearfarError, match="PaCo needs a label for each of 5 examples"):
        row_by_row()(views_of(0, 5))
    with pytest.raises(SettingError, match=r"views.count is 3: PaCo compares 2 views"):
        row_by_row()(views_of(0, 5, count=3), labels_of(0, 5))
    for changes, said in (
        ({"temperature": 0.0}, r"method.temperature is 0\.0"),
        ({"alpha": -1.0}, r"method.alpha is -1\.0"),
        ({"queue_size": 0}, r"method.queue_size is 0"),
        ({"momentum": 1.1}, r"method.momentum is 1\.1: it must be 0 to 1"),
    ):
        with pytest.raises(SettingError, match=said):
            replace(SMALL, **changes)
    with pytest.raises(SettingError, match=r"unknown method.normalisation 'men': did you mean"):
        replace(SMALL, normalisation="men")


def test_labels_that_are_no_class_numbers_are_refused_and_not_cut():
    assert_only_class_numbers_are_labels(row_by_row)
