"""Recipes for pictures of your own. Imports nothing heavy."""

from nearfar.data.specs import FolderSpec
from nearfar.encoders.specs import TimmSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.known import Family, Figures, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import MoCoV2ViewsSpec

PICTURES = Family(
    "Pictures of your own",
    data="FOLDER holds a hundred pictures or more (fewer with a smaller --training.batch-size); "
    "sub-folders are taken for classes, which judging alone looks at.",
    command="nearfar train {name} --data.root FOLDER",
)


@recipe(PICTURES, Figures())
def simclr_pictures() -> Recipe:
    """SimCLR on a folder of photographs, drawings or scans, in colour or grey.

    Where a picture means something else in the mirror (text, signs), add `--views.flip 0`; for
    finer detail `--data.image-size 128`, which takes four times as long.

    What to expect depends on the pictures. The report judges the encoder beside raw pixels and the
    untrained network, and says so where it does not beat them.
    """
    return Recipe(
        data=FolderSpec(image_size=64),
        # Crops of a fifth or more, jitter, grey and blur: the views that photographs are learnt by.
        views=MoCoV2ViewsSpec(),
        encoder=TimmSpec(name="timm/resnet18"),
        # A batch of 64 fits small folders; with so few negatives a low temperature serves better.
        method=SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=512, projection_dim=128
        ),
        training=TrainingSpec(
            epochs=100, batch_size=64, optimizer=AdamWSpec(learning_rate=1e-3), knn_every=10
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((20, 0.07), (200, 0.1)))),
    )
