"""Semantic similarity: whether cosines rank pairs of texts as their scores do."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import spearmanr

from nearfar.data.folder_tree import many
from nearfar.data.scored_pairs import ScoredPairs, read_scored_pairs
from nearfar.data.source import Part
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import Record
from nearfar.evaluation.text_specs import SemanticSimilaritySpec
from nearfar.objectives.precision import unit_rows
from nearfar.text_bytes import encoded

_Z = 1.959963984540054
"""The standard normal is within ± this with a chance of 95 %."""
_AT_A_TIME = 5000
"""Pairs whose features are held together: TF-IDF has 2048 of them."""
_ALIKE = 1e-7
"""Largest difference of cosines that rounding in float32 makes."""


def judge(spec: SemanticSimilaritySpec, judged: Judged) -> Found:
    """Spearman's rank correlation of cosines with scores, and its interval."""
    modality = judged.source.train.modality
    if modality != "texts":
        return Found(notes=[f"semantic_similarity left out: it is of texts, these are {modality}"])
    assert spec.pairs is not None
    pairs = read_scored_pairs(spec.pairs, spec.first_column, spec.second_column, spec.score_column)
    cosines, notes = _cosines(pairs, judged)
    notes = [*pairs.notes, *notes]
    if np.ptp(cosines) <= _ALIKE:
        told = f"no semantic similarity of {judged.kind} features: all pairs are equally alike"
        return Found(notes=[*notes, told])
    found = spearmanr(cosines, pairs.scores)
    value = float(np.clip(found.correlation, -1, 1))  # pyright: ignore[reportAttributeAccessIssue]
    low, high = rank_correlation_interval(value, len(cosines))
    parameters: dict[str, Any] = {
        "pairs": spec.pairs.name,
        "interval": [low, high],
        "standard_error": (high - low) / (2 * _Z),
    }
    return Found(
        [
            Record(
                "semantic_similarity",
                judged.kind,
                "spearman",
                value,
                len(cosines),
                parameters=parameters,
            )
        ],
        notes=notes,
    )


def rank_correlation_interval(value: float, n: int) -> tuple[float, float]:
    """The interval of 95 % of Spearman's rank correlation, by Fisher's z (Bonett & Wright 2000).

    Args:
        value: The correlation, -1 to 1.
        n: Pairs that it is of, 4 or more, drawn independently of each other.
    """
    if abs(value) == 1:
        return value, value
    half = _Z * math.sqrt((1 + value**2 / 2) / (n - 3))
    return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)


def _cosines(pairs: ScoredPairs, judged: Judged) -> tuple[Float[np.ndarray, " n"], list[str]]:
    """The cosine of each pair's features, 0 where one has none; and how many texts were cut."""
    length, cut, found = judged.source.train.example_shape[0], 0, []
    for begin in range(0, len(pairs.scores), _AT_A_TIME):
        some = slice(begin, begin + _AT_A_TIME)
        rows, longer = encoded([*pairs.first[some], *pairs.second[some]], length)
        cut += longer
        features = judged.taken_of(Part(rows, modality="texts"))
        first, second = unit_rows(features.double()).chunk(2)
        found.append((first * second).sum(dim=1))
    told = f"semantic similarity: {many(cut, 'text')} of pairs are longer than {length} bytes: cut"
    return torch.cat(found).numpy(), [told] if cut else []
