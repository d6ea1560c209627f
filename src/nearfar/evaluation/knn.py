"""Weighted k-nearest-neighbour classification on frozen features, in bounded memory."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.evaluation.features import check_finite

# A block of similarities takes at most 256 × 65536 floats, 64 MiB, whatever the bank's size.
QUERY_BLOCK = 256
BANK_BLOCK = 65536
GROUP = 32


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
        self.features = F.normalize(check_finite(features, "the bank's features").float(), dim=1)
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
        k = min(k, len(self))
        queries = F.normalize(check_finite(queries, "the queries' features").float(), dim=1)
        similarities = queries.new_empty(len(queries), k)
        indices = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
        for start in range(0, len(queries), QUERY_BLOCK):
            rows = slice(start, start + QUERY_BLOCK)
            similarities[rows], indices[rows] = self._neighbors_of_block(queries[rows], k)
        return similarities, indices

    def _neighbors_of_block(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Stream over the bank, keeping the k best so far."""
        best, where = torch.empty(0), torch.empty(0)
        for start in range(0, len(self), BANK_BLOCK):
            block = queries @ self.features[start : start + BANK_BLOCK].T
            values, columns = largest(block, min(k, block.shape[1]))
            columns += start
            if start:
                values = torch.cat([best, values], dim=1)
                columns = torch.cat([where, columns], dim=1)
                values, chosen = values.topk(min(k, values.shape[1]), dim=1)
                columns = columns.gather(1, chosen)
            best, where = values, columns
        return best, where

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


def largest(
    values: Float[Tensor, "m n"], k: int
) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"]]:
    """The k largest of every row, in falling order, as `topk` gives them but faster on a CPU.

    The k largest values lie within the k groups whose maxima are largest, so only those groups are
    searched: a maximum over groups streams through memory, a top-k over everything does not.

    Args:
        values: Any numbers, without NaN.
        k: At most n.
    """
    rows, columns = values.shape
    groups = columns // GROUP
    if values.is_cuda or groups < 2 * k:
        return values.topk(k, dim=1)
    body = values[:, : groups * GROUP].unflatten(1, (groups, GROUP))
    chosen = body.amax(dim=2).topk(k, dim=1, sorted=False).indices
    inside = body.gather(1, chosen.unsqueeze(2).expand(rows, k, GROUP)).flatten(1)
    where = (chosen.unsqueeze(2) * GROUP + torch.arange(GROUP, device=values.device)).flatten(1)
    if groups * GROUP < columns:
        rest = torch.arange(groups * GROUP, columns, device=values.device).expand(rows, -1)
        inside = torch.cat([inside, values[:, groups * GROUP :]], dim=1)
        where = torch.cat([where, rest], dim=1)
    top, order = inside.topk(k, dim=1)
    return top, where.gather(1, order)


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


def top_accuracy(scores: Float[Tensor, "m classes"], labels: Int64[Tensor, " m"], k: int) -> float:
    """Share of examples whose class is among the k highest scores.

    Equal scores rank by class number. With a vote, a class that got none (score 0) is never
    counted as predicted, even where fewer than k classes got one.

    Args:
        scores: Above 0 for a class that is predicted at all.
        labels: The true classes, each below the number of columns.
        k: 1 for top-1; at most the number of classes is used.
    """
    ranked = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    own = scores.gather(1, labels.unsqueeze(1)).squeeze(1)
    hit = (ranked == labels.unsqueeze(1)).any(dim=1) & (own > 0)
    return float(hit.double().mean())
