"""`nearfar train [RECIPE or PATH]`: train an encoder, judge it, write its report."""

from collections.abc import Sequence
from dataclasses import fields, replace

from nearfar.cli.arguments import parse
from nearfar.cli.choices import choose
from nearfar.cli.hints import refuse_misplaced, refuse_settings_for_nothing
from nearfar.cli.train_arguments import TrainArguments, new_folder, recipe_of
from nearfar.cli.train_from import goes_on, train_from
from nearfar.cli.train_own import own_path, run_on
from nearfar.errors import SettingError
from nearfar.launch import said_by_first_rank
from nearfar.recipes.names import DEFAULT_RECIPE, recipe_named
from nearfar.recipes.recipe import Recipe


def run(words: Sequence[str]) -> None:
    """Runs `nearfar train` with the words after it."""
    if list(words) in (["-h"], ["--help"]):
        from nearfar.cli.train_help import print_help

        print_help()
    if goes_on(words):
        train_from(words)
        return
    if (path := own_path(words)) is not None:
        with said_by_first_rank():
            run_on(path, words[1:])
        return
    with said_by_first_rank():
        arguments = _read(words)
        recipe = _recipe(arguments)

    from nearfar.recipes.run import resume_run, run_recipe

    if recipe is not None:
        out = arguments.out or new_folder(recipe.recipe)
        run_recipe(recipe, out, overwrite=arguments.overwrite)
    elif arguments.resume is not None:
        resume_run(arguments.resume)


def _read(words: Sequence[str]) -> TrainArguments:
    """Reads the recipe's name, then what is chosen in it, then all other options."""
    refuse_misplaced(words)
    arguments, left = choose(_defaults(_first_name(words)), words)
    read = parse(TrainArguments, "train", left, arguments)
    if read.recipe != arguments.recipe:
        raise SettingError(
            f"the recipe's name comes before all options: nearfar train {read.recipe} …"
        )
    refuse_settings_for_nothing(words, read.evaluation)
    return read


def _first_name(words: Sequence[str]) -> str:
    """The recipe's name, which comes first."""
    return words[0] if words and not words[0].startswith("-") else DEFAULT_RECIPE


def _defaults(name: str) -> TrainArguments:
    """The arguments of a recipe with nothing changed."""
    recipe = recipe_named(name)
    return TrainArguments(**{each.name: getattr(recipe, each.name) for each in fields(Recipe)})


def _recipe(arguments: TrainArguments) -> Recipe | None:
    """What to train, checked; None for a run to go on with, which may not be changed on the way."""
    if arguments.resume is None:
        return recipe_of(arguments)
    if replace(arguments, resume=None) != _defaults(DEFAULT_RECIPE):
        raise SettingError(
            f"--resume goes on with {arguments.resume} exactly as it began: leave every other "
            "option out, or start a new run"
        )
    return None
