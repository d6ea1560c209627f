"""Recipes for CIFAR-10 and CIFAR-100, with the settings of their sources. Imports nothing heavy."""

from dataclasses import replace
from typing import Literal

from nearfar.data.specs import CIFAR10Spec, CIFAR100Spec
from nearfar.encoders.specs import CIFARResNet32Spec, TimmSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.labelled_specs import PaCoSpec, SupConSpec
from nearfar.methods.objective_specs import (
    DebiasedNegSpec,
    DebiasedPosSpec,
    NTXentSpec,
    ObjectiveSpec,
)
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec
from nearfar.recipes.known import Family, Figure, knn, published, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import CosineSpec, DropsSpec
from nearfar.training.specs import AdamWSpec, SGDSpec, TrainingSpec
from nearfar.views.specs import MoCoV2ViewsSpec, PaCoViewsSpec, SimCLRViewsSpec

CIFAR = Family(
    "CIFAR-10 and CIFAR-100",
    data="FOLDER holds the source's files; with --data.download they are fetched where there is a "
    "network.",
    command="nearfar train {name} --data.root FOLDER",
    hardware="one GPU",
)

DEBIASED = replace(
    CIFAR,
    title="CIFAR-10, debiased positives",
    setup="All recipes of this family share the set-up of Troshestova & Isachenko (2023): a "
    "ResNet-18 for 50 epochs at one rate, on the same views.",
)

# Figures of the literature are of encoders that learnt from the whole training part.
_CIFAR10 = CIFAR10Spec(held_out=0.0)
_RESNET18 = TimmSpec(name="timm/resnet18", stem="small")


def _debiased_setup(objective: ObjectiveSpec, *, views: int = 2, batch_size: int = 512) -> Recipe:
    """The set-up of Troshestova & Isachenko (2023), who compare losses in it.

    Adam at a constant rate: AdamW's decay, at 1e-6, moves weights no further than Adam's.

    Args:
        objective: What is compared.
        views: Of each image.
        batch_size: Images in a step.
    """
    return Recipe(
        data=_CIFAR10,
        views=SimCLRViewsSpec(jitter_strength=0.5, count=views, implementation="exact"),
        encoder=_RESNET18,
        method=SimCLRSpec(objective=objective, projection_hidden=512, projection_dim=128),
        training=TrainingSpec(
            epochs=50,
            batch_size=batch_size,
            optimizer=AdamWSpec(learning_rate=1e-3, weight_decay=1e-6),
            schedule=DropsSpec(warmup_share=0.0),
            knn_vote=(200, 0.5),
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((200, 0.5), (200, 0.1)))),
    )


_TAU_PLUS = 0.1
"""Ten classes, each as frequent."""


def _debiased_pos(positives: Literal["grouping", "combination"]) -> DebiasedPosSpec:
    return DebiasedPosSpec(temperature=0.5, tau_plus=_TAU_PLUS, positives=positives)


@recipe(
    DEBIASED,
    published(
        knn(200, 0.5, 74.3, of="at epoch 50"),
        knn(200, 0.5, 82.8, of="false negatives dropped"),
        knn(200, 0.5, 68.9, of="with false positives"),
        knn(200, 0.5, 78.4, of="of three views"),
    ),
)
def simclr_cifar10() -> Recipe:
    """SimCLR with a ResNet-18, the baseline of Troshestova & Isachenko (2023).

    For their other experiments add `--method.objective.drop-false-negatives yes`,
    `--training.false-positives 0.3` or `--views.count 3`.

    What is ours: biases and batch-norm are left out of weight decay, and an image's false positive
    is drawn from its batch.
    """
    return _debiased_setup(NTXentSpec(temperature=0.5))


@recipe(
    DEBIASED,
    published(
        knn(200, 0.5, 75.6, of="at epoch 50"),
        knn(200, 0.5, 85.0, of="false negatives dropped"),
        knn(200, 0.5, 71.0, of="with false positives"),
        knn(200, 0.5, 78.9, of="of three views"),
    ),
)
def debiased_neg_cifar10() -> Recipe:
    """Debiased negatives (Chuang et al. 2020), as Troshestova & Isachenko (2023) trained them.

    Options for their other experiments, and what is ours, are those of `simclr-cifar10`.
    """
    return _debiased_setup(DebiasedNegSpec(temperature=0.5, tau_plus=_TAU_PLUS))


