"""PaCo on the 1797 handwritten digits inside scikit-learn: contrast with labels and centres.

Command: `nearfar train paco-digits`. The data come with scikit-learn, so no network is needed.
Expected, seed 0 alone, on the 500 test digits: its own classifier 99.0 %, kNN (k = 20, T = 0.07)
99.2 %, linear probe 99.4 %; raw pixels 97.8 % by kNN, 97.2 % by the probe. Training takes 104 s on
one core of a busy AMD EPYC with bf16.
"""

from nearfar.data.config import DataConfig
from nearfar.encoders.config import EncoderConfig
from nearfar.evaluation.config import EvaluationConfig
from nearfar.methods.specs import PaCoSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.config import TrainingConfig
from nearfar.views.config import ViewsConfig


def paco_digits() -> Recipe:
    """PaCo with a small ResNet on 8×8 digits."""
    return Recipe(
        recipe="paco-digits",
        data=DataConfig(name="digits"),
        views=ViewsConfig(preset="digits"),
        encoder=EncoderConfig(name="small-resnet", width=32),
        method=PaCoSpec(temperature=0.2, alpha=0.05, queue_size=1024, momentum=0.99),
        training=TrainingConfig(
            epochs=40, batch_size=256, learning_rate=3e-3, warmup_share=0.1, knn_every=10
        ),
        # k = 20 leads the report: 200 is more than a digit has training images (130).
        evaluation=EvaluationConfig(knn=((20, 0.07), (200, 0.1), (200, 0.5))),
    )
