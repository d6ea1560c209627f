"""Retrieval: whether the examples most like a query are of its class; exact, in bounded memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.features import check_finite
from nearfar.evaluation.forms import Transform
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import FEATURE_NAMES, Record
from nearfar.evaluation.retrieval_specs import RetrievalSpec
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.threads import results_of
from nearfar.similarity.top_k import Bank

CHOICE_LIMIT = 2_500
"""Training examples that the choice of a transform uses at most."""
BLOCK = 2**22
"""Neighbours that are held at a time."""
SORTED_BLOCK = 2**20
"""Similarities that a thread sorts at a time."""
_ROUND = 64
"""Queries with many to find between two words of how far it is."""
MOST_QUERIES, LEAST_QUERIES = 2000, 100
"""That ask where nobody says how many; the fewer the larger the gallery is."""
MOST_PAIRS = 1_200_000_000
"""Of queries and gallery examples that are then compared: a minute of one core, by 46 ns for a pair
where a query has thousands to find, which takes longest."""
MANY = 64
"""A query with more than one in so many of the gallery to find has all of it sorted."""


def unheard(done: float) -> None:
    """Nobody is told."""


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

    def standard_error(self, values: Float[Tensor, " q"], of: int) -> float:
        """How far a mean over these queries lies from that over all, as one standard deviation.

        Of queries drawn without replacement: s/√q √(1 − q/N).

        Args:
            values: Of each query, two or more.
            of: N, queries that these were drawn from.
        """
        count = len(values)
        return float(values.double().std() * ((1 - count / of) / count) ** 0.5)


def queries_asked(spec: RetrievalSpec, queries: int, gallery: int) -> int:
    """How many of the queries ask.

    Args:
        spec: What is asked for.
        queries: That there are.
        gallery: Examples that each is compared with.
    """
    if spec.queries == "all":
        return queries
    if spec.queries != "auto":
        return min(spec.queries, queries)
    return min(queries, MOST_QUERIES, max(LEAST_QUERIES, MOST_PAIRS // max(1, gallery)))


def retrieve(
    queries: Float[Tensor, "m dim"],
    query_labels: Int64[Tensor, " m"],
    gallery: Float[Tensor, "n dim"],
    gallery_labels: Int64[Tensor, " n"],
    *,
    own: Int64[Tensor, " m"] | None = None,
    told: Callable[[float], None] = unheard,
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
        told: Told now and then which share of the queries, 0 to 1, is answered.

    Raises:
        NearfarError: A feature is not finite.
    """
    asked = unit_rows(check_finite(queries, "the queries' features")).float()
    rows = unit_rows(check_finite(gallery, "the gallery's features")).float()
    relevant = _to_find(query_labels, gallery_labels, itself=own is not None)
    kept = (relevant > 0).nonzero().squeeze(1)
    # Those with as many to find together: the neighbours of all are as many as the most need.
    kept = kept[relevant[kept].argsort(stable=True)]
    rare = int((relevant[kept] * MANY <= len(rows)).sum())
    few, many = kept[:rare], kept[rare:]
    bank = Bank(rows)
    first, precision = [], []
    for some in few.split(1 + BLOCK // (int(relevant[few[-1]]) + 1)) if len(few) else ():
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
        told(sum(map(len, first)) / len(kept))
    answered = len(few)
    for some in many.split(_ROUND) if len(many) else ():
        ranked = _sorted_whole(
            rows,
            gallery_labels,
            asked[some],
            query_labels[some],
            None if own is None else own[some],
            relevant[some],
        )
        precision += [each for each, _ in ranked]
        first += [each for _, each in ranked]
        answered += len(some)
        told(answered / len(kept))
    return Retrieved(_joined(first).long(), _joined(precision).double())


def _sorted_whole(
    rows: Tensor,
    labels: Int64[Tensor, " n"],
    asked: Tensor,
    asked_labels: Int64[Tensor, " q"],
    own: Int64[Tensor, " q"] | None,
    relevant: Int64[Tensor, " q"],
) -> list[tuple[Float64[Tensor, " b"], Int64[Tensor, " b"]]]:
    """Average precision and place of the first hit of some queries, block by block.

    Similarity, place in the gallery and whether the example is of the query's class are one whole
    number, the similarity in its highest bits. So sorted numbers are the ranking, and their lowest
    bits its hits: of two in a hundred and more that are to be found this costs a fraction of
    looking each of them up.
    """
    count = len(rows)
    # Of equal similarities the first row stands first.
    places = torch.arange(count - 1, -1, -1) << 1
    size = max(1, SORTED_BLOCK // count)
    cuts = [*range(0, len(asked), size), len(asked)]
    blocks = list(pairwise(cuts))

    def ranked(number: int) -> tuple[Tensor, Tensor]:
        begin, end = blocks[number]
        similarities = asked[begin:end] @ rows.T
        if own is not None:
            similarities[torch.arange(end - begin), own[begin:end]] = -torch.inf
        hits = labels == asked_labels[begin:end, None]
        bits = similarities.view(torch.int32)
        # Floats below 0 have their order the other way round.
        keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long() << 32 | (places | hits)
        best = torch.where(hits, keys, torch.iinfo(torch.int64).min).amax(dim=1, keepdim=True)
        first = 1 + (keys > best).sum(dim=1)
        most = int(relevant[begin:end].max())
        numbers = keys.numpy()
        numbers.partition(count - most, axis=1)
        nearest = np.sort(numbers[:, count - most :], axis=1)[:, ::-1]
        of_class = torch.from_numpy((nearest & 1).astype(np.bool_))
        return _average_precision(of_class, relevant[begin:end]), first

    return results_of(len(blocks), ranked, rows.device)


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
    kind = judged.kind
    what = f"retrieval: {kind}"
    judged.say(what)
    transform = choose_transform(
        judged.train, judged.source.train.labels, judged.transforms, judged.seed
    )
    asked, asked_labels, gallery, gallery_labels, where = _sets(spec, judged)
    draws = torch.Generator().manual_seed(judged.seed)
    number = queries_asked(spec, len(asked), len(gallery))
    asking = torch.randperm(len(asked), generator=draws)[:number].sort().values
    rows = transform(gallery)
    found = retrieve(
        rows[asking] if asked is gallery else transform(asked[asking]),
        asked_labels[asking],
        rows,
        gallery_labels,
        own=asking if asked is gallery else None,
        told=lambda done: judged.say(what, done),
    )
    count = len(found.first)
    alone = len(asking) - count
    notes = [f"retrieval: {alone} queries have none of their class to find"] if alone else []
    if not count:
        why = "no class has two examples" if asked is gallery else "no class is in both sets"
        return Found(notes=[f"retrieval of {FEATURE_NAMES[kind]} left out: {why}"])
    about: dict[str, Any] = {"gallery": where, "transform": transform.name}
    of = len(asked)
    if number < of:
        relevant = _to_find(asked_labels, gallery_labels, itself=asked is gallery)
        of = int((relevant > 0).sum())
        about |= {"queries": count, "of": of}
        notes.append(
            f"retrieval: {number:,} of {len(asked):,} examples ask, drawn by evaluation.seed; ± is "
            "the standard error of that draw; --evaluation.retrieval.queries all lets all ask"
        )

    def record(name: str, of_each: Tensor, **asked_for: int) -> Record:
        parameters, values = {**asked_for, **about}, of_each.double()
        if number < len(asked) and count > 1:
            parameters["standard_error"] = found.standard_error(values, of)
        return Record(name, kind, "mean", float(values.mean()), count, parameters=parameters)

    return Found(
        [
            *(record("recall", found.first <= k, k=k) for k in spec.ranks),
            record("map_at_r", found.precision),
            record("reciprocal_rank", 1 / found.first.double()),
        ],
        notes=notes,
    )


def _to_find(
    asked: Int64[Tensor, " m"], gallery: Int64[Tensor, " n"], *, itself: bool
) -> Int64[Tensor, " m"]:
    """How many of the gallery are of each query's class, the query itself left out.

    Args:
        asked: Classes of the queries.
        gallery: Classes of what is searched.
        itself: The queries are of the gallery, and none finds itself.
    """
    classes = 1 + max(int(asked.max()), int(gallery.max()))
    return torch.bincount(gallery, minlength=classes)[asked] - int(itself)


def _sets(
    spec: RetrievalSpec, judged: Judged
) -> tuple[Tensor, Int64[Tensor, " m"], Tensor, Int64[Tensor, " n"], str]:
    """Features and labels of what asks and of what is searched, and what that is in words."""
    search = judged.source.search
    if search is not None:
        queries, gallery, where = search.queries, search.gallery, "gallery"
    else:
        assert judged.source.test is not None
        queries = judged.source.test
        gallery = queries if spec.gallery == "test" else judged.source.train
        where = {"test": "test part", "train": "training part"}[spec.gallery]
    assert queries.labels is not None
    assert gallery.labels is not None
    asked, searched = judged.of(queries), judged.of(gallery)
    return asked, queries.labels.cpu(), searched, gallery.labels.cpu(), where


def choose_transform(
    train: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"] | None,
    held: Sequence[Transform],
    seed: int,
) -> Transform:
    """The transform with the best MAP@R where a fifth of some training examples asks the others.

    Of equals, and without labels, the first wins. Test features have no business here.
    """
    if labels is None:
        return held[0]
    labels = labels.cpu()
    fitting, choosing = choice_split(train, labels, limit=CHOICE_LIMIT, seed=seed)
    scores = []
    for transform in held:
        if not len(choosing):
            return transform
        asked, bank = transform(train[choosing]), transform(train[fitting])
        found = retrieve(asked, labels[choosing], bank, labels[fitting])
        scores.append(found.map_at_r if len(found.first) else 0.0)
    return held[max(range(len(scores)), key=scores.__getitem__)]
