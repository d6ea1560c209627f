"""What two encoders make of pairs: retrieval across kinds, zero-shot classes, alignment and gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.data.source import Part, choose
from nearfar.evaluation.accuracy import top_accuracy
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.pair_specs import AcrossKindsSpec, PairRetrievalSpec, ZeroShotSpec
from nearfar.evaluation.pictures import readable, thumbnails
from nearfar.evaluation.records import Record
from nearfar.objectives import alignment
from nearfar.objectives.precision import unit_rows
from nearfar.text_bytes import encoded

_BLOCK = 2**22
"""Similarities that are held at a time."""
SHOWN, NEAREST = 12, 3
"""Images on the page, and the nearest texts beside each."""


@dataclass(frozen=True)
class Ranks:
    """Where queries found what belongs to them.

    Attributes:
        place: `(q,)` of the nearest that belongs to each, from 1; half a place more for every other
            that is as near, so that what cannot be told apart counts as guessed.
        relevant: `(q,)` how many of the gallery belong to each.
        gallery: How many are searched.
    """

    place: Float[Tensor, " q"]
    relevant: Int64[Tensor, " q"]
    gallery: int

    def recall(self, k: int) -> float:
        """Share of queries with one that belongs to them among the k nearest."""
        return float((self.place <= k).double().mean())

    @property
    def median(self) -> float:
        """Median place."""
        return float(self.place.double().quantile(0.5))

    def chance_recall(self, k: int) -> float:
        """What a random order would give: 1 − C(n − r, k) / C(n, k), the mean over queries."""
        n, most = self.gallery, min(k, self.gallery)
        shares = [
            1 - comb(n - many, most) / comb(n, most) if n - many >= most else 1.0
            for many in self.relevant.tolist()
        ]
        return sum(shares) / len(shares)

    @property
    def chance_median(self) -> float:
        """The expected place in a random order, (n + 1) / (r + 1), its median over queries."""
        return float(((self.gallery + 1) / (self.relevant.double() + 1)).quantile(0.5))


def ranks_across(
    queries: Float[Tensor, "q dim"],
    gallery: Float[Tensor, "n dim"],
    belonging: Int64[Tensor, "pairs 2"],
) -> Ranks:
    """Rank a gallery of one kind by its cosine with each query of another.

    Args:
        queries: In any scale.
        gallery: Likewise.
        belonging: Each row a query and one of the gallery that belongs to it; every query has one.
    """
    asked, rows = unit_rows(queries).float(), unit_rows(gallery).float()
    places = []
    relevant = torch.bincount(belonging[:, 0], minlength=len(asked))
    for some in torch.arange(len(asked)).split(max(1, _BLOCK // len(rows))):
        similarities = asked[some] @ rows.T
        own = torch.zeros_like(similarities, dtype=torch.bool)
        here = (belonging[:, 0] >= some[0]) & (belonging[:, 0] <= some[-1])
        own[belonging[here, 0] - some[0], belonging[here, 1]] = True
        best = similarities.masked_fill(~own, -torch.inf).amax(dim=1, keepdim=True)
        others = similarities.masked_fill(own, -torch.inf)
        nearer, alike = (others > best).sum(dim=1), (others == best).sum(dim=1)
        places.append(1 + nearer + alike / 2)
    return Ranks(torch.cat(places), relevant, len(rows))


def distinct(rows: Tensor) -> tuple[Int64[Tensor, " m"], Int64[Tensor, " n"]]:
    """The first of each of some equal rows, and of every row the number of that first one."""
    known: dict[bytes, int] = {}
    held = rows.cpu().contiguous().flatten(1).numpy()
    numbers = [known.setdefault(row.tobytes(), len(known)) for row in held]
    numbered = torch.tensor(numbers)
    firsts = torch.full((len(known),), len(rows)).scatter_reduce(
        0, numbered, torch.arange(len(rows)), "amin"
    )
    return firsts, numbered


@dataclass(frozen=True)
class _Pairs:
    """A part's examples and partners, each once, as their encoders see them.

    Attributes:
        first: Of the examples.
        second: Of what they are paired with.
        firsts: Rows of the part that the first of equal examples are.
        seconds: The same of its partners.
        belonging: `(pairs, 2)`, which of the one belong to which of the other.
        kinds: What both are.
    """

    first: Float[Tensor, "n dim"]
    second: Float[Tensor, "m dim"]
    firsts: Int64[Tensor, " n"]
    seconds: Int64[Tensor, " m"]
    belonging: Int64[Tensor, "pairs 2"]
    kinds: tuple[str, str]


def _pairs_of(judged: Judged) -> _Pairs:
    """Those that judge: of the test part, or of the training part where there is none.

    A pair whose image could not be read, for which another one stood in, judges nothing.
    """
    part = judged.judging
    first, second = judged.embedded_pairs  # by now every image was read
    assert part.partners is not None
    partners = part.partners.used()
    paired = partners.as_part()
    assert isinstance(paired.examples, Tensor)
    seconds, second_of = distinct(paired.examples)
    firsts, first_of = torch.arange(len(part)), torch.arange(len(part))
    if isinstance(part.examples, Tensor):
        firsts, first_of = distinct(part.examples)
    there = (partners.rows >= 0) & part.could_be_read()[:, None]
    rows, columns = there.nonzero(as_tuple=True)
    places = torch.stack([first_of[rows], second_of[partners.rows[rows, columns]]], dim=1)
    left, places[:, 0] = places[:, 0].unique(return_inverse=True)
    firsts = firsts[left]
    left, places[:, 1] = places[:, 1].unique(return_inverse=True)
    seconds = seconds[left]
    return _Pairs(
        first[firsts],
        second[seconds],
        firsts,
        seconds,
        torch.unique(places, dim=0),
        (part.modality, paired.modality),
    )


def judge_retrieval(spec: PairRetrievalSpec, judged: Judged) -> Found:
    """Recall@k and median rank in both directions; equal examples and equal partners count once."""
    judged.say(f"retrieval across kinds: {judged.kind}")
    pairs, records = _pairs_of(judged), []
    names = pairs.kinds if pairs.kinds[0] != pairs.kinds[1] else ("first", "second")
    for asks, ranks in (
        (names[0], ranks_across(pairs.first, pairs.second, pairs.belonging)),
        (names[1], ranks_across(pairs.second, pairs.first, pairs.belonging.flip(1))),
    ):
        count = len(ranks.place)
        about = {"asks": asks, "gallery": ranks.gallery}
        for k in spec.ranks:
            figures = {judged.kind: ranks.recall(k), "chance": ranks.chance_recall(k)}
            records += _records("pair_recall", judged, figures, count, {"k": k} | about)
        figures = {judged.kind: ranks.median, "chance": ranks.chance_median}
        records += _records("pair_median_rank", judged, figures, count, about)
    shown = _shown(judged, pairs) if judged.kind == "encoder" else {}
    return Found(records, shown)


def _shown(judged: Judged, pairs: _Pairs) -> dict[str, np.ndarray]:
    """Some images with a text of their own and the texts that lie nearest; drawn, not picked."""
    part = judged.judging
    if pairs.kinds != ("images", "texts"):
        return {}
    assert part.partners is not None
    paired = part.partners.used().as_part()
    assert isinstance(paired.examples, Tensor)
    texts = readable(paired.examples[pairs.seconds])
    draws = torch.Generator().manual_seed(judged.seed)
    rows = torch.randperm(len(pairs.first), generator=draws)[:SHOWN].sort().values
    cosines = unit_rows(pairs.first[rows]).float() @ unit_rows(pairs.second).float().T
    found = cosines.topk(min(NEAREST, cosines.shape[1])).indices
    own = torch.zeros_like(cosines, dtype=torch.bool)
    for place, row in enumerate(rows.tolist()):
        own[place, pairs.belonging[pairs.belonging[:, 0] == row, 1]] = True
    return {
        "pair_images": thumbnails(choose(part, pairs.firsts[rows]), judged.workers),
        "pair_texts": texts[own.int().argmax(dim=1).numpy()],
        "pair_found": texts[found.numpy()],
        "pair_found_right": own.gather(1, found).numpy(),
    }


def _records(
    name: str, judged: Judged, figures: dict, count: int, parameters: dict, metric: str = "mean"
) -> list[Record]:
    """The figure of what is judged, and beside the encoder's that of chance."""
    kinds = figures if judged.kind == "encoder" else (judged.kind,)
    return [
        Record(name, kind, metric, figures[kind], count, parameters=parameters) for kind in kinds
    ]


