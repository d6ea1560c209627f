"""The effective rank of test features, which needs no labels."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import Record
from nearfar_example.specs import EntropyRankSpec


def judge(spec: EntropyRankSpec, judged: Judged) -> Found:
    """The effective rank of one kind of features of the test part."""
    judged.say(f"entropy rank: {judged.kind}")
    features = judged.test[: spec.examples]
    rank = entropy_rank(features)
    return Found([Record("entropy_rank", judged.kind, "mean", rank, len(features))])


def entropy_rank(features: Float[Tensor, "n dim"]) -> float:
    """E to the entropy of the shares p of the singular values: exp(−Σ p log p).

    Source:
        Garrido, Balestriero, Najman and LeCun 2023, RankMe, arXiv:2210.02885.
    """
    values = torch.linalg.svdvals(features.double())
    shares = values / values.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return float(torch.special.entr(shares).sum().exp())
