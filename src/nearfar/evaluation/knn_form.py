"""The transform that serves a kNN vote best, chosen on training data alone."""

from collections.abc import Sequence

from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.knn import KNNBank, top_accuracy, vote
from nearfar.evaluation.transforms import Transform

LIMIT = 5_000
"""Training images that the choice uses at most."""


def choose_transforms(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    presets: Sequence[tuple[int, float]],
    offered: Sequence[Transform],
    *,
    num_classes: int,
    seed: int,
) -> list[Transform]:
    """For each vote, the transform with which a fifth of some training images errs least.

    The others of these images are the bank; `k` is the same share of it as of the whole.

    Args:
        features: Training features; test features have no business here.
        labels: Their classes.
        presets: k and temperature of each vote.
        offered: Of equals the first wins.
        num_classes: Number of classes.
        seed: Seeds the split.
    """
    fitting, choosing = choice_split(features, labels, limit=LIMIT, seed=seed)
    if not len(choosing):
        return [offered[0]] * len(presets)
    share = len(fitting) / len(features)
    votes = [(max(1, round(k * share)), temperature) for k, temperature in presets]
    scores: list[list[float]] = []
    for transform in offered:
        bank = KNNBank(transform(features[fitting]), labels[fitting], num_classes=num_classes)
        asked = transform(features[choosing])
        similarities, indices = bank.neighbors(asked, max(k for k, _ in votes))
        own = labels[fitting][indices]
        scores.append(
            [
                top_accuracy(
                    vote(similarities[:, :k], own[:, :k], temperature, num_classes),
                    labels[choosing],
                    1,
                )
                for k, temperature in votes
            ]
        )
    return [
        offered[max(range(len(offered)), key=lambda at: scores[at][place])]
        for place in range(len(presets))
    ]
