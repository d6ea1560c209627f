"""SimCLR on Fashion-MNIST: 60 000 grey pictures of clothes, 28 px.

Command: `nearfar train simclr-fashion --data.root FOLDER`, where the folder holds the four IDX
files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist).
Expected: the measured figures, beside raw pixels, are in docs/results.md.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.config import SimCLRConfig
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def simclr_fashion() -> Recipe:
    """SimCLR with a small ResNet on Fashion-MNIST."""
    return Recipe(
        recipe="simclr-fashion",
        data=DataConfig(name="fashion-mnist"),
        views=ViewsConfig(preset="simclr", crop_scale=(0.3, 1.0), blur=0.0),
        encoder=EncoderConfig(name="small-resnet", width=16),
        method=SimCLRConfig(temperature=0.2, projection_hidden=512, projection_dim=128),
        training=TrainingConfig(
            epochs=30, batch_size=256, learning_rate=3e-3, warmup_epochs=3.0, knn_every=5
        ),
        # k = 20 leads the report: it is the vote that serves raw pixels best.
        evaluation=EvaluationConfig(knn=((20, 0.07), (200, 0.1), (200, 0.5))),
    )
