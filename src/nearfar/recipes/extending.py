"""A finished run for more epochs, in a folder of its own: all its state, a longer schedule."""

import shlex
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from nearfar.durable_files import sync_folder
from nearfar.errors import NearfarError
from nearfar.recipes.config_json import read_recipe, recipe_to_json
from nearfar.recipes.data_root import refuse_lost_data, with_absolute_root
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import resume_run
from nearfar.run_folder import names
from nearfar.run_folder.folder import RunFolder
from nearfar.terminal import Terminal, shown
from nearfar.torch_defaults import own_defaults
from nearfar.training.checkpoints import Loaded, load_newest, save
from nearfar.training.config_format import refuse_earlier_format
from nearfar.training.ranks import joined_ranks


@own_defaults()
def extend_run(
    run: Path | str,
    epochs: int,
    out: Path | str,
    *,
    overwrite: bool = False,
    console: Console | None = None,
) -> Path:
    """Trains a finished run for more epochs; the run itself stays as it is.

    Weights, heads, optimiser, queue and generators are those of the run's end, and the order of the
    data goes on where it stopped. The schedule is that of a run of all epochs together, so the
    learning rate goes from where the run ended to where the longer schedule is at that epoch.

    Args:
        run: The finished run.
        epochs: How many more, 1 or more.
        out: Folder of the longer run; new or empty, unless `overwrite`.
        overwrite: Replace the run that `out` holds.
        console: Where a person watches; by default standard output.

    Returns:
        The page that shows the longer run.

    Raises:
        NearfarError: `run` is not finished, its checkpoints are gone, or `out` is taken.
    """
    console = console or Terminal(goes_on=True)
    with joined_ranks() as ranks:
        target = ranks.from_first(lambda: str(Path(out)))
        with ranks.agreeing():
            if ranks.first:
                _begin(Path(run), epochs, Path(target), overwrite, console)
        return resume_run(target, console=console)


def _begin(run: Path, epochs: int, out: Path, overwrite: bool, console: Console) -> None:
    """The folder of the longer run, as if it had been trained to where the run ended."""
    old = RunFolder.open(run)
    refuse_earlier_format(old)
    recipe = read_recipe(old.path)
    refuse_lost_data(old.path, recipe.data)
    loaded = _end_of(old, recipe)
    if out.resolve() == old.path.resolve():
        raise NearfarError(f"--out {out} is the run itself, which stays as it is: choose another")
    training = replace(recipe.training, epochs=recipe.training.epochs + epochs)
    longer = replace(recipe, data=with_absolute_root(recipe.data), training=training)
    scalars = dict(loaded.checkpoint.scalars)
    size = old.whole_metrics(
        step=loaded.checkpoint.step,
        size=scalars["metrics_size"],
        sha256=scalars["metrics_sha256"],
    )
    scalars["settings"] = scalars["settings"] | {"epochs": training.epochs}
    with RunFolder.begun(out, overwrite=overwrite) as new:
        for tower in names.STARTS:
            if start := old.read_start(tower):
                new.write_start(start, tower)
        new.manifest.write({names.METRICS: old.metrics.read_bytes()[:size]})
        new.write_environment(
            {"extends": str(old.path.resolve()), "extended_after_epochs": recipe.training.epochs}
        )
        save(
            new.checkpoints,
            replace(loaded.checkpoint, scalars=scalars),
            keep=training.keep_checkpoints,
        )
        # Last: without it the folder is no run, so that a cut copy is not gone on with.
        new.write_config(recipe_to_json(longer, run=new.path))
        new.drop_replaced()
        sync_folder(new.path)
    console.print(shown(_schedule(recipe, longer, loaded)), highlight=False)


def _end_of(old: RunFolder, recipe: Recipe) -> Loaded:
    """The checkpoint that a run ended with.

    Raises:
        NearfarError: It has not come to its end, or the checkpoint is gone.
    """
    if not old.encoder_weights.is_file():
        raise NearfarError(
            f"{old} has not come to its end: go on with `{old.resume_command}`, and extend it then"
        )
    loaded = load_newest(old.checkpoints)
    if loaded is None or not _is_last(loaded, recipe):
        quoted = shlex.quote(str(old.path))
        raise NearfarError(
            f"the checkpoint that {old} ended with is gone, and only it knows heads and optimiser: "
            f"begin with the encoder alone: nearfar train --from {quoted}"
        )
    return loaded


def _is_last(loaded: Loaded, recipe: Recipe) -> bool:
    """Whether a checkpoint is that of a run's last step."""
    steps_per_epoch = loaded.checkpoint.scalars["settings"]["steps_per_epoch"]
    return loaded.checkpoint.step == recipe.training.epochs * steps_per_epoch


def _schedule(recipe: Recipe, longer: Recipe, loaded: Loaded) -> str:
    """What happens to the learning rate, in words."""
    steps, step = loaded.checkpoint.scalars["settings"]["steps_per_epoch"], loaded.checkpoint.step

    def rate(of: Recipe, step: int) -> float:
        return of.training.schedule.rate_at(
            step,
            peak=of.training.optimizer.learning_rate,
            total_steps=of.training.epochs * steps,
            steps_per_epoch=steps,
        )

    last = rate(longer, longer.training.epochs * steps - 1)
    return (
        f"extended from {recipe.training.epochs} to {longer.training.epochs} epochs: the schedule "
        f"({longer.training.schedule.in_words}) is that of all of them together, so the learning "
        f"rate, {rate(recipe, step - 1):.2g} at the end of the run, goes on at "
        f"{rate(longer, step):.2g} and ends at {last:.2g}"
    )
