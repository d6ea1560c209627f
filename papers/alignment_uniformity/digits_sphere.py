"""Encoders of small digits on a sphere: trained by any objective of two views, and measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from nearfar.data.source import Part
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.objectives import alignment, uniformity
from nearfar.training.generators import OwnDraws
from nearfar.views.specs import DigitsViewsSpec
from nearfar.views.views import Views

BATCH, NEIGHBORS = 256, 20
SHAPE, MEAN, STD = (1, 8, 8), 0.3, 0.3
"""Of the digits, and about their brightness, 0 to 1."""

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of two views' points and the classes; the classes are for supervision alone."""


class Digits(NamedTuple):
    """Small pictures, part to learn from and part to measure on."""

    train: Part
    test: Part


@dataclass(frozen=True)
class SphereEncoder:
    """A backbone, and a linear map to the sphere behind it."""

    backbone: nn.Module
    head: nn.Module

    def points(self, images: Tensor) -> Tensor:
        """Before they are brought to length 1.

        Args:
            images: Views, normalised.
        """
        return self.head(self.backbone(images))


def digits() -> Digits:
    """The 1797 digits of scikit-learn, 500 of them to measure on."""
    source = load_source(DigitsSpec())
    assert source.test is not None
    return Digits(source.train, source.test)


def new_encoder(seed: int, dim: int) -> SphereEncoder:
    """One with random weights.

    Args:
        seed: Of the weights.
        dim: Of the space that the sphere is in.
    """
    with OwnDraws(seed):
        backbone = SmallResNetSpec(width=16).build(SHAPE)
        return SphereEncoder(backbone, nn.Linear(cast(int, backbone.num_features), dim))


def train(
    encoder: SphereEncoder,
    objective: Objective,
    data: Digits,
    *,
    seed: int,
    epochs: int,
    rate: float,
    also: nn.Module | None = None,
) -> Iterator[int]:
    """Train it where it is; each epoch that is done is given.

    Args:
        encoder: Changed.
        objective: Of two views' points and the classes.
        data: Of which the training part is learnt from.
        seed: Of order and views.
        epochs: How many.
        rate: Of AdamW, constant.
        also: What is trained with it, such as a classifier.
    """
    images, labels = data.train.examples, data.train.labels
    assert isinstance(images, Tensor)
    assert labels is not None
    views = views_of_digits()
    draws = torch.Generator().manual_seed(seed)
    modules = nn.ModuleList([encoder.backbone, encoder.head, *([also] if also else [])])
    optimizer = torch.optim.AdamW(modules.parameters(), lr=rate, weight_decay=1e-4)
    for epoch in range(1, epochs + 1):
        modules.train()
        order = torch.randperm(len(images), generator=draws)
        for rows in order.split(BATCH)[:-1]:
            pair = torch.cat(views(images[rows], draws))
            first, second = encoder.points(pair).chunk(2)
            optimizer.zero_grad(set_to_none=True)
            objective(first, second, labels[rows]).backward()
            optimizer.step()
        yield epoch


def views_of_digits() -> Views:
    """Two views of each digit."""
    return DigitsViewsSpec().build(SHAPE, mean=(MEAN,), std=(STD,))


@torch.no_grad()
def features_of(encoder: SphereEncoder, part: Part) -> Tensor:
    """What the backbone makes of the digits as they are."""
    assert isinstance(part.examples, Tensor)
    encoder.backbone.eval()
    return encoder.backbone((part.examples / 255 - MEAN) / STD)


@torch.no_grad()
def points_of_views(encoder: SphereEncoder, part: Part) -> tuple[Tensor, Tensor]:
    """Points of two views of each digit, always the same two."""
    assert isinstance(part.examples, Tensor)
    encoder.backbone.eval()
    pair = torch.cat(views_of_digits()(part.examples, torch.Generator().manual_seed(0)))
    first, second = encoder.points(pair).chunk(2)
    return first, second


@torch.no_grad()
def measured(encoder: SphereEncoder, data: Digits) -> dict[str, float]:
    """On the test part: the neighbours' vote on features, and both terms of two views."""

    def accuracy(train: Tensor, test: Tensor) -> float:
        vote = KNeighborsClassifier(NEIGHBORS, metric="cosine").fit(train, data.train.labels)
        return 100 * float(vote.score(test, data.test.labels))

    train_rows, test_rows = features_of(encoder, data.train), features_of(encoder, data.test)
    first, second = points_of_views(encoder, data.test)
    return {
        "accuracy": accuracy(train_rows, test_rows),
        "embedding": accuracy(encoder.head(train_rows), encoder.head(test_rows)),
        "alignment": float(alignment(first, second)),
        "uniformity": float(uniformity(first)),
    }
