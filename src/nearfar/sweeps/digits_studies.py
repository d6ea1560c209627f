"""Studies on handwritten digits: minutes on two cores, no network."""

from dataclasses import replace

from nearfar.recipes.digits import simclr_digits
from nearfar.sweeps.axes import RangeSpec, ValuesSpec
from nearfar.sweeps.engines import TPESpec
from nearfar.sweeps.known_studies import study
from nearfar.sweeps.study import Study


@study
def simclr_digits_temperature() -> Study:
    """How SimCLR's accuracy on the digits depends on temperature and batch size.

    A grid of four temperatures and two batch sizes, three seeds each, 20 epochs long.
    """
    recipe = simclr_digits()
    return Study(
        recipe=replace(recipe, training=replace(recipe.training, epochs=20, knn_every=5)),
        axes=(
            ValuesSpec(setting="method.objective.temperature", values=(0.1, 0.25, 0.5, 1.0)),
            ValuesSpec(setting="training.batch_size", values=(128, 256)),
        ),
        seeds=(0, 1, 2),
    )


@study
def simclr_digits_search() -> Study:
    """Temperature, learning rate and decay of SimCLR on the digits, looked for by TPE.

    30 trials of two seeds; those that check below the median of the others are ended early.
    """
    recipe = simclr_digits()
    return Study(
        recipe=replace(recipe, training=replace(recipe.training, epochs=20, knn_every=4)),
        axes=(
            RangeSpec(setting="method.objective.temperature", low=0.05, high=2.0, log=True),
            RangeSpec(setting="training.optimizer.learning_rate", low=1e-4, high=1e-2, log=True),
            RangeSpec(setting="training.optimizer.weight_decay", low=1e-6, high=1e-2, log=True),
        ),
        engine=TPESpec(prune="median", prune_after=8),
        seeds=(0, 1),
        trials=30,
    )
