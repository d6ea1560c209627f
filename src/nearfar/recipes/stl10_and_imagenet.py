"""Recipes for STL-10 and ImageNet, with the settings of their sources. Imports nothing heavy."""

from nearfar.data.specs import ImageNetSpec, STL10Spec
from nearfar.encoders.specs import SmallAlexNetSpec, TimmSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.objective_specs import AlignUniformSpec
from nearfar.methods.unlabelled_specs import MoCoSpec, SimCLRSpec
from nearfar.recipes.known import Family, Figure, published, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import CosineSpec, DropsSpec
from nearfar.training.specs import SGDSpec, TrainingSpec
from nearfar.views.specs import MoCoV1ViewsSpec, MoCoV2ViewsSpec

STL10 = Family(
    "STL-10 and ImageNet",
    data="FOLDER holds the source's files; with --data.download they are fetched where there is a "
    "network.",
    command="nearfar train {name} --data.root FOLDER",
    hardware="one GPU",
)
IMAGENET = Family(
    STL10.title,
    data="FOLDER holds ImageNet's pictures, below train and val.",
    command="torchrun --nproc-per-node 8 -m nearfar train {name} --data.root FOLDER",
    hardware="eight GPUs",
)


@recipe(
    STL10,
    published(
        Figure("linear_probe", 83.19, of="weights 1 and 1, as here"),
        Figure("linear_probe", 84.43, of="weights 0.98 and 0.96"),
        Figure("linear_probe", 83.89, of="contrastive loss at temperature 0.19"),
    ),
)
def align_uniform_stl10() -> Recipe:
    """A small AlexNet for alignment and uniformity, with the settings of Wang & Isola (2020).

    The weights are those of the source's program; the features judged are fc7. Its contrastive
    loss is had by `--method.objective nt_xent --method.objective.temperature 0.19`.

    What is ours: one epoch of warm-up, no decay of biases and batch-norm, and NT-Xent where the
    source draws its negatives from one view.
    """
    batch_size = 768
    return Recipe(
        # Figures of the literature are of encoders that learnt from the whole training part.
        data=STL10Spec(train_part="both", held_out=0.0),
        # v1's views are the source's, but for the crops: jitter of 0.4 four times, grey, no blur.
        views=MoCoV1ViewsSpec(size=64, crop_scale=(0.08, 1.0), implementation="exact"),
        encoder=SmallAlexNetSpec(width=96),
        method=SimCLRSpec(
            objective=AlignUniformSpec(align_weight=1.0, uniform_weight=1.0, alpha=2.0, t=2.0),
            projection_hidden=None,
            projection_dim=128,
        ),
        training=TrainingSpec(
            epochs=200,
            batch_size=batch_size,
            optimizer=SGDSpec(
                learning_rate=0.12 * batch_size / 256, weight_decay=1e-4, momentum=0.9
            ),
            schedule=DropsSpec(warmup_share=1 / 200, epochs=(155.0, 170.0, 185.0)),
            knn_every=20,
            checkpoint_every=10,
        ),
    )


@recipe(
    IMAGENET,
    published(
        Figure("linear_probe", 67.5, of="after 200 epochs"),
        Figure("linear_probe", 71.1, of="after 800 epochs"),
    ),
)
def moco2_imagenet() -> Recipe:
    """MoCo v2 with a ResNet-50 and a queue of 65 536 keys (Chen et al. 2020), 200 epochs.

    Each GPU gets 32 images, and keys are shuffled over all of them. On one GPU add
    `--method.batch-norm-splits 8`.

    What is ours: biases and batch-norm are left out of weight decay.
    """
    return Recipe(
        # Figures of the literature are of encoders that learnt from the whole training part.
        data=ImageNetSpec(held_out=0.0),
        views=MoCoV2ViewsSpec(size=224, implementation="exact"),
        encoder=TimmSpec(name="timm/resnet50"),
        method=MoCoSpec(
            head="mlp", projection_dim=128, temperature=0.2, queue_size=65536, momentum=0.999
        ),
        training=TrainingSpec(
            epochs=200,
            batch_size=256,
            optimizer=SGDSpec(learning_rate=0.03, weight_decay=1e-4, momentum=0.9),
            schedule=CosineSpec(warmup_share=0.0),
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((200, 0.1),))),
    )
