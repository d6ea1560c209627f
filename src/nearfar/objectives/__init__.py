"""Objectives as pure functions: tensors in, a scalar mean in nats out."""

from nearfar.objectives.alignment_uniformity import alignment, uniformity
from nearfar.objectives.nt_xent import nt_xent

__all__ = ["alignment", "nt_xent", "uniformity"]
