"""Methods with labels on made rows: an encoder without batch-norm, steps alone and on ranks.

And, of methods with a queue, what a slow algorithm and every one of them have in common.
"""

from collections.abc import Callable

import jaxtyping
import pytest
import torch
from tests.training.tiny_run import TINY
from torch import nn

from nearfar.errors import NearfarError
from nearfar.testing.methods import sgd
from nearfar.training.averaging import StepAverage
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.ranks import Ranks

COUNTS = (3, 5)
BATCHES = (5, 3, 11, 4, 8)  # some larger than a queue of 8, none a divisor of it but the last
EXACT = {"rtol": 1e-10, "atol": 1e-10}


class TanhRows(nn.Module):
    """An encoder without batch-norm: every row depends on its own image alone."""

    num_features = 6

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(10, 6)

    def forward(self, rows):
        return torch.tanh(self.layer(rows.flatten(1)))


def views_of(step: int, batch: int, count: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(step)
    rows = torch.randn(batch, 10, generator=generator).double()
    noise = torch.randn(count, batch, 10, generator=generator).double()
    return tuple(rows + each / 2 for each in noise)


def labels_of(step: int, batch: int) -> torch.Tensor:
    """Of three classes; most batches hold a class once."""
    return torch.randint(0, 3, (batch,), generator=torch.Generator().manual_seed(100 + step))


def step_alone(method, optimizer, step: int, batch: int) -> torch.Tensor:
    loss = method(views_of(step, batch), labels_of(step, batch))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    method.after_step(0.5)
    return loss.detach()


def steps_on_a_rank(rank: int, world: int, build: Callable, in_parts: bool) -> dict:
    """Three steps of a rank's own rows; gradients averaged as training does."""
    method = build()
    optimizer = sgd(method)
    trained = [each for each in method.parameters() if each.requires_grad]
    average = StepAverage(method, trained, Ranks(rank, world))
    losses = []
    for step in range(3):
        views = tuple(view.split(COUNTS)[rank] for view in views_of(step, sum(COUNTS)))
        labels = labels_of(step, sum(COUNTS)).split(COUNTS)[rank]
        optimizer.zero_grad()
        if in_parts:
            loss = cached_gradients(method, views, labels, 2, average.last_pass)
        else:
            (loss,) = average.last_pass(method(views, labels))
            loss.backward()
        losses.append(loss.detach())
        average.finish(losses[-1])
        optimizer.step()
        method.after_step(step / 3)
    return {"losses": losses, "state": method.state_dict(), "scalars": method.scalars}


def assert_ranks_are_one_process(found: list[dict], build: Callable) -> None:
    """Losses, parameters, buffers and scalars of all ranks are those of the global batch."""
    whole = build()
    optimizer = sgd(whole)
    losses = [step_alone(whole, optimizer, step, sum(COUNTS)) for step in range(3)]
    for each in found:
        torch.testing.assert_close(each["losses"], losses, **EXACT)
        torch.testing.assert_close(each["state"], dict(whole.state_dict()), **EXACT)
        assert each["scalars"] == pytest.approx(whole.scalars, abs=1e-10)
    for name, value in found[0]["state"].items():
        assert torch.equal(value, found[1]["state"][name]), name


def assert_parts_are_the_whole_batch(build: Callable) -> None:
    """Gradient caching leaves the whole batch's loss, gradients and buffers, step after step."""
    whole, parts = build(), build()
    for step, batch in enumerate((5, 11, 7)):
        views, labels = views_of(step, batch), labels_of(step, batch)
        for method in (whole, parts):
            method.zero_grad()
        expected = whole(views, labels)
        expected.backward()
        found = cached_gradients(parts, views, labels, 3)
        torch.testing.assert_close(found, expected.detach(), **EXACT)
        for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, **EXACT)
        for method in (whole, parts):
            method.after_step(0.5)
        torch.testing.assert_close(
            dict(parts.named_buffers()), dict(whole.named_buffers()), **EXACT
        )


def assert_only_class_numbers_are_labels(build: Callable) -> None:
    """A method of three classes refuses labels that are none of them, and cuts none to one."""
    views, labels = views_of(1, 7), labels_of(1, 7)
    jaxtyping.config.update("jaxtyping_disable", True)  # as in a person's own program
    try:
        for wrong in (labels + 0.9, labels.float(), labels.double()):
            with pytest.raises(NearfarError, match="labels must be whole numbers, and are torch"):
                build()(views, wrong)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    with pytest.raises(NearfarError, match="there are only 3 classes"):
        build()(views, labels + 1)
    with pytest.raises(NearfarError, match="class numbers begin at 0"):
        build()(views, labels - 3)
    assert torch.equal(build()(views, labels.to(torch.uint8)), build()(views, labels))


