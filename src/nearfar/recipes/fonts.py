"""Recipes for characters drawn from fonts, on two CPU cores. Imports nothing heavy."""

from nearfar.data.font_specs import FontsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.known import Duration, Family, Figure, few_labels, knn, measured, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec

FONTS = Family(
    "Characters drawn from fonts",
    data="`make fonts` fetches free fonts of some 490 families from Debian's packages; with "
    "--data.root FOLDER any folder of font files serves.",
    hardware="two CPU cores",
)


_THREAD = "one thread of a busy AMD EPYC with bf16"

CLASSES = 62
"""Digits and letters."""
# Letters mean something else in the mirror, and a crop must leave most of one. Colours are drawn at
# random: a view that keeps them gives the example away, so they are shaken hard.
VIEWS = SimCLRViewsSpec(
    crop_scale=(0.5, 1.0), flip=0.0, rotation=10.0, jitter_strength=1.0, grey=0.2, blur=0.0
)


def fonts_setup(method: MethodSpec, epochs: int) -> Recipe:
    """A narrow ResNet on two views of each character.

    Args:
        method: What trains it.
        epochs: Passes over the 18 000 images to learn from.
    """
    return Recipe(
        data=FontsSpec(characters=CLASSES),
        views=VIEWS,
        encoder=SmallResNetSpec(width=16),
        method=method,
        training=TrainingSpec(
            epochs=epochs, batch_size=256, optimizer=AdamWSpec(learning_rate=3e-3), knn_every=4
        ),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=((20, 0.07), (200, 0.1))), FewLabelsSpec(labels_per_class=(10,))
        ),
    )


@recipe(
    FONTS,
    measured(
        knn(
            20, 0.07, 42.3, untrained=2.9, raw=25.1, of="drawings of 541 families, 52 more than now"
        ),
        examples=5_000,
    ),
    Duration(60 * 20.0, _THREAD),
)
def simclr_fonts() -> Recipe:
    """SimCLR on characters of fonts: what an eye has for letters, without being told one."""
    return fonts_setup(
        SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=512, projection_dim=128
        ),
        epochs=16,
    )


@recipe(
    FONTS,
    measured(
        Figure("classifier", 65.3),
        knn(20, 0.07, 67.0, untrained=4.2, raw=28.1),
        few_labels(10, 61.4, 0.9, untrained=2.2, raw=5.5),
        examples=5_000,
    ),
    Duration(60 * 10.0, _THREAD),
)
def cross_entropy_fonts() -> Recipe:
    """Cross-entropy: the supervised baseline."""
    return fonts_setup(CrossEntropySpec(), epochs=8)
