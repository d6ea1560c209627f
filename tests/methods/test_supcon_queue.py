"""SupCon over a queue: loss, queue and momentum, step by step, are those of the slow algorithm."""

import functools
from dataclasses import replace

import pytest
import torch
from tests.methods.labelled_steps import (
    EXACT,
    TanhRows,
    assert_parts_are_the_whole_batch,
    assert_ranks_are_one_process,
    labels_of,
    step_alone,
    steps_on_a_rank,
    views_of,
)
from tests.training.tiny_run import TINY
from torch import nn

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.momentum import frozen_copy
from nearfar.methods.paco import PaCo
from nearfar.methods.specs import PaCoSpec, SupConQueueSpec
from nearfar.methods.supcon_queue import SupConQueue
from nearfar.testing import run_on_ranks
from nearfar.testing.methods import sgd
from nearfar.testing.resuming import resumes_to_the_same_bits

SMALL = SupConQueueSpec(
    temperature=0.3, queue_size=8, momentum=0.9, projection_hidden=8, projection_dim=4
)
BATCHES = (5, 3, 11, 4, 8)  # some larger than the queue, none a divisor of it but the last


def row_by_row(**settings) -> SupConQueue:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        method = SupConQueue(replace(SMALL, **settings), TanhRows())
        method.projection = nn.Linear(6, 4)
        method.momentum_projection = frozen_copy(method.projection)
        return method.double()


def with_batch_norm() -> SupConQueue:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return SupConQueue(replace(SMALL, queue_size=20), SmallResNetSpec(width=4).build((1, 8, 8)))


class SlowSupConQueue:
    """Cui et al. 2021, equation 2, in loops: lists of keys, weights as plain tensors."""

    def __init__(self, method: SupConQueue):
        layers = (method.encoder, method.projection)
        self.spec = method.spec
        self.weights = [p.detach().clone() for layer in layers for p in layer.parameters()]
        self.slow = [each.clone() for each in self.weights]
        self.slots: dict[int, tuple[torch.Tensor, int]] = {}
        self.place = 0

    def embedding(self, weights, image):
        row = weights[2] @ torch.tanh(weights[0] @ image + weights[1]) + weights[3]
        return row / row.square().sum().sqrt()

    def step(self, views, labels):
        weights = [each.clone().requires_grad_() for each in self.weights]
        queries = [self.embedding(weights, image) for image in views[0]]
        keys = [self.embedding(self.slow, image) for image in views[1]]
        classes = labels.tolist()
        loss = torch.zeros(()).double()
        for i, query in enumerate(queries):
            candidates = [(q, classes[j]) for j, q in enumerate(queries) if j != i]
            candidates += [*zip(keys, classes, strict=True), *self.slots.values()]
            samples = [(query @ row / self.spec.temperature).exp() for row, _ in candidates]
            shares = [
                sample / sum(samples)
                for sample, (_, of) in zip(samples, candidates, strict=True)
                if of == classes[i]
            ]
            if self.spec.kind == "out":
                loss = loss - sum(share.log() for share in shares) / len(shares) / len(queries)
            else:
                loss = loss - (sum(shares) / len(shares)).log() / len(queries)
        gradients = torch.autograd.grad(loss, weights)
        m = self.spec.momentum
        self.weights = [w - 0.5 * g for w, g in zip(self.weights, gradients, strict=True)]
        self.slow = [m * s + (1 - m) * w for s, w in zip(self.slow, self.weights, strict=True)]
        for entering in zip(keys, classes, strict=True):
            self.slots[self.place % self.spec.queue_size] = entering
            self.place += 1
        return loss.detach()


