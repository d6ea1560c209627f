"""Six methods trained on characters of fonts, and all of them transferred to the sets at hand.

python -m tools.transfer_runs FOLDER [SEEDS [EPOCHS]]

Trains SimCLR, MoCo v2, BYOL, debiased negatives, alignment and uniformity, and cross-entropy in the
set-up of `cross-entropy-fonts`, each with SEEDS seeds (1) for EPOCHS epochs (16), and calls
`nearfar transfer` with all of them and the suite `images`. What is finished is not done again:
after a kill the same command goes on. Needs `make fonts`; a run takes about a quarter of an hour
on one core.
"""

import sys
from dataclasses import replace
from pathlib import Path

from nearfar.errors import NearfarError
from nearfar.methods.objective_specs import AlignUniformSpec, DebiasedNegSpec, NTXentSpec
from nearfar.methods.specs import (
    BYOLSpec,
    CrossEntropySpec,
    MethodSpec,
    MoCoSpec,
    ObjectiveSpec,
    SimCLRSpec,
)
from nearfar.recipes.fonts import CLASSES, fonts_setup
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.recipes.transfer import transfer
from nearfar.recipes.transfer_sets import sets_named
from nearfar.run_folder import names


def _pairwise(objective: ObjectiveSpec) -> MethodSpec:
    return SimCLRSpec(objective=objective, projection_hidden=512, projection_dim=128)


METHODS: dict[str, MethodSpec] = {
    "simclr": _pairwise(NTXentSpec(temperature=0.2)),
    "moco2": MoCoSpec(projection_hidden=512, queue_size=4096, momentum=0.99, batch_norm_splits=4),
    "byol": BYOLSpec(
        projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.99
    ),
    # A negative is of the anchor's class with the share of each class.
    "debiased": _pairwise(DebiasedNegSpec(temperature=0.2, tau_plus=1 / CLASSES)),
    "align-uniform": _pairwise(AlignUniformSpec(align_weight=1.0, uniform_weight=1.0)),
    "supervised": CrossEntropySpec(),
}


def run_all(folder: Path, seeds: int = 1, epochs: int = 16) -> None:
    """Trains what is missing, then transfers."""
    runs = []
    for seed in range(seeds):
        for name, method in METHODS.items():
            recipe = replace(fonts_setup(method, epochs), seed=seed)
            run = folder / f"{name}-{seed}"
            if not (run / names.CONFIG).exists():
                run_recipe(recipe, run)
            elif not (run / names.REPORT).exists():
                resume_run(run)
            runs.append(run)
    transfer(runs, sets_named(["images"]), folder / "transfer", draws=3, train_examples=3000)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4 or not all(each.isdigit() for each in sys.argv[2:]):
        sys.exit(__doc__)
    try:
        run_all(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    except NearfarError as error:
        sys.exit(f"error: {error}")