@recipe(
    DEBIASED,
    published(
        knn(200, 0.5, 76.8, of="at epoch 50"),
        knn(200, 0.5, 85.2, of="false negatives dropped"),
        knn(200, 0.5, 73.2, of="with false positives"),
    ),
)
def debiased_pos_cifar10() -> Recipe:
    """Debiased positives, as Troshestova & Isachenko (2023) trained them.

    Options for their other experiments, and what is ours, are those of `simclr-cifar10`.
    """
    return _debiased_setup(_debiased_pos("grouping"))


@recipe(DEBIASED, published(knn(200, 0.5, 80.1)))
def debiased_pos_cifar10_grouping() -> Recipe:
    """Debiased positives, two grouped (M = 2), as Troshestova & Isachenko (2023) trained them.

    Three views of each image. What is ours is as in `simclr-cifar10`.
    """
    return _debiased_setup(_debiased_pos("grouping"), views=3)


@recipe(DEBIASED, published(knn(200, 0.5, 80.5)))
def debiased_pos_cifar10_combination() -> Recipe:
    """Debiased positives, losses of two combined (M = 2), of Troshestova & Isachenko (2023).

    Three views of each image. What is ours is as in `simclr-cifar10`.
    """
    return _debiased_setup(_debiased_pos("combination"), views=3)


@recipe(DEBIASED, published(knn(200, 0.5, 81.75)))
def debiased_pos4_cifar10_grouped() -> Recipe:
    """Debiased positives, four grouped (M = 4), of Troshestova & Isachenko (2023).

    Five views of each image in batches of 64, an eighth of those of M = 1 and 2: what M does alone
    only a run of `debiased-pos-cifar10` in such batches tells (`--training.batch-size 64`). What is
    ours is as in `simclr-cifar10`.
    """
    return _debiased_setup(_debiased_pos("grouping"), views=5, batch_size=64)


@recipe(DEBIASED, published(knn(200, 0.5, 82.44)))
def debiased_pos4_cifar10_combined() -> Recipe:
    """Debiased positives, losses of four combined (M = 4), of Troshestova & Isachenko (2023).

    Batches and what is ours are as in `debiased-pos4-cifar10-grouped`.
    """
    return _debiased_setup(_debiased_pos("combination"), views=5, batch_size=64)


@recipe(
    CIFAR,
    published(
        knn(200, 0.1, 82.6, of="after 200 epochs"),
        knn(200, 0.1, 86.3, of="after 400 epochs"),
        knn(200, 0.1, 88.7, of="after 800 epochs"),
        knn(200, 0.1, 85.3, of="symmetric, after 200 epochs"),
        knn(200, 0.1, 88.5, of="symmetric, after 400 epochs"),
        knn(200, 0.1, 89.7, of="symmetric, after 800 epochs"),
    ),
)
def moco_cifar10() -> Recipe:
    """MoCo, as its authors' demonstration trains it on one GPU: batch-norm in eight parts.

    v1's linear head, with v2's views but for the blur, and its schedule. `--method.symmetric` takes
    the symmetric loss, which is the sum of both directions, as theirs. The source judges the 128-d
    output: the figures are of the embedding, which is judged beside the features.

    What is ours: biases and batch-norm are left out of weight decay.
    """
    return Recipe(
        data=_CIFAR10,
        views=MoCoV2ViewsSpec(crop_scale=(0.08, 1.0), blur=0.0, implementation="exact"),
        encoder=_RESNET18,
        method=MoCoSpec(
            head="linear",
            projection_dim=128,
            temperature=0.1,
            queue_size=4096,
            momentum=0.99,
            batch_norm_splits=8,
        ),
        training=TrainingSpec(
            epochs=200,
            batch_size=512,
            optimizer=SGDSpec(learning_rate=0.06, weight_decay=5e-4, momentum=0.9),
            schedule=CosineSpec(warmup_share=0.0),
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((200, 0.1),)), embeddings=True),
    )


