"""Weighted k-nearest-neighbour classification on frozen features, in bounded memory."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.evaluation.features import check_finite
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.top_k import Bank


class KNNBank:
    """Labelled features that vote on the class of their neighbours (Wu et al. 2018, InstDisc).

    Similarity is the cosine; the k most similar bank images vote for their class with weight
    `exp(similarity / temperature)`.

    Args:
        features: One row a bank image, any scale; rows are L2-normalised here.
        labels: Class of each bank image, from 0; None where only neighbours are wanted.
        num_classes: Number of classes; one more than the highest label where left out.

    Raises:
        NearfarError: If a feature is not finite.
        SettingError: If the bank is empty or its labels do not fit.
    """

    def __init__(
        self,
        features: Float[Tensor, "n dim"],
        labels: Int64[Tensor, " n"] | None = None,
        *,
        num_classes: int | None = None,
    ) -> None:
        if len(features) == 0:
            raise SettingError("the kNN bank is empty: give it at least one image")
        if labels is not None and int(labels.min()) < 0:
            raise SettingError("the kNN bank has labels below 0: leave unlabelled images out")
        self.features = unit_rows(check_finite(features, "the bank's features")).float()
        self._bank = Bank(self.features)
        self.labels = labels
        self.num_classes = num_classes
        if num_classes is None and labels is not None:
            self.num_classes = int(labels.max()) + 1

    def __len__(self) -> int:
        """The number of bank images."""
        return len(self.features)

    def neighbors(
        self, queries: Float[Tensor, "m dim"], k: int
    ) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"]]:
        """The k most similar bank images of every query, most similar first; exact.

        Args:
            queries: Features in any scale, on the bank's device.
            k: Neighbours wanted; clipped to the size of the bank.

        Returns:
            Cosine similarities and rows of the bank, `min(k, len(bank))` columns each.

        Raises:
            SettingError: If k is below 1.
        """
        if k < 1:
            raise SettingError(f"kNN with k={k}: k must be 1 or more")
        queries = unit_rows(check_finite(queries, "the queries' features")).float()
        return self._bank.top_k(queries, k)

    def predict(
        self, queries: Float[Tensor, "m dim"], k: int, temperature: float
    ) -> Float[Tensor, "m classes"]:
        """Each class's share of the neighbours' weighted vote; rows sum to 1.

        Args:
            queries: Features in any scale.
            k: Neighbours that vote; clipped to the size of the bank.
            temperature: Divides the similarities inside the exponent; above 0.

        Raises:
            SettingError: If k or the temperature is impossible, or the bank has no labels.
        """
        if self.labels is None or self.num_classes is None:
            raise SettingError("this kNN bank has no labels to vote with: give it labels")
        similarities, indices = self.neighbors(queries, k)
        return vote(similarities, self.labels[indices], temperature, self.num_classes)


def vote(
    similarities: Float[Tensor, "m k"],
    labels: Int64[Tensor, "m k"],
    temperature: float,
    num_classes: int,
) -> Float[Tensor, "m classes"]:
    """Weighted vote: `Σ exp(similarity / T)` over the neighbours of each class, as shares.

    Args:
        similarities: Cosine similarity of each neighbour.
        labels: Class of each neighbour.
        temperature: T above; above 0.
        num_classes: Number of classes.

    Raises:
        SettingError: If the temperature is not above 0.
    """
    if not temperature > 0:
        raise SettingError(f"kNN with temperature {temperature}: it must be above 0")
    # The softmax is the vote divided by its sum, and cannot overflow at small temperatures.
    weights = torch.softmax(similarities.double() / temperature, dim=1)
    scores = weights.new_zeros(len(similarities), num_classes)
    return scores.scatter_add_(1, labels, weights).float()


def hits(
    scores: Float[Tensor, "m classes"], labels: Int64[Tensor, " m"], k: int
) -> Bool[Tensor, " m"]:
    """Of which examples the class is among the k highest scores.

    Equal scores rank by class number. With a vote, a class that got none (score 0) is never
    counted as predicted, even where fewer than k classes got one.

    Args:
        scores: Above 0 for a class that is predicted at all.
        labels: The true classes, each below the number of columns.
        k: 1 for top-1; at most the number of classes is used.
    """
    ranked = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    own = scores.gather(1, labels.unsqueeze(1)).squeeze(1)
    return (ranked == labels.unsqueeze(1)).any(dim=1) & (own > 0)


def top_accuracy(scores: Float[Tensor, "m classes"], labels: Int64[Tensor, " m"], k: int) -> float:
    """Share of examples whose class is among the k highest scores, as in `hits`.

    Args:
        scores: Above 0 for a class that is predicted at all.
        labels: The true classes, each below the number of columns.
        k: 1 for top-1; at most the number of classes is used.
    """
    return float(hits(scores, labels, k).double().mean())
