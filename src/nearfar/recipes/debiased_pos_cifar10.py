"""Debiased positives on CIFAR-10, as Troshestova & Isachenko (2023) trained them.

Command: `nearfar train debiased-pos-cifar10 --data.root FOLDER` (with `--data.download` where there
is a network); meant for one GPU. For M = 2 positives add `--views.count 3` and, for the combination
of losses, `--method.objective.positives combination`; for their other experiments
`--method.objective.drop-false-negatives yes` and `--training.false-positives 0.3`.
Expected: the source reads top-1 by kNN with k = 200, T = 0.5 at epoch 50: 76.8 %; 85.2 % with false
negatives dropped, 73.2 % with false positives; with M = 2, 80.1 % grouped and 80.5 % combined. We
have not reproduced it yet. What is ours: warm-up and cosine for the rate, and AdamW's decoupled
decay in place of Adam's.
"""

from dataclasses import replace

from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.objective_specs import DebiasedPosSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.simclr_cifar10 import simclr_cifar10


def debiased_pos_cifar10() -> Recipe:
    """The baseline's run with debiased positives."""
    return replace(
        simclr_cifar10(),
        recipe="debiased-pos-cifar10",
        method=SimCLRSpec(
            objective=DebiasedPosSpec(temperature=0.5, tau_plus=0.1),
            projection_hidden=512,
            projection_dim=128,
        ),
        evaluation=EvaluationConfig(knn=((200, 0.5), (200, 0.1))),
    )
