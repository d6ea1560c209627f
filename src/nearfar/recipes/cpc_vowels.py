"""CPC on Japanese vowels: 270 utterances of nine speakers, 12 channels of at most 29 steps.

Command: `nearfar train cpc-vowels`. The data come with sktime (`pip install 'nearfar[series]'`).
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.config import CPCConfig
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def cpc_vowels() -> Recipe:
    """CPC with causal convolutions and a GRU on Japanese vowels."""
    return Recipe(
        recipe="cpc-vowels",
        data=DataConfig(name="japanese-vowels"),
        # Noise alone: what is drawn once for a series, such as its scale, would give it away.
        views=ViewsConfig(
            preset="series", count=1, crop_length=(1.0, 1.0), scaling=0.0, time_mask=0.0
        ),
        encoder=EncoderConfig(name="series-gru", width=32),
        method=CPCConfig(prediction_steps=5),
        training=TrainingConfig(
            epochs=300, batch_size=256, learning_rate=1e-3, warmup_epochs=30.0, knn_every=30
        ),
        evaluation=EvaluationConfig(knn=((5, 0.07), (20, 0.07)), labels_per_class=(1, 5, 10)),
    )
