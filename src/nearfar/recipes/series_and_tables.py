"""Recipes for series and tables inside packages: Japanese vowels, wines. Imports nothing heavy."""

from typing import Any

from nearfar.data.specs import SourceSpec
from nearfar.encoders.specs import EncoderSpec, MLPSpec, SeriesGRUSpec, SeriesResNetSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.cpc_spec import CPCSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.known import Duration, Family, few_labels, knn, measured, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import SeriesViewsSpec, VectorViewsSpec, ViewsSpec

VOWELS = Family(
    "Series and tables inside packages",
    data="270 utterances of nine speakers to learn from, 12 channels of at most 29 steps; they "
    "come with sktime (pip install 'nearfar[series]').",
    hardware="one CPU core",
)
WINES = Family(
    VOWELS.title,
    data="178 rows of 13 chemical measures; they come with scikit-learn, so no network is needed.",
    hardware="one CPU core",
)


def _small_recipe(
    data: str, views: ViewsSpec, encoder: EncoderSpec, method: MethodSpec, **training: Any
) -> Recipe:
    """What so small sets of data share."""
    return Recipe(
        # So few that all are learnt from: a tenth of them would tell next to nothing.
        data=SourceSpec.named(data)(held_out=0.0),
        views=views,
        encoder=encoder,
        method=method,
        training=TrainingSpec(**training),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=((5, 0.07), (20, 0.07))), FewLabelsSpec(labels_per_class=(1, 5, 10))
        ),
    )


@recipe(
    VOWELS,
    measured(
        knn(5, 0.07, 93.0, untrained=74.3, raw=98.4),
        few_labels(10, 93.0, untrained=72.3, raw=97.4),
        few_labels(1, 79.4, untrained=48.0, raw=81.5),
        examples=370,
    ),
    Duration(186.0, "one thread of an AMD EPYC that was busy with other work"),
)
def simclr_vowels() -> Recipe:
    """SimCLR with a ResNet along time on Japanese vowels.

    It does not reach the raw data, in which the speakers' levels lie open.
    """
    return _small_recipe(
        "japanese-vowels",
        # A speaker's channels tell him by their levels: a factor on each would hide him.
        SeriesViewsSpec(crop_length=(0.3, 1.0), scaling=0.0, channel_drop=0.2),
        SeriesResNetSpec(width=16),
        SimCLRSpec(objective=NTXentSpec(temperature=0.2), projection_hidden=256, projection_dim=64),
        epochs=300,
        batch_size=256,
        optimizer=AdamWSpec(learning_rate=3e-3),
        knn_every=30,
    )


@recipe(
    VOWELS,
    measured(
        knn(5, 0.07, 97.8, untrained=97.3, raw=98.4),
        few_labels(10, 96.8, untrained=96.7, raw=97.4),
        few_labels(1, 83.1, untrained=78.4, raw=81.5),
        examples=370,
    ),
    Duration(29.0, "one thread of a busy AMD EPYC with bf16"),
)
def cpc_vowels() -> Recipe:
    """CPC with causal convolutions and a GRU on Japanese vowels.

    These data do not tell the trained encoder, the untrained one and the raw series apart.
    """
    return _small_recipe(
        "japanese-vowels",
        # Noise alone: what is drawn once for a series, such as its scale, would give it away.
        SeriesViewsSpec(count=1, crop_length=(1.0, 1.0), scaling=0.0, time_mask=0.0, noise=0.5),
        SeriesGRUSpec(width=32),
        CPCSpec(prediction_steps=12),
        epochs=40,
        batch_size=128,
        optimizer=AdamWSpec(learning_rate=1e-3),
        knn_every=10,
    )


@recipe(
    WINES,
    measured(
        knn(5, 0.07, 96.2, untrained=94.3, raw=94.3),
        few_labels(10, 94.7, 5.9, untrained=92.1, raw=95.5),
        few_labels(1, 76.6, 7.3, untrained=67.5, raw=74.0),
        examples=53,
    ),
    Duration(18.0, "one core", "judging included"),
)
def simclr_wine() -> Recipe:
    """SimCLR with a multi-layer perceptron on wines.

    With so few wines the encoder, the untrained one and the raw data are level within the noise.
    """
    return _small_recipe(
        "wine",
        VectorViewsSpec(),
        MLPSpec(width=128, depth=2),
        SimCLRSpec(objective=NTXentSpec(temperature=0.5), projection_hidden=128, projection_dim=64),
        epochs=300,
        batch_size=64,
        optimizer=AdamWSpec(learning_rate=1e-3),
        knn_every=30,
    )
