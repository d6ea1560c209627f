"""`nearfar sweep STUDY or RECIPE --over SETTING VALUE…`: many runs, chosen by their check."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le
from tyro.conf import Positional, arg

from nearfar.bounds import check_range
from nearfar.cli.arguments import parse
from nearfar.cli.choices import choose
from nearfar.cli.hints import refuse_settings_for_nothing
from nearfar.cli.sweep_axes import axes_of, taken
from nearfar.cli.train_arguments import TrainArguments, arguments_of, recipe_of
from nearfar.errors import SettingError, unknown_name
from nearfar.recipes.names import DEFAULT_RECIPE, RECIPES, recipe_named
from nearfar.recipes.recipe import Recipe
from nearfar.spec import Nested
from nearfar.sweeps.engines import EngineSpec, GridSpec
from nearfar.sweeps.known_studies import studies
from nearfar.sweeps.runners import LocalSpec, RunnerSpec
from nearfar.sweeps.study import Study
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.uses.file_names import check_table

_MOST_WORKERS = 1024
_CHOICES = ("--engine.", "--runner.")
_OF_STUDY = ("engine", "seeds", "trials", "minutes", "maximise")


@dataclass(frozen=True)
class SweepArguments:
    """Train a recipe with many settings and seeds, and choose the best by its held-out check.

    Every option of `nearfar train` may be given besides, and holds for all runs. The same command
    goes on with a sweep that was cut, and in another terminal joins it as a further worker.
    """

    name: Annotated[Positional[str | None], arg(metavar="STUDY or RECIPE")] = None
    """What to vary; `nearfar studies` and `nearfar recipes` list them."""
    over: Annotated[tuple[str, ...], arg(metavar="SETTING VALUE [VALUE…]")] = ()
    """An axis, such as training.batch-size 128 256; for random and tpe also a range, such as
    training.optimizer.learning-rate 1e-4..1e-2. May be given several times."""
    seeds: tuple[int, ...] = (0,)
    """Each trial is trained with each of them, and stands by the mean."""
    engine: Nested[EngineSpec] = field(default_factory=GridSpec)
    trials: int | None = None
    """Most trials; random and tpe need these, or minutes."""
    minutes: float | None = None
    """After so long no further trial begins."""
    maximise: str = "knn"
    """Of the held-out check: knn, or online_probe with --training.online-probe True."""
    workers: Annotated[int, Ge(1), Le(_MOST_WORKERS)] = 1
    """How many train at a time, each with one thread on a core of its own."""
    runner: Nested[RunnerSpec] = field(default_factory=LocalSpec)
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of the sweep; left out, runs/sweep-NAME."""
    table: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write every run as .csv or .parquet, besides sweep.csv."""
    resume: Annotated[Path | None, arg(metavar="DIR")] = None
    """Go on with the sweep of a folder, or join it."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar sweep` with the words after it."""
    own, rest = _parted(words)
    own, told = taken(own)
    _refuse_ray_as_engine(own)
    name, known = _known(own, rest)
    chosen, left = choose(_defaults(known), own)
    arguments = parse(SweepArguments, "sweep", left, chosen)
    check_range("workers", arguments.workers, 1, _MOST_WORKERS)
    check_table(arguments.table, "--table")
    resumed = arguments.resume
    if resumed is not None:
        _refuse_beside_resume(arguments, name, [*rest, *(f"--over {each[0]}" for each in told)])
        study = _with_budget(SweepFolder(resumed).read(), arguments)
        folder = resumed
    else:
        study = _study(known, arguments, told, rest)
        folder = arguments.out or Path("runs") / f"sweep-{name}"
        study.check_points()

    from nearfar.sweeps.running import run_sweep
    from nearfar.terminal import Terminal

    run_sweep(
        study,
        SweepFolder(folder),
        workers=arguments.workers,
        runner=arguments.runner,
        table=arguments.table,
        console=Terminal(goes_on=True, highlight=False),
    )


def _refuse_ray_as_engine(words: Sequence[str]) -> None:
    """Ray runs trials; what chooses them is another option."""
    for place, word in enumerate(words):
        option, _, value = word.partition("=")
        if option == "--engine" and "ray" in (value, *words[place + 1 : place + 2]):
            raise SettingError(
                "--engine ray: an engine chooses trials, and Ray runs them: give --runner ray, and "
                "--engine grid, random or tpe besides"
            )


