"""Alignment and uniformity on STL-10, with the settings of Wang & Isola (2020).

Command: `nearfar train align-uniform-stl10 --data.root FOLDER` (with `--data.download` where there
is a network); meant for one GPU.
Expected: the source reads 83.19 % top-1 by a linear probe of these features (fc7) with its
program's own weights, 1 and 1, as here. The 84.43 % of its table belong to weights 0.98 and 0.96,
and 83.89 % to its contrastive loss at temperature 0.19: `--method.objective nt_xent
--method.objective.temperature 0.19`. We have not reproduced it. What is ours: one epoch of warm-up,
no decay of biases and batch-norm, and NT-Xent where the source draws its negatives from one view.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.methods.objective_specs import AlignUniformSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def align_uniform_stl10() -> Recipe:
    """A small AlexNet trained for alignment and uniformity on all of STL-10."""
    batch_size = 768
    return Recipe(
        recipe="align-uniform-stl10",
        # Figures of the literature are of encoders that learnt from the whole training part.
        data=DataConfig(name="stl10", train_part="both", held_out=0.0),
        # v1's views are the source's, but for the crops: jitter of 0.4 four times, grey, no blur.
        views=ViewsConfig(preset="moco-v1", size=64, crop_scale=(0.08, 1.0)),
        encoder=EncoderConfig(name="small-alexnet", width=96),
        method=SimCLRSpec(
            objective=AlignUniformSpec(align_weight=1.0, uniform_weight=1.0, alpha=2.0, t=2.0),
            projection_hidden=None,
            projection_dim=128,
        ),
        training=TrainingConfig(
            epochs=200,
            batch_size=batch_size,
            optimizer="sgd",
            learning_rate=0.12 * batch_size / 256,
            weight_decay=1e-4,
            momentum=0.9,
            warmup_share=1 / 200,
            drops=(155.0, 170.0, 185.0),
            knn_every=20,
            checkpoint_every=10,
        ),
    )
