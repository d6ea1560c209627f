"""Recipes for the 1797 handwritten digits inside scikit-learn: 8 px, seconds. Light."""

from dataclasses import replace

from nearfar.data.specs import DigitsSpec
from nearfar.encoders.specs import PatchGRUSpec, SmallResNetSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.cpc_spec import CPCSpec
from nearfar.methods.labelled_specs import CrossEntropySpec, PaCoSpec, SupConSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec
from nearfar.recipes.known import Duration, Family, Figure, Figures, few_labels, knn, recipe
from nearfar.recipes.known import measured as measured_on
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import CosineSpec
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import DigitsViewsSpec

DIGITS = Family(
    "Handwritten digits",
    data="The data come with scikit-learn, so no network is needed.",
    hardware="two CPU cores",
)
_THREAD = "one thread of an AMD EPYC with bf16"
_BUSY_THREAD = "one thread of a busy AMD EPYC with bf16"


def _measured(*rows: Figure) -> Figures:
    return measured_on(*rows, examples=500, seeds=(0, 1, 2), page="docs/results.md")


def _digits_recipe(method: MethodSpec, epochs: int) -> Recipe:
    """A small ResNet on two views of each digit."""
    return Recipe(
        data=DigitsSpec(),
        views=DigitsViewsSpec(),
        encoder=SmallResNetSpec(width=32),
        method=method,
        training=TrainingSpec(
            epochs=epochs, batch_size=256, optimizer=AdamWSpec(learning_rate=3e-3), knn_every=10
        ),
        # k = 20 leads the report: 200 is more than a digit has training images (130).
        evaluation=EvaluationSpec.by(KNNSpec(votes=((20, 0.07), (200, 0.1), (200, 0.5)))),
    )


@recipe(
    DIGITS,
    _measured(
        knn(20, 0.07, 98.3, 0.3, raw=97.8),
        few_labels(10, 97.1, 0.4, raw=90.4),
        few_labels(1, 91.0, 1.5, raw=64.8),
    ),
    Duration(44.0, "two cores of an AMD EPYC with bf16", "65 s with evaluation and report"),
)
def simclr_digits() -> Recipe:
    """SimCLR: the recipe that needs nothing."""
    return _digits_recipe(
        SimCLRSpec(
            objective=NTXentSpec(temperature=0.5), projection_hidden=512, projection_dim=128
        ),
        epochs=130,
    )


@recipe(
    DIGITS,
    _measured(
        knn(20, 0.07, 98.6, 0.5, untrained=97.7, raw=97.8),
        few_labels(10, 95.9, 0.2, untrained=81.8, raw=90.4),
        Figure("linear_probe", 99.1, 0.5, untrained=93.9, raw=96.8),
    ),
)
def moco2_digits() -> Recipe:
    """MoCo v2, with a key encoder that keeps 0.99 of itself at each step.

    Otherwise the set-up of `simclr-digits`. The queue holds 1024 keys, four batches: with 1167
    digits to learn from, a longer one would hold earlier keys of an image among its negatives.
    """
    method = MoCoSpec(projection_hidden=512, queue_size=1024, momentum=0.99)
    return replace(simclr_digits(), method=method)


@recipe(
    DIGITS,
    _measured(
        knn(20, 0.07, 93.7, 4.0, untrained=94.5, raw=97.8),
        few_labels(10, 86.0, 5.6, untrained=72.7, raw=90.4),
    ),
    Duration(30.0, _THREAD),
)
def byol_digits() -> Recipe:
    """BYOL: no negatives; 400 steps with narrow heads, too few to lead its untrained network.

    The target follows fast at first: at the paper's momentum of 0.996 it would lag behind by more
    than half of the 400 steps.
    """
    recipe = simclr_digits()
    return replace(
        recipe,
        encoder=replace(recipe.encoder, width=16),
        method=BYOLSpec(
            projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.9
        ),
        training=replace(recipe.training, epochs=40, batch_size=128, schedule=CosineSpec()),
    )


@recipe(
    DIGITS,
    _measured(
        knn(20, 0.07, 97.2, 0.7, untrained=96.2, raw=97.8),
        few_labels(10, 89.9, 1.8, untrained=88.0, raw=90.4),
        Figure("linear_probe", 96.7, 1.3, untrained=96.9, raw=96.8),
    ),
    Duration(54.0, _BUSY_THREAD),
)
def cpc_digits() -> Recipe:
    """CPC: each row of 2 px patches predicts the rows below it, through a GRU.

    It learns, and stays behind raw pixels.
    """
    return Recipe(
        data=DigitsSpec(),
        # One view, and no jitter: what is drawn once for an image would give all its rows away.
        views=DigitsViewsSpec(count=1, crop_scale=(0.6, 1.0), rotation=0.0, jitter=0.0),
        encoder=PatchGRUSpec(width=16),
        method=CPCSpec(prediction_steps=6),
        training=TrainingSpec(
            epochs=20, batch_size=128, optimizer=AdamWSpec(learning_rate=4e-3), knn_every=5
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((20, 0.07), (200, 0.1)))),
    )


@recipe(
    DIGITS,
    _measured(
        knn(20, 0.07, 99.3, 0.6, untrained=97.7, raw=97.8),
        Figure("linear_probe", 99.5, 0.6, untrained=93.9, raw=96.8),
        few_labels(10, 99.2, 0.5, untrained=81.8, raw=90.4),
    ),
    Duration(105.0, _BUSY_THREAD),
)
def supcon_digits() -> Recipe:
    """SupCon: contrast with labels."""
    return _digits_recipe(SupConSpec(temperature=0.1), epochs=40)


@recipe(
    DIGITS,
    _measured(
        Figure("classifier", 99.1, 0.3),
        knn(20, 0.07, 99.3, 0.3, untrained=97.7, raw=97.8),
        few_labels(10, 99.3, 0.3, untrained=81.8, raw=90.4),
    ),
    Duration(91.0, _BUSY_THREAD),
)
def cross_entropy_digits() -> Recipe:
    """Cross-entropy: the supervised baseline."""
    return _digits_recipe(CrossEntropySpec(), epochs=40)


@recipe(
    DIGITS,
    _measured(
        Figure("classifier", 99.3, 0.1),
        knn(20, 0.07, 99.4, 0.2, untrained=97.7, raw=97.8),
        Figure("linear_probe", 99.5, 0.3, untrained=93.9, raw=96.8),
    ),
    Duration(104.0, _BUSY_THREAD),
)
def paco_digits() -> Recipe:
    """PaCo: contrast with labels and a centre for every class."""
    return _digits_recipe(
        PaCoSpec(temperature=0.2, alpha=0.05, queue_size=1024, momentum=0.99), epochs=40
    )
