"""Recipes for CIFAR-10 and CIFAR-100, with the settings of their sources. Imports nothing heavy."""

from dataclasses import replace

from nearfar.data.specs import CIFAR10Spec, CIFAR100Spec
from nearfar.encoders.specs import CIFARResNet32Spec, TimmSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.specs import KNNSpec
from nearfar.methods.objective_specs import DebiasedPosSpec, NTXentSpec
from nearfar.methods.specs import BYOLSpec, MoCoSpec, PaCoSpec, SimCLRSpec, SupConSpec
from nearfar.recipes.known import Family, Figure, knn, published, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import CosineSpec, DropsSpec
from nearfar.training.specs import AdamWSpec, SGDSpec, TrainingSpec
from nearfar.views.specs import MoCoV2ViewsSpec, SimCLRViewsSpec

CIFAR = Family(
    "CIFAR-10 and CIFAR-100",
    data="FOLDER holds the source's files; with --data.download they are fetched where there is a "
    "network.",
    command="nearfar train {name} --data.root FOLDER",
    hardware="one GPU",
)

# Figures of the literature are of encoders that learnt from the whole training part.
_CIFAR10 = CIFAR10Spec(held_out=0.0)
_RESNET18 = TimmSpec(name="timm/resnet18", stem="small")


@recipe(CIFAR, published(knn(200, 0.5, 74.3, of="at epoch 50")))
def simclr_cifar10() -> Recipe:
    """SimCLR with a ResNet-18, as the baseline of Troshestova & Isachenko (2023) was trained.

    What is ours: warm-up and cosine for the rate, and AdamW's decoupled decay in place of Adam's.
    """
    return Recipe(
        data=_CIFAR10,
        views=SimCLRViewsSpec(
            crop_scale=(0.08, 1.0), flip=0.5, jitter=0.8, jitter_strength=0.5, grey=0.2, blur=0.5
        ),
        encoder=_RESNET18,
        method=SimCLRSpec(
            objective=NTXentSpec(temperature=0.5), projection_hidden=512, projection_dim=128
        ),
        training=TrainingSpec(
            epochs=50,
            batch_size=512,
            optimizer=AdamWSpec(learning_rate=1e-3, weight_decay=1e-6),
            schedule=CosineSpec(warmup_share=2 / 50),
        ),
    )


@recipe(
    CIFAR,
    published(
        knn(200, 0.5, 76.8, of="at epoch 50"),
        knn(200, 0.5, 85.2, of="false negatives dropped"),
        knn(200, 0.5, 73.2, of="with false positives"),
        knn(200, 0.5, 80.1, of="M = 2, grouped"),
        knn(200, 0.5, 80.5, of="M = 2, combined"),
    ),
)
def debiased_pos_cifar10() -> Recipe:
    """Debiased positives, as Troshestova & Isachenko (2023) trained them.

    For M = 2 positives add `--views.count 3` and, for the combination of losses,
    `--method.objective.positives combination`; for their other experiments
    `--method.objective.drop-false-negatives yes` and `--training.false-positives 0.3`.

    What is ours: warm-up and cosine for the rate, and AdamW's decoupled decay in place of Adam's.
    """
    return replace(
        simclr_cifar10(),
        method=SimCLRSpec(
            objective=DebiasedPosSpec(temperature=0.5, tau_plus=0.1),
            projection_hidden=512,
            projection_dim=128,
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((200, 0.5), (200, 0.1)))),
    )


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
def moco2_cifar10() -> Recipe:
    """MoCo, as its authors' demonstration trains it on one GPU: batch-norm in eight parts.

    `--method.symmetric` takes the symmetric loss, which is the sum of both directions, as theirs.
    The source judges the 128-d output; here the encoder's features are judged.

    What is ours: v2's head with a hidden layer, where theirs is linear as v1's (`--method.head
    linear`), and biases and batch-norm are left out of weight decay.
    """
    return Recipe(
        data=_CIFAR10,
        views=MoCoV2ViewsSpec(crop_scale=(0.08, 1.0), blur=0.0),
        encoder=_RESNET18,
        method=MoCoSpec(
            head="mlp",
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
        evaluation=EvaluationSpec.by(KNNSpec(votes=((200, 0.1),))),
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
        views=SimCLRViewsSpec(jitter_strength=0.5, blur=0.0),
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
        views=MoCoV2ViewsSpec(blur=0.0),
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
        Figure("classifier", 52.0), Figure("classifier", 38.3, of="cross-entropy in its place")
    ),
)
def paco_cifar100_lt() -> Recipe:
    """PaCo on a long tail of imbalance factor 100, with the settings of Cui et al. (2021).

    Backbone (a ResNet-32 of 464 thousand weights, 64 features), head, rate, alpha and dimensions
    are those of the source's program and of its script for this imbalance.

    What is ours: the query's view is like the key's, where the source has AutoAugment and Cutout.
    """
    return Recipe(
        # The 10 847 images of the literature, none held out.
        data=CIFAR100Spec(imbalance_factor=100.0, held_out=0.0),
        views=MoCoV2ViewsSpec(),
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