def _parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a sweep, and those that `nearfar train` reads; a value goes with its option."""
    own_options = {f"--{each.name}" for each in fields(SweepArguments)} | {"-h", "--help"}
    own: list[str] = []
    rest: list[str] = []
    into = own
    for word in words:
        if word.startswith("--") or word == "-h":
            option = word.partition("=")[0]
            into = own if option in own_options or option.startswith(_CHOICES) else rest
        into.append(word)
    return own, rest


def _known(own: Sequence[str], rest: Sequence[str]) -> tuple[str, Study | Recipe]:
    """What the first word names: a study, or a recipe."""
    first = own[0] if own and not own[0].startswith("-") else None
    if first is None:
        if any(word.partition("=")[0] in ("--resume", "--help", "-h") for word in own):
            return "", recipe_named(DEFAULT_RECIPE)
        what = f"before {rest[0]}" if rest else "`nearfar studies` and `nearfar recipes` list them"
        raise SettingError(f"sweep needs the name of a study or of a recipe first: {what}")
    if first in studies():
        return first, studies()[first]()
    if first in RECIPES:
        return first, recipe_named(first)
    raise unknown_name("study or recipe", first, [*studies(), *RECIPES])


def _defaults(known: Study | Recipe) -> SweepArguments:
    """The arguments with nothing changed."""
    if isinstance(known, Recipe):
        return SweepArguments()
    return SweepArguments(**{name: getattr(known, name) for name in _OF_STUDY})


def _study(
    known: Study | Recipe,
    arguments: SweepArguments,
    told: Sequence[Sequence[str]],
    rest: Sequence[str],
) -> Study:
    """The whole study: what is known by its name, as the words change it."""
    base = known if isinstance(known, Recipe) else known.recipe
    recipe = _recipe(base, rest)
    axes = axes_of(recipe, told)
    if isinstance(known, Study):
        again = {axis.setting for axis in axes}
        axes = (*(axis for axis in known.axes if axis.setting not in again), *axes)
    values = {name: getattr(arguments, name) for name in _OF_STUDY}
    return Study(
        study=known.study if isinstance(known, Study) else "custom",
        recipe=recipe,
        axes=axes,
        **values,
    )


def _recipe(base: Recipe, words: Sequence[str]) -> Recipe:
    """The recipe of all runs: the base, as options of `nearfar train` change it, on one thread."""
    for word in words:
        if word.partition("=")[0] == "--seed":
            raise SettingError("--seed: a sweep takes --seeds, each of which every trial runs with")
        if word.partition("=")[0] in ("--overwrite", "--from", "--extend"):
            raise SettingError(f"{word}: a sweep has no such option (nearfar sweep --help)")
    chosen, left = choose(arguments_of(base), words)
    arguments = parse(TrainArguments, "sweep", left, chosen)
    refuse_settings_for_nothing(words, arguments.evaluation)
    recipe = recipe_of(arguments)
    if recipe.training.threads is None:
        recipe = replace(recipe, training=replace(recipe.training, threads=1))
    return recipe


def _with_budget(study: Study, arguments: SweepArguments) -> Study:
    """A sweep that is gone on with, for more trials or another time where these are given."""
    given = {name: getattr(arguments, name) for name in ("trials", "minutes")}
    return replace(study, **{name: value for name, value in given.items() if value is not None})


def _refuse_beside_resume(arguments: SweepArguments, name: str, rest: Sequence[str]) -> None:
    allowed = ("workers", "runner", "table", "resume", "trials", "minutes")
    others = [each for each in _defaults_changed(arguments) if each not in allowed]
    given = [name] if name else [f"--{each}" for each in others] or list(rest)
    if given:
        raise SettingError(
            f"--resume goes on with the sweep of {arguments.resume} as it began: leave {given[0]} "
            "out, or start a new sweep"
        )


def _defaults_changed(arguments: SweepArguments) -> list[str]:
    standard = SweepArguments()
    return [
        each.name
        for each in fields(SweepArguments)
        if getattr(arguments, each.name) != getattr(standard, each.name)
    ]
