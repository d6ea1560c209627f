"""`nearfar train --from RUN`: begin with a run's encoder, head and settings, or extend the run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nearfar.cli.arguments import parse, take_value
from nearfar.cli.choices import choose
from nearfar.cli.train_arguments import TrainArguments, arguments_of, new_folder, recipe_of
from nearfar.errors import SettingError
from nearfar.launch import launched, said_by_first_rank
from nearfar.paths import user_path
from nearfar.run_folder.names import HEAD, SECOND_SETTINGS


def goes_on(words: Sequence[str]) -> bool:
    """Whether a run is named to begin with, or to be extended."""
    return any(word.partition("=")[0] in ("--from", "--extend") for word in words)


def train_from(words: Sequence[str]) -> None:
    """Trains from a run, with all words of `nearfar train`.

    Raises:
        SettingError: No run is named, or a recipe beside it; or an option does not exist.
    """
    with said_by_first_rank():
        run, epochs, arguments = _read(words)
        out = arguments.out or new_folder(f"{run.resolve().name}-on")
        recipe = None if epochs is not None else recipe_of(arguments)

    if epochs is not None:
        from nearfar.recipes.extending import extend_run

        extend_run(run, epochs, out, overwrite=arguments.overwrite)
    if recipe is not None:
        from nearfar.recipes.run import run_recipe
        from nearfar.terminal import Terminal

        side = recipe.method.second_side
        adapted = [recipe.adapt] if side is None else [recipe.adapt, side.adapt]
        fresh = all(each.head == "fresh" for each in adapted)
        if launched().rank == 0 and fresh and (run / HEAD).is_file():
            told = "the encoder alone is taken over: the method's heads begin anew"
            Terminal(goes_on=True).say("note", [told])
        run_recipe(recipe, out, overwrite=arguments.overwrite)


def _read(words: Sequence[str]) -> tuple[Path, int | None, TrainArguments]:
    """The run, for how many epochs it is extended (None: it is not), and all else."""
    left = list(words)
    named, epochs = take_value(left, "--from", "RUN"), take_value(left, "--extend", "EPOCHS")
    if named is None:
        raise SettingError("--extend says for how many epochs: name the run, by --from RUN")
    run = user_path(named)
    if any(word.partition("=")[0] == "--config" for word in left):
        raise SettingError(f"--from takes the settings of {named}: leave --config out")
    if left and not left[0].startswith("-"):
        raise SettingError(
            f"{left[0]}: --from takes the settings of {named}: leave the recipe's name out"
        )
    defaults = _defaults(run)
    chosen, left = choose(defaults, left)
    arguments = parse(TrainArguments, "train", left, chosen)
    if arguments.resume is not None:
        raise SettingError("--resume takes no other option: leave --from out")
    count = None if epochs is None else _count(epochs)
    if count is not None and replace(arguments, out=None, overwrite=False) != defaults:
        raise SettingError(
            f"--extend goes on with {run} as it was: leave every other option but --out and "
            "--overwrite out, or begin with its encoder by --from alone"
        )
    return run, count, arguments


def _defaults(run: Path) -> TrainArguments:
    """The settings of a run, its encoder and head the start; of pairs both encoders and heads."""
    from nearfar.recipes.config_json import read_recipe

    recipe = read_recipe(run)
    encoder, adapt = replace(recipe.encoder, start=str(run)), replace(recipe.adapt, head="start")
    method = recipe.method.begun_with(str(run / SECOND_SETTINGS))
    return arguments_of(replace(recipe, encoder=encoder, adapt=adapt, method=method))


def _count(epochs: str) -> int:
    try:
        count = int(epochs)
    except ValueError:
        count = 0
    if not 1 <= count < 2**31:
        raise SettingError(f"--extend is {epochs}: it must be a number of epochs, 1 or more")
    return count
