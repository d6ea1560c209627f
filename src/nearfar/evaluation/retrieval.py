"""Retrieval: whether the examples most like a query are of its class; exact, in bounded memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from nearfar.evaluation.accuracy import LabelledFeatures
from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.features import check_finite
from nearfar.evaluation.forms import Transform
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import FEATURE_NAMES, Record
from nearfar.evaluation.specs import RetrievalSpec
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.top_k import Bank

CHOICE_LIMIT = 2_500
"""Training examples that the choice of a transform uses at most."""
BLOCK = 2**22
"""Neighbours that are held at a time."""


@dataclass(frozen=True)
class Retrieved:
    """What each query found, of those that have something to find.

    Attributes:
        first: `(q,)` place of the first example of the query's class, from 1.
        precision: `(q,)` average precision at R, 0 to 1.
    """

    first: Int64[Tensor, " q"]
    precision: Float64[Tensor, " q"]

    def recall(self, k: int) -> float:
        """Share of queries with one of their class among the k nearest (Jégou et al. 2011)."""
        return float((self.first <= k).double().mean())

    @property
    def map_at_r(self) -> float:
        """Mean of the average precision at R (Musgrave et al. 2020)."""
        return float(self.precision.mean())

    @property
    def reciprocal_rank(self) -> float:
        """Mean of 1/r, r the place of the first of the query's class."""
        return float((1 / self.first.double()).mean())


def retrieve(
    queries: Float[Tensor, "m dim"],
    query_labels: Int64[Tensor, " m"],
    gallery: Float[Tensor, "n dim"],
    gallery_labels: Int64[Tensor, " n"],
    *,
    own: Int64[Tensor, " m"] | None = None,
) -> Retrieved:
    """Rank a gallery by its cosine with each query, and see where the query's class stands.

    With R the number of gallery examples of the query's class and P(i) the share of its class among
    the i nearest, the average precision at R is `1/R Σ_{i=1}^{R} P(i) [the i-th is of its class]`
    (Musgrave et al. 2020). Equal similarities stand in any order. A query without any of its class
    in the gallery is left out.

    Args:
        queries: In any scale.
        query_labels: Their classes.
        gallery: Likewise.
        gallery_labels: Their classes.
        own: The row of the gallery that is the query itself, which it never finds; None where the
            two sets are apart.

    Raises:
        NearfarError: A feature is not finite.
    """
    asked = unit_rows(check_finite(queries, "the queries' features")).float()
    rows = unit_rows(check_finite(gallery, "the gallery's features")).float()
    classes = 1 + max(int(query_labels.max()), int(gallery_labels.max()))
    relevant = torch.bincount(gallery_labels, minlength=classes)[query_labels]
    relevant = relevant if own is None else relevant - 1
    kept = (relevant > 0).nonzero().squeeze(1)
    # Those with as many to find together: the neighbours of all are as many as the most need.
    kept = kept[relevant[kept].argsort(stable=True)]
    bank = Bank(rows)
    first, precision = [], []
    for some in kept.split(1 + BLOCK // (int(relevant.max()) + 1)) if len(kept) else ():
        found = _found(
            bank, asked[some], None if own is None else own[some], int(relevant[some[-1]])
        )
        hits = gallery_labels[found] == query_labels[some, None]
        precision.append(_average_precision(hits, relevant[some]))
        first.append(hits.int().argmax(dim=1) + 1)
        for place in (~hits.any(dim=1)).nonzero().squeeze(1).tolist():
            query = int(some[place])
            same = gallery_labels == query_labels[query]
            left_out = None if own is None else int(own[query])
            first[-1][place] = _place(rows, asked[query], same, left_out)
    return Retrieved(_joined(first).long(), _joined(precision).double())


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)) if parts else torch.zeros(0)


def _found(
    bank: Bank, queries: Tensor, own: Int64[Tensor, " q"] | None, most: int
) -> Int64[Tensor, "q most"]:
    """Rows of the bank, the most alike first, the query's own left out."""
    if own is None:
        return bank.top_k(queries, most)[1]
    _, rows = bank.top_k(queries, most + 1)
    others = rows != own[:, None]
    # An example with many twins may not be among its own first neighbours: then the last one goes.
    others[others.all(dim=1), -1] = False
    return rows[others].view(len(queries), rows.shape[1] - 1)


def _average_precision(
    hits: Bool[Tensor, "q k"], relevant: Int64[Tensor, " q"]
) -> Float64[Tensor, " q"]:
    """Average precision at R for each query, of the `k >= R` nearest."""
    places = torch.arange(1, hits.shape[1] + 1)
    counted = hits & (places <= relevant[:, None])
    precision = counted.double().cumsum(dim=1) / places
    return (precision * counted).sum(dim=1) / relevant


def _place(rows: Tensor, query: Tensor, same: Bool[Tensor, " n"], own: int | None) -> int:
    """Place of the nearest row of a class, by counting all that are nearer."""
    similarities = rows @ query
    if own is not None:
        similarities[own] = -torch.inf
    return 1 + int((similarities > similarities[same].max()).sum())


def judge(spec: RetrievalSpec, judged: Judged) -> Found:
    """Recall@k, MAP@R and MRR of test examples, in the form that serves training data best."""
    data, kind = judged.labelled, judged.kind
    judged.say(f"retrieval: {kind}")
    transform = choose_transform(data, judged.seed)
    draws = torch.Generator().manual_seed(judged.seed)
    asking = torch.randperm(len(data.test), generator=draws)[: spec.queries].sort().values
    test = transform(data.test)
    found = (
        retrieve(test[asking], data.test_labels[asking], test, data.test_labels, own=asking)
        if spec.gallery == "test"
        else retrieve(
            test[asking], data.test_labels[asking], transform(data.train), data.train_labels
        )
    )
    count = len(found.first)
    where = {"test": "test part", "train": "training part"}[spec.gallery]
    alone = len(asking) - count
    notes = [f"retrieval: {alone} queries have none of their class to find"] if alone else []
    if not count:
        return Found(
            notes=[f"retrieval of {FEATURE_NAMES[kind]} left out: no class has two examples"]
        )
    about = {"gallery": where, "transform": transform.name}
    return Found(
        [
            *(
                Record("recall", kind, "mean", found.recall(k), count, parameters={"k": k, **about})
                for k in spec.ranks
            ),
            Record("map_at_r", kind, "mean", found.map_at_r, count, parameters=about),
            Record("reciprocal_rank", kind, "mean", found.reciprocal_rank, count, parameters=about),
        ],
        notes=notes,
    )


def choose_transform(data: LabelledFeatures, seed: int) -> Transform:
    """The transform with the best MAP@R where a fifth of some training examples asks the others.

    Of equals the first wins. Test features have no business here.
    """
    fitting, choosing = choice_split(data.train, data.train_labels, limit=CHOICE_LIMIT, seed=seed)
    scores = []
    for transform in data.transforms:
        if not len(choosing):
            return transform
        asked, bank = transform(data.train[choosing]), transform(data.train[fitting])
        found = retrieve(asked, data.train_labels[choosing], bank, data.train_labels[fitting])
        scores.append(found.map_at_r if len(found.first) else 0.0)
    return data.transforms[max(range(len(scores)), key=scores.__getitem__)]