def judge_across(_: AcrossKindsSpec, judged: Judged) -> Found:
    """Alignment of all pairs, and how far the two kinds' mean directions lie apart."""
    pairs = _pairs_of(judged)
    first, second = unit_rows(pairs.first).float(), unit_rows(pairs.second).float()
    apart = alignment(first[pairs.belonging[:, 0]], second[pairs.belonging[:, 1]])
    gap = (first.mean(dim=0) - second.mean(dim=0)).norm()
    return Found(
        [
            Record("pair_alignment", judged.kind, "mean", float(apart), len(pairs.belonging)),
            Record("modality_gap", judged.kind, "mean", float(gap), len(pairs.belonging)),
        ]
    )


def class_vectors(
    judged: Judged, names: Sequence[str], templates: Sequence[str]
) -> Float[Tensor, "classes dim"]:
    """Of each class the mean of its sentences' unit embeddings, of unit length again."""
    sentences = [
        template.replace("{}", _as_words(name)) for name in names for template in templates
    ]
    most = max(len(text.encode("utf-8", "replace")) for text in sentences)
    rows, _ = encoded(sentences, most)
    embedded = judged.of_second(Part(rows, modality="texts"))
    vectors = unit_rows(embedded).float().view(len(names), len(templates), -1)
    return unit_rows(vectors.mean(dim=1))


def _as_words(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def judge_zero_shot(spec: ZeroShotSpec, judged: Judged) -> Found:
    """Top-1 and, of more than five classes, top-5 accuracy on the test part."""
    names, test = judged.source.class_names, judged.source.test
    if judged.source.second_modality != "texts":
        return Found()
    if names is None or all(name.isdigit() for name in names):
        return Found(notes=["zero-shot left out: the classes have no names, only numbers"])
    assert test is not None
    assert test.labels is not None
    judged.say(f"zero-shot: {judged.kind}")
    labels = test.labels.cpu()
    vectors = class_vectors(judged, names, spec.templates)
    # Above 0, as classes that are predicted at all.
    scores = unit_rows(judged.embedded_pairs[0]).float() @ vectors.T + 2
    records = []
    for best in (1, 5) if len(names) > 5 else (1,):
        figures = {judged.kind: top_accuracy(scores, labels, best), "chance": best / len(names)}
        parameters = {"templates": len(spec.templates)}
        records += _records("zero_shot", judged, figures, len(test), parameters, f"top{best}")
    return Found(records)