@pytest.mark.parametrize("kind", ["out", "in"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_those_of_the_slow_algorithm(kind, momentum):
    method = row_by_row(kind=kind, momentum=momentum)
    slow, optimizer = SlowSupConQueue(method), sgd(method)
    for step, batch in enumerate(BATCHES):
        expected = slow.step(views_of(step, batch), labels_of(step, batch))
        torch.testing.assert_close(step_alone(method, optimizer, step, batch), expected, **EXACT)
        keys, labels = zip(*(slow.slots[slot] for slot in range(len(slow.slots))), strict=True)
        torch.testing.assert_close(method.queue.rows("keys"), torch.stack(keys), **EXACT)
        assert method.queue.rows("labels").tolist() == list(labels)
        for layers, weights in (
            ((method.encoder, method.projection), slow.weights),
            ((method.momentum_encoder, method.momentum_projection), slow.slow),
        ):
            found = [each.detach() for layer in layers for each in layer.parameters()]
            torch.testing.assert_close(found, weights, **EXACT)


def test_without_centres_paco_pulls_samples_alike():
    """Where every centre's logit is far below, PaCo's loss is this one but for its own weights."""
    method, views, labels = row_by_row(), views_of(1, 7), labels_of(1, 7)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        spec = PaCoSpec(temperature=0.3, alpha=1e6, queue_size=8, projection_dim=4, head="linear")
        paco = PaCo(spec, TanhRows(), torch.tensor([1, 1, 1])).double()
    paco.load_state_dict(method.state_dict(), strict=False)
    with torch.no_grad():
        paco.classifier.weight.zero_()
        paco.classifier.bias.fill_(-60.0)
    torch.testing.assert_close(paco(views, labels), method(views, labels), rtol=1e-3, atol=1e-3)


def test_no_optimiser_and_no_gradient_reaches_the_keys():
    method = row_by_row()
    groups = TINY.optimizer.build(method).param_groups
    trained = {id(each) for group in groups for each in group["params"]}
    slow = [*method.momentum_encoder.parameters(), *method.momentum_projection.parameters()]
    assert not trained & set(map(id, slow))
    assert [rows.requires_grad for rows in method.embed(views_of(0, 5))] == [True, False]
    method(views_of(0, 5), labels_of(0, 5)).backward()
    assert all(each.grad is None for each in slow)
    assert all(each.grad is not None for each in method.parameters() if each.requires_grad)


def test_the_keys_of_a_step_enter_only_after_it():
    method = row_by_row()
    method(views_of(0, 5), labels_of(0, 5))
    assert len(method.queue) == 0
    method(views_of(1, 3), labels_of(1, 3))  # the step before was given up: not finite, say
    method.after_step(0.5)
    assert method.queue.rows("labels").tolist() == labels_of(1, 3).tolist()


def test_a_batch_whose_labels_all_differ_has_its_own_keys_for_positives():
    method = row_by_row()
    slow = SlowSupConQueue(method)
    expected = slow.step(views_of(0, 4), torch.arange(4))
    torch.testing.assert_close(method(views_of(0, 4), torch.arange(4)).detach(), expected, **EXACT)


def test_in_parts_it_is_the_whole_batch():
    assert_parts_are_the_whole_batch(row_by_row)


@pytest.mark.parametrize("in_parts", [False, True])
def test_two_ranks_are_one_process_with_the_global_batch(tmp_path, in_parts):
    build = functools.partial(row_by_row, queue_size=11, kind="in" if in_parts else "out")
    assert_ranks_are_one_process(run_on_ranks(2, steps_on_a_rank, tmp_path, build, in_parts), build)


def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits():
    state = resumes_to_the_same_bits(with_batch_norm)
    assert state["method.queue.entered"] == 2 * 4 * 8
    moved = state["method.momentum_projection.0.weight"] - state["method.projection.0.weight"]
    assert moved.abs().max() > 0


def test_scalars_are_of_the_last_call():
    method = row_by_row()
    assert method.scalars == {}
    step_alone(method, sgd(method), 0, 6)
    views, labels = views_of(1, 6), labels_of(1, 6)
    method(views, labels)
    queries, keys = (nn.functional.normalize(rows, dim=1) for rows in method.embed(views))
    nearest = (queries @ keys.T).argmax(dim=1)
    scalars = method.scalars
    assert scalars["nearest_is_positive"] == pytest.approx(
        float((labels[nearest] == labels).double().mean())
    )
    assert scalars["alignment"] == pytest.approx(
        float((queries - keys).detach().square().sum(dim=1).mean())
    )
    assert scalars["queue_filled"] == 6 / 8


def test_what_it_cannot_train_with_is_refused():
    with pytest.raises(NearfarError, match="SupCon with a queue needs a label for each of 5"):
        row_by_row()(views_of(0, 5))
    with pytest.raises(SettingError, match=r"views.count is 3: SupCon with a queue compares 2"):
        row_by_row()(views_of(0, 5, count=3), labels_of(0, 5))
    for changes, said in (
        ({"temperature": 0.0}, r"method.temperature is 0\.0"),
        ({"queue_size": 0}, r"method.queue_size is 0: it must be 1 or more"),
        ({"momentum": 1.5}, r"method.momentum is 1.5: it must be 0 to 1"),
    ):
        with pytest.raises(SettingError, match=said):
            replace(SMALL, **changes)
