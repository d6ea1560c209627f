"""SimCLR on the wines inside scikit-learn: 178 rows of 13 chemical measures.

Command: `nearfar train simclr-wine`. The data come with scikit-learn, so no network is needed.
Expected, seed 0 alone, on the 53 test wines: kNN (k = 5, T = 0.07) 96.2 %, 10 labels a class
94.7 ± 5.9 %, 1 label 76.6 ± 7.3 %; untrained 94.3, 92.1 and 67.5; raw data 94.3, 95.5 and 74.0:
with so few wines all three are level within the noise. Training and judging take 18 s of one core.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def simclr_wine() -> Recipe:
    """SimCLR with a multi-layer perceptron on wines."""
    return Recipe(
        recipe="simclr-wine",
        # So few that all are learnt from: a tenth of them would tell next to nothing.
        data=DataConfig(name="wine", held_out=0.0),
        views=ViewsConfig(preset="vectors"),
        encoder=EncoderConfig(name="mlp", width=128, depth=2),
        method=SimCLRSpec(
            objective=NTXentSpec(temperature=0.5), projection_hidden=128, projection_dim=64
        ),
        training=TrainingConfig(
            epochs=300, batch_size=64, learning_rate=1e-3, warmup_share=0.1, knn_every=30
        ),
        evaluation=EvaluationConfig(knn=((5, 0.07), (20, 0.07)), labels_per_class=(1, 5, 10)),
    )
