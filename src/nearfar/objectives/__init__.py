"""Objectives as pure functions: tensors in, a scalar mean in nats out."""

from nearfar.objectives.alignment_uniformity import (
    align_uniform,
    alignment,
    contrast_align_uniform,
    uniformity,
)
from nearfar.objectives.balanced_softmax import balanced_softmax
from nearfar.objectives.byol import byol
from nearfar.objectives.debiased import debiased_neg, debiased_pos
from nearfar.objectives.decorrelation import barlow_twins, vicreg
from nearfar.objectives.distillation import similarity_distillation
from nearfar.objectives.info_nce import clip, contrastive, info_nce, n_pair
from nearfar.objectives.nce import nce
from nearfar.objectives.nt_xent import decoupled, nt_xent
from nearfar.objectives.paco import paco
from nearfar.objectives.sigmoid import sigmoid
from nearfar.objectives.supcon import supcon
from nearfar.objectives.triplet import batch_hard_triplet, semi_hard_triplet, triplet

__all__ = [
    "align_uniform",
    "alignment",
    "balanced_softmax",
    "barlow_twins",
    "batch_hard_triplet",
    "byol",
    "clip",
    "contrast_align_uniform",
    "contrastive",
    "debiased_neg",
    "debiased_pos",
    "decoupled",
    "info_nce",
    "n_pair",
    "nce",
    "nt_xent",
    "paco",
    "semi_hard_triplet",
    "sigmoid",
    "similarity_distillation",
    "supcon",
    "triplet",
    "uniformity",
    "vicreg",
]