@recipe(
    CIFAR,
    published(
        knn(200, 0.1, 87.2, of="after 200 epochs"), knn(200, 0.1, 91.1, of="after 800 epochs")
    ),
)
def byol_cifar10() -> Recipe:
    """BYOL, in the set-up that lightly's benchmark publishes.

    The source trains at rate 0.24 with decay 5e-4 on half the sum of both negative cosines; our
    loss, Grill et al.'s, is four times that and a constant, so a quarter of the rate and four times
    the decay take the same steps.

    What is ours: the momentum rises from 0.99, where theirs stays, and biases and batch-norm are
    left out of weight decay.
    """
    return Recipe(
        data=_CIFAR10,
        views=SimCLRViewsSpec(jitter_strength=0.5, blur=0.0, implementation="exact"),
        encoder=_RESNET18,
        method=BYOLSpec(
            projection_hidden=1024, projection_dim=256, prediction_hidden=1024, momentum=0.99
        ),
        training=TrainingSpec(
            epochs=200,
            batch_size=512,
            optimizer=SGDSpec(learning_rate=0.06, weight_decay=2e-3, momentum=0.9),
            schedule=CosineSpec(warmup_share=0.0),
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((200, 0.1),))),
    )


@recipe(
    replace(CIFAR, hardware="several GPUs"),
    published(
        Figure("linear_probe", 96.0), Figure("classifier", 95.0, of="cross-entropy in its place")
    ),
)
def supcon_cifar10() -> Recipe:
    """SupCon with a ResNet-50, with the settings of its authors' program.

    The source trains at rate 0.5 with decay 1e-4 and multiplies its loss by 0.1/0.07; ours is not
    multiplied, so a rate 0.1/0.07 times as high (0.714) with a decay as many times smaller (7e-5)
    takes the same steps.

    What is ours: batch-norm in the head, a warm-up from 0, and the evaluation's linear probe for
    the second stage.
    """
    return Recipe(
        data=_CIFAR10,
        views=MoCoV2ViewsSpec(blur=0.0, implementation="exact"),
        encoder=TimmSpec(name="timm/resnet50", stem="small"),
        method=SupConSpec(temperature=0.1, projection_hidden=2048, projection_dim=128),
        training=TrainingSpec(
            epochs=1000,
            batch_size=1024,
            optimizer=SGDSpec(
                learning_rate=0.5 * 0.1 / 0.07, weight_decay=1e-4 * 0.07 / 0.1, momentum=0.9
            ),
            schedule=CosineSpec(warmup_share=10 / 1000),
            knn_every=50,
            checkpoint_every=10,
        ),
    )


@recipe(
    CIFAR,
    published(
        Figure("classifier", 52.0),
        Figure("classifier", 56.0, of="imbalance factor 50"),
        Figure("classifier", 64.2, of="imbalance factor 10"),
        Figure("classifier", 38.3, of="cross-entropy in its place, without these views"),
    ),
)
def paco_cifar100_lt() -> Recipe:
    """PaCo on a long tail of imbalance factor 100, with the settings of Cui et al. (2021).

    Backbone (a ResNet-32 of 464 thousand weights, 64 features), head, views, rate, alpha and
    dimensions are those of the source's program and of its script for this imbalance;
    `--data.imbalance-factor` takes 50 or 10. Balanced softmax on the same views is had by `--method
    balanced-softmax --views.count 1`.

    What is ours: Cutout's square has the mean colour, where the source's is black, and shears take
    the nearest pixel, where it interpolates.
    """
    return Recipe(
        # The 10 847 images of the literature, none held out.
        data=CIFAR100Spec(imbalance_factor=100.0, held_out=0.0),
        views=PaCoViewsSpec(implementation="exact"),
        encoder=CIFARResNet32Spec(width=16),
        method=PaCoSpec(
            temperature=0.05,
            alpha=0.01,
            queue_size=1024,
            momentum=0.999,
            head="three-layer",
            projection_hidden=64,
            projection_dim=32,
        ),
        training=TrainingSpec(
            epochs=400,
            batch_size=128,
            optimizer=SGDSpec(learning_rate=0.05, weight_decay=5e-4, momentum=0.9),
            schedule=DropsSpec(warmup_share=10 / 400, epochs=(320.0, 360.0)),
            knn_every=20,
            checkpoint_every=10,
        ),
    )
