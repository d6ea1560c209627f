"""CPC on Japanese vowels: 270 utterances of nine speakers, 12 channels of at most 29 steps.

Command: `nearfar train cpc-vowels`. The data come with sktime (`pip install 'nearfar[series]'`).
Expected, of seed 0 on the 370 test utterances: kNN (k = 5, T = 0.07) 97.8 %, 10 labels a class
96.8, 1 label 83.1; the untrained encoder reaches 97.3, 96.7 and 78.4, raw series 98.4, 97.4 and
81.5: these data do not tell them apart. Training takes 29 s on one thread of a busy AMD EPYC with
bf16.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.specs import CPCSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def cpc_vowels() -> Recipe:
    """CPC with causal convolutions and a GRU on Japanese vowels."""
    return Recipe(
        recipe="cpc-vowels",
        # So few that all are learnt from: a tenth of them would tell next to nothing.
        data=DataConfig(name="japanese-vowels", held_out=0.0),
        # Noise alone: what is drawn once for a series, such as its scale, would give it away.
        views=ViewsConfig(
            preset="series", count=1, crop_length=(1.0, 1.0), scaling=0.0, time_mask=0.0, noise=0.5
        ),
        encoder=EncoderConfig(name="series-gru", width=32),
        method=CPCSpec(prediction_steps=12),
        training=TrainingConfig(
            epochs=40, batch_size=128, learning_rate=1e-3, warmup_share=0.1, knn_every=10
        ),
        evaluation=EvaluationConfig(knn=((5, 0.07), (20, 0.07)), labels_per_class=(1, 5, 10)),
    )
