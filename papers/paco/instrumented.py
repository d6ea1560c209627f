"""A training of which every step can be looked at, and what is measured of a step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nearfar.methods.method import Method
from nearfar.methods.paco import PaCo
from nearfar.methods.supcon import SupCon
from nearfar.methods.supcon_queue import SupConQueue
from nearfar.objectives.balanced_softmax import with_log_prior
from nearfar.recipes.assembly import Assembly
from nearfar.training.parameter_groups import set_learning_rate


@dataclass(frozen=True)
class Step:
    """One step, after its gradients and before anything has moved.

    Attributes:
        epoch: From 0.
        method: With its queue as the loss saw it.
        labels: `(batch,)`.
        embedded: What the loss was computed from, detached.
        pull: `(rows,)`, norm of the derivative of the losses' sum by an example's features; one row
            for each view that passes the trained encoder, view by view.
    """

    epoch: int
    method: Method
    labels: Int64[Tensor, " batch"]
    embedded: tuple[Tensor, ...]
    pull: Float[Tensor, " rows"]


def steps(assembly: Assembly) -> Iterator[Step]:
    """Train the method where it is, as a run does; each step is given before it is taken.

    Args:
        assembly: Of a recipe.
    """
    hardware = assembly.hardware
    method, spec = assembly.method, assembly.recipe.training
    draws = torch.Generator().manual_seed(assembly.recipe.seed)
    optimizer = spec.optimizer.build(method)
    seen: list[Tensor] = []

    def see(_: nn.Module, __: tuple[Tensor, ...], features: Tensor) -> None:
        features.retain_grad()
        seen.append(features)

    of_epoch = assembly.batches.steps_per_epoch
    total, taken = spec.epochs * of_epoch, 0
    if hardware.channels_last:
        method.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    hook = method.encoder.register_forward_hook(see)
    method.train()
    for epoch in range(spec.epochs):
        for images, labels, _ in assembly.batches.epoch(epoch):
            assert labels is not None
            optimizer.zero_grad(set_to_none=True)
            views = assembly.views(images, draws)
            if hardware.channels_last:
                views = tuple(view.contiguous(memory_format=torch.channels_last) for view in views)
            with hardware.autocast:
                embedded = method.embed(views)
                loss = method.loss(embedded, labels)
            loss.backward()
            features = seen.pop()
            assert features.grad is not None
            # The loss is a mean over these rows; of their sum, batches of any size give the same.
            pull = features.grad.float().norm(dim=1) * len(features)
            rows = tuple(each.detach().float() for each in embedded)
            yield Step(epoch, method, labels, rows, pull)
            rate = spec.schedule.rate_at(
                taken,
                peak=spec.optimizer.learning_rate,
                total_steps=total,
                steps_per_epoch=of_epoch,
            )
            set_learning_rate(optimizer, rate)
            optimizer.step()
            method.after_step(taken / total)
            taken += 1
    hook.remove()


class Shares(NamedTuple):
    """How each query's probability is shared out.

    Attributes:
        positives: `(queries,)`, K: samples of its class.
        pair: Mean probability of such a sample.
        centre: Probability of its class's centre; 0 where there are no centres.
    """

    positives: Float[Tensor, " queries"]
    pair: Float[Tensor, " queries"]
    centre: Float[Tensor, " queries"]


def shares_of(step: Step) -> tuple[Shares, Int64[Tensor, " queries"]]:
    """Of each query of a contrastive method with labels; and the queries' classes.

    Args:
        step: Of SupCon, with a queue or without, or of PaCo.
    """
    method, labels = step.method, step.labels
    if isinstance(method, SupCon):
        rows, classes = torch.cat(step.embedded), labels.repeat(len(step.embedded))
        return shares(rows, classes, rows, classes, temperature=method.temperature), classes
    assert isinstance(method, SupConQueue | PaCo)
    queries, keys = step.embedded[:2]
    queue = method.queue
    centres = None
    if isinstance(method, PaCo):
        centres = with_log_prior(step.embedded[2], method.class_counts)
    found = shares(
        queries,
        labels,
        torch.cat([queries, keys, queue.rows("keys")]),
        torch.cat([labels, labels, queue.rows("labels")]),
        temperature=method.spec.temperature,
        centres=centres,
    )
    return found, labels


def shares(
    queries: Float[Tensor, "queries dim"],
    labels: Int64[Tensor, " queries"],
    samples: Float[Tensor, "samples dim"],
    sample_labels: Int64[Tensor, " samples"],
    *,
    temperature: float,
    centres: Float[Tensor, "queries classes"] | None = None,
) -> Shares:
    """The softmax over all samples but the query itself, and over the centres where there are any.

    Args:
        queries: Of any length; the first samples are the same rows.
        labels: Their classes.
        samples: Candidates.
        sample_labels: Their classes.
        temperature: Divides cosines.
        centres: Logits of the classes' centres, with the classes' shares in them.
    """
    rows, others = (nn.functional.normalize(each.double(), dim=1) for each in (queries, samples))
    itself = torch.eye(len(rows), len(others), dtype=torch.bool)
    logits = (rows @ others.T / temperature).masked_fill(itself, -math.inf)
    if centres is not None:
        logits = torch.cat([logits, centres.double()], dim=1)
    of_all = logits.softmax(dim=1)
    same = (labels[:, None] == sample_labels) & ~itself
    positives = same.sum(dim=1).double()
    pair = (of_all[:, : len(others)] * same).sum(dim=1) / positives
    centre = torch.zeros_like(pair)
    if centres is not None:
        centre = of_all[:, len(others) :].gather(1, labels[:, None]).squeeze(1)
    return Shares(positives, pair, centre)
