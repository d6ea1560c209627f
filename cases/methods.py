"""Every method as the tests check it, and the page of what methods can do tells of it."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from nearfar.encoders.head_specs import LinearHeadSpec
from nearfar.encoders.saved import save_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.methods.clip_spec import CLIPSpec, SigmoidObjectiveSpec
from nearfar.methods.distill_spec import DistillSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import MoCoSpec, SimCLRSpec
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


_HELD = tempfile.TemporaryDirectory()
UNTAUGHT = "its teacher has random weights here"


def teacher(folder: Path) -> Path:
    """A finished run's encoder and head for images of one channel, 8×8, of random weights.

    Args:
        folder: Where it is written.
    """
    with torch.random.fork_rng():
        torch.manual_seed(4)
        spec, head = SmallResNetSpec(width=4), LinearHeadSpec(dim=6)
        encoder = spec.build((1, 8, 8))
        held = (head, head.build(cast(int, encoder.num_features)))
        shared = {"shape": (1, 8, 8), "mean": [0.5], "std": [0.5]}
        save_encoder(folder, encoder, spec, **shared, head=held)
    return folder


def default(kind: type[MethodSpec]) -> MethodSpec:
    """A method in its default settings, with a teacher where it needs one."""
    if kind is DistillSpec:
        return DistillSpec(teacher=str(teacher(Path(_HELD.name))))
    return kind()


def sized(spec: MethodSpec, sizes: Mapping[str, float] = SMALL) -> MethodSpec:
    """A method with those sizes that it has; a queue that it does without stays away."""
    return replace(spec, **{k: v for k, v in sizes.items() if getattr(spec, k, 0) != 0})


OF_TWO_KINDS = "digits are of one kind"
APART = {
    "cpc": {LEARNS: NOT_SO_SOON},
    "distill": {LEARNS: UNTAUGHT},
    "clip": {LEARNS: OF_TWO_KINDS},
}
CASES = [
    *(
        MethodCase(f"`{name}`", sized(default(kind)), APART.get(name, {}))
        for name, kind in MethodSpec.known().items()
        if kind.__module__.startswith("nearfar.")  # not those of plug-ins that are installed here
    ),
    MethodCase(
        "`simclr`, false negatives dropped",
        sized(SimCLRSpec(objective=NTXentSpec(drop_false_negatives="yes"))),
    ),
    MethodCase(
        "`distill`, regression",
        sized(DistillSpec(teacher=_HELD.name, objective="regression")),
        {LEARNS: UNTAUGHT},
    ),
    MethodCase(
        "`clip`, sigmoid",
        sized(CLIPSpec(objective=SigmoidObjectiveSpec())),
        {LEARNS: OF_TWO_KINDS},
    ),
    MethodCase("`clip`, queue", sized(CLIPSpec(queue_size=1)), {LEARNS: OF_TWO_KINDS}),
    MethodCase("`moco`, symmetric", sized(MoCoSpec(symmetric=True))),
    MethodCase(
        "`moco`, batch-norm split in 2",
        sized(MoCoSpec(batch_norm_splits=2)),
        {"2 ranks": NORMALISED_APART, "in parts": NORMALISED_APART},
        keeps_batch_norm=True,
    ),
]
"""Every method with its defaults, and with settings of which properties depend."""
