"""The table of cases that every property test, and the table of equivalence, runs over.

A new objective is one `Case` in the list of its family's module.
"""

from . import (
    alignment_uniformity,
    balanced_softmax,
    byol,
    debiased,
    decorrelation,
    info_nce,
    nce,
    nt_xent,
    paco,
    sigmoid,
    supcon,
    triplet,
)
from .case import Case, cast

CASES: list[Case] = [
    *nt_xent.CASES,
    *info_nce.CASES,
    *sigmoid.CASES,
    *debiased.CASES,
    *alignment_uniformity.CASES,
    *supcon.CASES,
    *triplet.CASES,
    *byol.CASES,
    *balanced_softmax.CASES,
    *paco.CASES,
    *nce.CASES,
    *decorrelation.CASES,
]

__all__ = ["CASES", "Case", "cast"]
