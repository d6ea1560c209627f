"""Every method as the tests check it, and the page of what methods can do tells of it."""

from collections.abc import Mapping
from dataclasses import replace

from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.specs import MethodSpec, MoCoSpec, SimCLRSpec
from nearfar.testing import MethodCase

SMALL = {
    "projection_hidden": 8,
    "projection_dim": 4,
    "prediction_hidden": 8,
    "queue_size": 11,
    "prediction_steps": 2,
}
"""Sizes of a method's own parts, where it has them: so small that a step is instant."""

LEARNS = "digits, kNN"
NOT_SO_SOON = "not in ten epochs of views made for SimCLR"
NORMALISED_APART = "batch-norm sees a part of the batch at a time"


def sized(spec: MethodSpec, sizes: Mapping[str, float] = SMALL) -> MethodSpec:
    """A method with those sizes that it has."""
    return replace(spec, **{k: v for k, v in sizes.items() if hasattr(spec, k)})


CASES = [
    *(
        MethodCase(f"`{name}`", sized(kind()), {LEARNS: NOT_SO_SOON} if name == "cpc" else {})
        for name, kind in MethodSpec.choices.items()
    ),
    MethodCase(
        "`simclr`, false negatives dropped",
        sized(SimCLRSpec(objective=NTXentSpec(drop_false_negatives="yes"))),
    ),
    MethodCase("`moco`, symmetric", sized(MoCoSpec(symmetric=True))),
    MethodCase(
        "`moco`, batch-norm split in 2",
        sized(MoCoSpec(batch_norm_splits=2)),
        {"2 ranks": NORMALISED_APART, "in parts": NORMALISED_APART},
        keeps_batch_norm=True,
    ),
]
"""Every method with its defaults, and with settings of which properties depend."""