class SlowKeys:
    """MoCo's keys and queue in loops: lists of keys, weights as plain tensors.

    A subclass says the loss.

    Args:
        method: Of `TanhRows` and a linear head.
        more: What it trains beside them.
    """

    def __init__(self, method, *more: nn.Module):
        self.spec = method.spec
        self.trained = (method.encoder, method.projection, *more)
        self.following = (method.momentum_encoder, method.momentum_projection)
        self.weights, self.slow = weights_of(self.trained), weights_of(self.trained[:2])
        self.slots: dict[int, tuple[torch.Tensor, int]] = {}
        self.place = 0

    def embedding(self, weights, image):
        row = weights[2] @ torch.tanh(weights[0] @ image + weights[1]) + weights[3]
        return row / row.square().sum().sqrt()

    def loss(self, weights, images, queries, keys, classes) -> torch.Tensor:
        raise NotImplementedError

    def candidates(self, anchor: int, queries, keys, classes) -> list[tuple[torch.Tensor, int]]:
        """Other queries, all keys and the queue, each with its class."""
        others = [(query, classes[j]) for j, query in enumerate(queries) if j != anchor]
        return [*others, *zip(keys, classes, strict=True), *self.slots.values()]

    def step(self, views, labels) -> torch.Tensor:
        weights = [each.clone().requires_grad_() for each in self.weights]
        queries = [self.embedding(weights, image) for image in views[0]]
        keys = [self.embedding(self.slow, image) for image in views[1]]
        loss = self.loss(weights, views[0], queries, keys, labels.tolist())
        gradients = torch.autograd.grad(loss, weights)
        m = self.spec.momentum
        self.weights = [w - 0.5 * g for w, g in zip(self.weights, gradients, strict=True)]
        moved = zip(self.slow, self.weights[: len(self.slow)], strict=True)
        self.slow = [m * s + (1 - m) * w for s, w in moved]
        for entering in zip(keys, labels.tolist(), strict=True):
            self.slots[self.place % self.spec.queue_size] = entering
            self.place += 1
        return loss.detach()


def weights_of(layers: tuple[nn.Module, ...]) -> list[torch.Tensor]:
    return [each.detach().clone() for layer in layers for each in layer.parameters()]


def assert_steps_are_the_slow_ones(method, slow: SlowKeys) -> None:
    """Losses, queue and all weights, step after step."""
    optimizer = sgd(method)
    for step, batch in enumerate(BATCHES):
        expected = slow.step(views_of(step, batch), labels_of(step, batch))
        torch.testing.assert_close(step_alone(method, optimizer, step, batch), expected, **EXACT)
        keys, labels = zip(*(slow.slots[slot] for slot in range(len(slow.slots))), strict=True)
        torch.testing.assert_close(method.queue.rows("keys"), torch.stack(keys), **EXACT)
        assert method.queue.rows("labels").tolist() == list(labels)
        torch.testing.assert_close(weights_of(slow.trained), slow.weights, **EXACT)
        torch.testing.assert_close(weights_of(slow.following), slow.slow, **EXACT)


def assert_nothing_trains_the_keys(method) -> set[int]:
    """No optimiser and no gradient reaches them; gives the ids of what is trained."""
    groups = TINY.optimizer.build(method).param_groups
    trained = {id(each) for group in groups for each in group["params"]}
    slow = [*method.momentum_encoder.parameters(), *method.momentum_projection.parameters()]
    assert not trained & set(map(id, slow))
    queries, keys, *_ = method.embed(views_of(0, 5))
    assert [queries.requires_grad, keys.requires_grad] == [True, False]
    method(views_of(0, 5), labels_of(0, 5)).backward()
    assert all(each.grad is None for each in slow)
    assert all(each.grad is not None for each in method.parameters() if each.requires_grad)
    return trained


def assert_keys_enter_only_after_their_step(method) -> None:
    method(views_of(0, 5), labels_of(0, 5))
    assert len(method.queue) == 0
    method(views_of(1, 3), labels_of(1, 3))  # the step before was given up: not finite, say
    method.after_step(0.5)
    assert method.queue.rows("labels").tolist() == labels_of(1, 3).tolist()
