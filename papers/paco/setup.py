"""The set-up of PaCo's comparisons on long tails, at the size of two CPU cores."""

from dataclasses import replace

from nearfar.data.font_specs import FontsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.accuracy_specs import KNNSpec, LinearProbeSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.labelled_specs import (
    BalancedSoftmaxSpec,
    CrossEntropySpec,
    PaCoSpec,
    SupConQueueSpec,
    SupConSpec,
)
from nearfar.methods.method_spec import MethodSpec
from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from papers.reproductions.reproduction import Pilot
from papers.reproductions.yardstick import OUR_KNN, Yardstick

SOURCE = "Cui et al. 2021"
CLASSES, BATCH, QUEUE, MOMENTUM = 62, 64, 1024, 0.99
TAIL, BALANCED = 100, 1
"""Imbalance factors: of the main question, and of classes of one size."""
EPOCHS = {BALANCED: 4, 10: 9, 50: 14, TAIL: 16}
"""By imbalance factor, so that all have about as many steps."""
ALPHA, TEMPERATURE = 0.05, 0.2
"""The source's on ImageNet; with its 0.01 and 0.05 of CIFAR little is learnt in so few steps."""
METHODS: dict[str, MethodSpec] = {
    "cross-entropy": CrossEntropySpec(),
    "balanced-softmax": BalancedSoftmaxSpec(),
    "supcon": SupConSpec(temperature=0.1),
    "supcon-queue": SupConQueueSpec(temperature=0.1, queue_size=QUEUE, momentum=MOMENTUM),
    "paco": PaCoSpec(
        temperature=TEMPERATURE,
        alpha=ALPHA,
        queue_size=QUEUE,
        momentum=MOMENTUM,
        head="mlp",
        projection_hidden=512,
        projection_dim=128,
    ),
}
TITLES = {
    "cross-entropy": "cross-entropy",
    "balanced-softmax": "balanced softmax",
    "supcon": "SupCon",
    "supcon-queue": "SupCon with a queue",
    "paco": "PaCo",
}
PROBE = Yardstick("class-balanced probe", protocol="linear_probe", parameters={"balanced": True})
KNN = OUR_KNN
OWN = Yardstick("own classifier", protocol="classifier")


def recipe(method: MethodSpec, imbalance: int) -> Recipe:
    """One run; the seed draws which classes are large.

    Args:
        method: What trains it.
        imbalance: Factor; 1 leaves every class whole.
    """
    tail = imbalance > 1
    return Recipe(
        data=FontsSpec(
            characters=CLASSES,
            imbalance_factor=float(imbalance) if tail else None,
            tail_order="drawn" if tail else "listed",
        ),
        # The classifiers learn from the one view that PaCo's and the queue's queries are made of.
        views=replace(VIEWS, count=method.least_views),
        encoder=SmallResNetSpec(width=16),
        method=method,
        training=TrainingSpec(
            epochs=EPOCHS[imbalance],
            batch_size=BATCH,
            optimizer=AdamWSpec(learning_rate=3e-3),
            knn_every=EPOCHS[imbalance],
            checkpoint_every=4,
        ),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=((20, 0.07),), form="as-is"),
            LinearProbeSpec(balanced=True),
            baselines=False,
            leave_out=("few_labels", "effective_rank", "geometry", "map", "gallery", "retrieval"),
        ),
    )


def arm(method: str, imbalance: int) -> str:
    """Its name."""
    return f"{method}-if-{imbalance}"


def setups(*imbalances: int, methods: tuple[str, ...] = tuple(METHODS)) -> dict[str, Recipe]:
    """Every method at every imbalance."""
    return {
        arm(method, imbalance): recipe(METHODS[method], imbalance)
        for imbalance in imbalances
        for method in methods
    }


OURS = (
    "Ours: the 62 digits and letters as 489 families of fonts draw them, no family in two parts, "
    "thinned from 322 images a class; which classes are large is drawn by the seed. 5000 test "
    "images, balanced; a ResNet of width 16; AdamW; about 1000 steps of 64 whatever the imbalance. "
    "The classifiers, and the queries of PaCo and of SupCon's queue, are of one view an image; "
    f"SupCon without a queue has two. PaCo has its source's queue of {QUEUE} for CIFAR, and of its "
    f"settings for ImageNet T = {TEMPERATURE}, α = {ALPHA} and a head of two layers without "
    "batch-norm, 512 and 128: tried on training images, CIFAR's (0.05, 0.01, three layers of "
    "64 and 32) teach little in so few steps. For the same reason the momentum is "
    f"{MOMENTUM} instead of 0.999. SupCon's T is 0.1, its head as wide and with batch-norm. The "
    "views are those of "
    "`simclr-fonts`, for all: Cutout and AutoAugment's shears and flips, the source's, make one "
    "letter into another. **One yardstick "
    "for all**: a linear probe in which every class weighs the same, and kNN. Each method's own "
    "classifier stands beside and is compared with none: cross-entropy's leans to large classes."
)


def _pilot() -> dict[str, Recipe]:
    return setups(TAIL, methods=("paco", "balanced-softmax"))


PILOT = Pilot("long-tail", _pilot)
