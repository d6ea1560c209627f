"""SimCLR on a folder of pictures of your own: photographs, drawings, scans, in colour or grey.

Command: `nearfar train simclr-pictures --data.root FOLDER`, with a hundred pictures or more (fewer
with a smaller `--training.batch-size`); sub-folders are taken for classes, which judging alone
looks at. Where a picture means something else in the mirror (text, signs), `--views.flip 0`; for
finer detail, `--data.image-size 128`, which takes four times as long.
Expected: it depends on the pictures; the report judges it beside raw pixels and the untrained
network, and says so where it does not beat them.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def simclr_pictures() -> Recipe:
    """SimCLR with a ResNet-18 on pictures of 64 px."""
    return Recipe(
        recipe="simclr-pictures",
        data=DataConfig(name="folder", image_size=64),
        # Crops of a fifth or more, jitter, grey and blur: the views that photographs are learnt by.
        views=ViewsConfig(preset="moco-v2"),
        encoder=EncoderConfig(name="timm/resnet18"),
        # A batch of 64 fits small folders; with so few negatives a low temperature serves better.
        method=SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=512, projection_dim=128
        ),
        training=TrainingConfig(epochs=100, batch_size=64, learning_rate=1e-3, knn_every=10),
        evaluation=EvaluationConfig(knn=((20, 0.07), (200, 0.1))),
    )
