"""SimCLR on Japanese vowels: 270 utterances of nine speakers, 12 channels of at most 29 steps.

Command: `nearfar train simclr-vowels`. The data come with sktime (`pip install 'nearfar[series]'`).
Expected, seed 0 alone, on the 370 test utterances: kNN (k = 5, T = 0.07) 93.0 %, 10 labels a class
93.0 %, 1 label 79.4 %; untrained 74.3, 72.3 and 48.0; raw data 98.4, 97.4 and 81.5: the encoder
does not reach the raw data, in which the speaker's levels lie open. Training took 186 s on
one thread of an AMD EPYC that was busy with other work.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def simclr_vowels() -> Recipe:
    """SimCLR with a ResNet along time on Japanese vowels."""
    return Recipe(
        recipe="simclr-vowels",
        # So few that all are learnt from: a tenth of them would tell next to nothing.
        data=DataConfig(name="japanese-vowels", held_out=0.0),
        # A speaker's channels tell him by their levels: a factor on each would hide him.
        views=ViewsConfig(preset="series", crop_length=(0.3, 1.0), scaling=0.0, channel_drop=0.2),
        encoder=EncoderConfig(name="series-resnet", width=16),
        method=SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=256, projection_dim=64
        ),
        training=TrainingConfig(
            epochs=300, batch_size=256, learning_rate=3e-3, warmup_share=0.1, knn_every=30
        ),
        evaluation=EvaluationConfig(knn=((5, 0.07), (20, 0.07)), labels_per_class=(1, 5, 10)),
    )
