"""What all Fashion-MNIST recipes for two CPU cores share, so that methods can be compared."""

from dataclasses import replace
from typing import Any

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.specs import MethodSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig

FASHION_VIEWS = ViewsConfig(preset="simclr", crop_scale=(0.3, 1.0), blur=0.0)
"""Of grey clothes: no blur, and crops that leave something of them."""
PAIRWISE_TEMPERATURE = 0.5
"""Of NT-Xent and of what is compared with it, as in Troshestova & Isachenko (2023).

At 0.2 debiased positives spread all embeddings and align none: `e^{1/T}`, the row with itself, then
outweighs every positive in what they maximise.
"""


def fashion_recipe(name: str, method: MethodSpec, **changes: Any) -> Recipe:
    """Six epochs of a narrow ResNet on Fashion-MNIST, in bf16 where the machine is fast at it.

    So few that every method, several times, takes an evening on two cores: an epoch of two views
    is about 30 s of one core.

    Args:
        name: The recipe's.
        method: What trains the encoder.
        changes: Fields of `Recipe` in which the recipe differs, each as a whole.
    """
    recipe = Recipe(
        recipe=name,
        data=DataConfig(name="fashion-mnist"),
        views=FASHION_VIEWS,
        encoder=EncoderConfig(name="small-resnet", width=16),
        method=method,
        training=TrainingConfig(
            epochs=6,
            batch_size=256,
            learning_rate=3e-3,
            warmup_share=1 / 6,
            knn_every=3,
        ),
        # k = 20 leads the report: it is the vote that serves raw pixels best.
        evaluation=EvaluationConfig(knn=((20, 0.07), (200, 0.1)), labels_per_class=(10,)),
    )
    return replace(recipe, **changes)


def fashion_long_tail_recipe(name: str, method: MethodSpec) -> Recipe:
    """The same on a long tail of imbalance factor 100, for as many steps.

    6000 examples of the first class fall off to 60 of the last, 14 886 in all: a quarter of the
    whole set, so that 24 epochs are about the steps of 6. None is held out for the check during
    training: the sizes of the classes are those of the literature, and six fewer of the last tell.

    Args:
        name: The recipe's.
        method: What trains the encoder.
    """
    whole = fashion_recipe(name, method)
    return replace(
        whole,
        data=replace(whole.data, imbalance_factor=100.0, held_out=0.0),
        training=replace(whole.training, epochs=24, knn_every=12),
    )
