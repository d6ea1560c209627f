"""The recipe for emoji and their names: pairs of two kinds. Imports nothing heavy."""

from nearfar.data.paired_specs import OpenMojiSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.recipes.known import Duration, Family, Figure, knn, measured, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec, TextViewsSpec

OPENMOJI = Family(
    "Emoji and their names",
    data="`make openmoji` draws them from the npm package openmoji.",
    hardware="one CPU core",
    setup="1914 drawings of nine groups at 32 px, a small ResNet of width 16 for the drawings and "
    "a bag of bytes for names and tags.",
)


@recipe(
    OPENMOJI,
    measured(
        Figure("zero_shot", 29.8, 1.4, untrained=11.1, parameters={"templates": 2}),
        knn(20, 0.07, 62.7, 2.5, untrained=56.8, raw=64.2),
        seeds=(0, 1, 2),
        examples=383,
    ),
    Duration(
        220.0,
        "one thread of a busy AMD EPYC",
        "1.8 minutes of one core with evaluation and report",
    ),
)
def clip_openmoji() -> Recipe:
    """CLIP on drawings of emoji, with their names and tags as texts.

    The settings are ours, for a minute or two: CLIP itself learns from hundreds of millions of
    pairs, and 1531 teach little of what no drawing in training shows.
    """
    return Recipe(
        data=OpenMojiSpec(),
        # Colours and most of a drawing stay: its text speaks of them.
        views=SimCLRViewsSpec(
            count=1, crop_scale=(0.5, 1.0), jitter_strength=0.3, grey=0.0, blur=0.0
        ),
        encoder=SmallResNetSpec(width=16),
        method=CLIPSpec(
            second_encoder=TextBagSpec(width=128, dropout=0.2),
            second_views=TextViewsSpec(count=1),
        ),
        training=TrainingSpec(
            epochs=40, batch_size=128, optimizer=AdamWSpec(learning_rate=3e-3), knn_every=10
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((20, 0.07),))),
    )
