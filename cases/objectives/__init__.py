"""Every objective with its equation as a loop, and what holds for it.

A new objective is one `ObjectiveCase` in the list of its family's module.
"""

from nearfar.testing import ObjectiveCase

from . import (
    alignment_uniformity,
    balanced_softmax,
    byol,
    debiased,
    decorrelation,
    distillation,
    info_nce,
    nce,
    nt_xent,
    paco,
    sigmoid,
    supcon,
    triplet,
)

CASES: list[ObjectiveCase] = [
    *nt_xent.CASES,
    *info_nce.CASES,
    *sigmoid.CASES,
    *debiased.CASES,
    *alignment_uniformity.CASES,
    *supcon.CASES,
    *triplet.CASES,
    *byol.CASES,
    *distillation.CASES,
    *balanced_softmax.CASES,
    *paco.CASES,
    *nce.CASES,
    *decorrelation.CASES,
]
