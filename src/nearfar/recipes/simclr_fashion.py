"""SimCLR on Fashion-MNIST: 60 000 grey pictures of clothes, 28 px.

Command: `nearfar train simclr-fashion --data.root FOLDER`, where the folder holds the four IDX
files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist).
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07)
86.4 ± 0.2 %, 10 labels a class 74.7 ± 0.1 %; raw pixels reach 84.6 and 70.7. Training takes 18 min
on one thread of an AMD EPYC with bf16 and 8 min on two (from two epochs of it), judging 2 min more.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.specs import SimCLRSpec
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
        method=SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=512, projection_dim=128
        ),
        training=TrainingConfig(
            epochs=30, batch_size=256, learning_rate=3e-3, warmup_share=0.1, knn_every=5
        ),
        # k = 20 leads the report: it is the vote that serves raw pixels best.
        evaluation=EvaluationConfig(knn=((20, 0.07), (200, 0.1), (200, 0.5))),
    )
