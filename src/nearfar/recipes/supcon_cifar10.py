"""SupCon on CIFAR-10, with the settings of its authors' program.

Command: `nearfar train supcon-cifar10 --data.root FOLDER` (with `--data.download` where there is a
network); meant for several GPUs.
Expected: the source reads 96.0 % top-1 by a linear classifier on the encoder, and 95.0 % for
cross-entropy. We have not reproduced it. The source trains at rate 0.5 with decay 1e-4 and
multiplies its loss by 0.1/0.07; ours is not multiplied, so a rate 0.1/0.07 times as high (0.714)
with a decay as many times smaller (7e-5) takes the same steps. What is ours: batch-norm in the
head, a warm-up from 0, and the evaluation's linear probe for the second stage.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.methods.specs import SupConSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def supcon_cifar10() -> Recipe:
    """SupCon with a ResNet-50 for small images on CIFAR-10."""
    return Recipe(
        recipe="supcon-cifar10",
        # Figures of the literature are of encoders that learnt from the whole training part.
        data=DataConfig(name="cifar10", held_out=0.0),
        views=ViewsConfig(preset="moco-v2", blur=0.0),
        encoder=EncoderConfig(name="timm/resnet50", stem="small"),
        method=SupConSpec(temperature=0.1, projection_hidden=2048, projection_dim=128),
        training=TrainingConfig(
            epochs=1000,
            batch_size=1024,
            optimizer="sgd",
            learning_rate=0.5 * 0.1 / 0.07,
            weight_decay=1e-4 * 0.07 / 0.1,
            momentum=0.9,
            warmup_share=10 / 1000,
            knn_every=50,
            checkpoint_every=10,
        ),
    )
