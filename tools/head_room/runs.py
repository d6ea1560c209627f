"""The runs that say how much room a set has: supervised, SimCLR, and SimCLR without a view each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from nearfar.data.specs import NpzSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.fonts import fonts_setup
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from tools.head_room.sets import StudySet, without

VIEWS = ("colour", "blur", "crops")
"""What is left out of SimCLR's views, one after the other."""
VARIANTS = ("supervised", "simclr", *(f"without {each}" for each in VIEWS))
SEEDS = (0, 1, 2)
BATCH = 64
_PROTOCOLS = ("knn", "linear_probe", "classifier")
_VOTE = (20, 0.07)


@dataclass(frozen=True)
class Job:
    """One run of one set.

    Attributes:
        set: Its name.
        variant: Of `VARIANTS`.
        seed: Of the run.
        epochs: Of training.
        images: To fit, at most.
    """

    set: str
    variant: str
    seed: int
    epochs: int
    images: int

    @property
    def key(self) -> dict[str, Any]:
        """What tells its record from others."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def jobs(sets: tuple[str, ...], epochs: int, images: int) -> Iterator[Job]:
    """All runs, set by set and seed by seed, so that what is cut has whole sets and seeds."""
    for name in sets:
        for seed in SEEDS:
            for variant in VARIANTS:
                yield Job(name, variant, seed, epochs, images)


def recipe_of(job: Job, chosen: StudySet, file: Path) -> Recipe:
    """The whole recipe of a run.

    Args:
        job: The run.
        chosen: Its set.
        file: The set's, with the part that judges.
    """
    views = chosen.views
    if job.variant.startswith("without "):
        views = without(views, job.variant.removeprefix("without "))
    method = (
        CrossEntropySpec()
        if job.variant == "supervised"
        else SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=512, projection_dim=128
        )
    )
    base = fonts_setup(method, job.epochs)
    return replace(
        base,
        seed=job.seed,
        data=NpzSpec(root=file, held_out=0.0),  # all of it to fit: the part that judges is another
        views=views,
        training=replace(base.training, batch_size=BATCH, threads=1, knn_every=0),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=(_VOTE,)),
            # Raw pixels and the first weights are the same for all variants of a seed.
            baselines=job.variant == "supervised",
            leave_out=tuple(
                name
                for name, protocol in ProtocolSpec.known().items()
                if protocol.by_default and not protocol.targets and name not in _PROTOCOLS
            ),
        ),
    )


def record_of_run(job: Job, recipe: Recipe, run: Path) -> dict[str, Any]:
    """What is kept of a run, trained and judged where it is not yet; one that was cut goes on.

    Args:
        job: What it is.
        recipe: All its settings.
        run: Its folder.
    """
    folder, console = RunFolder(run), Console(quiet=True)
    if not folder.evaluation.is_file():
        if folder.config.is_file():
            resume_run(run, console=console)
        else:
            run_recipe(recipe, run, overwrite=True, console=console)
    return {**job.key, **_found(folder)}


def _found(folder: RunFolder) -> dict[str, Any]:
    scores: dict[str, dict[str, Any]] = {}
    count = 0
    for record in folder.read_evaluation():
        parameters = record["parameters"]
        if record["metric"] != "top1" or "shots" in parameters:
            continue
        count = record["n"]
        score = {"top1": record["value"], "form": parameters.get("transform", "")}
        scores.setdefault(record["protocol"], {})[record["features"]] = score
    environment = folder.read_environment()
    return {
        "judged": count,
        "seconds": round(environment["seconds"], 1),
        "hardware": environment["hardware"],
        "scores": scores,
    }


def images_of(job: Job) -> int:
    """About how many images its training goes through."""
    return job.epochs * job.images
