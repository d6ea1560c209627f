"""`nearfar train [RECIPE or PATH]`: train an encoder, judge it, write its report."""

from collections.abc import Sequence
from dataclasses import replace

from nearfar.cli.arguments import parse, take_value
from nearfar.cli.choices import choose
from nearfar.cli.hints import refuse_misplaced, refuse_settings_for_nothing
from nearfar.cli.train_arguments import TrainArguments, arguments_of, new_folder, recipe_of
from nearfar.cli.train_from import goes_on, train_from
from nearfar.cli.train_own import own_path, run_on
from nearfar.errors import SettingError
from nearfar.launch import launched, said_by_first_rank
from nearfar.paths import user_path
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
        left = list(words)
        only_print = _taken_flag(left, "--print-config")
        arguments = _read(left)
        if only_print and arguments.resume is not None:
            raise SettingError("--print-config is of a new run: that of a run is its config.json")
        recipe = _recipe(arguments)
        if only_print and recipe is not None:
            _print_config(recipe)
            return

    from nearfar.recipes.run import resume_run, run_recipe

    if recipe is not None:
        out = arguments.out or new_folder(recipe.recipe)
        run_recipe(recipe, out, overwrite=arguments.overwrite)
    elif arguments.resume is not None:
        resume_run(arguments.resume)


def _read(words: Sequence[str]) -> TrainArguments:
    """Reads the recipe's name, then what is chosen in it, then all other options."""
    left = list(words)
    config = take_value(left, "--config", "FILE")
    refuse_misplaced(left)
    arguments, left = choose(_defaults(left) if config is None else _of_file(config, left), left)
    read = parse(TrainArguments, "train", left, arguments)
    if read.recipe != arguments.recipe:
        raise SettingError(
            f"the recipe's name comes before all options: nearfar train {read.recipe} …"
        )
    refuse_settings_for_nothing(words, read.evaluation)
    return read


def _defaults(words: Sequence[str] = ()) -> TrainArguments:
    """The arguments of the recipe whose name comes first, with nothing changed."""
    named = bool(words) and not words[0].startswith("-")
    return arguments_of(recipe_named(words[0] if named else DEFAULT_RECIPE))


def _of_file(config: str, words: Sequence[str]) -> TrainArguments:
    """The arguments of the recipe in a file, with nothing changed."""
    from nearfar.recipes.config_file import recipe_in

    if words and not words[0].startswith("-"):
        raise SettingError(
            f"{words[0]}: --config takes the recipe of {config}: leave the recipe's name out, or "
            "write it into the file as recipe"
        )
    return arguments_of(recipe_in(user_path(config)))


def _taken_flag(words: list[str], flag: str) -> bool:
    """Whether a flag is among the words, which lose it."""
    given = flag in words
    words[:] = [word for word in words if word != flag]
    return given


def _print_config(recipe: Recipe) -> None:
    """All settings on standard output, as --config reads them; nothing is trained."""
    from nearfar.recipes.config_file import config_text
    from nearfar.terminal import Terminal

    if launched().rank == 0:
        Terminal(highlight=False).out(config_text(recipe))


def _recipe(arguments: TrainArguments) -> Recipe | None:
    """What to train, checked; None for a run to go on with, which may not be changed on the way."""
    if arguments.resume is None:
        return recipe_of(arguments)
    if replace(arguments, resume=None) != _defaults():
        raise SettingError(
            f"--resume goes on with {arguments.resume} exactly as it began: leave every other "
            "option out, or start a new run"
        )
    return None
