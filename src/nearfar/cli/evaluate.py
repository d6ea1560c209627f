"""`nearfar evaluate RUN`: judge a run's encoder again, also on other data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.data.catalogue import check_data_config
from nearfar.data.config import DataConfig
from nearfar.evaluation.check import check_evaluation
from nearfar.evaluation.config import EvaluationConfig
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.data_root import refuse_lost_data
from nearfar.recipes.recipe import Recipe


@dataclass(frozen=True)
class EvaluateArguments:
    """Judge the encoder of a run again, on the data it learned from or on other data.

    What is left out is as in the run. Other data do not replace the run's own evaluation: they get
    a folder inside the run, named by the data.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run."""
    data: DataConfig = field(default_factory=DataConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder for what is found; left out, the run itself, or of other data a folder inside it."""
    overwrite: bool = False
    """Replace what was found on the same other data before, or what --out holds of it."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar evaluate` with the words after it."""
    arguments = _read(words)
    refuse_lost_data(arguments.run, arguments.data)
    check_data_config(arguments.data)
    check_evaluation(arguments.evaluation)

    from nearfar.recipes.run import evaluate_run

    evaluate_run(
        arguments.run,
        data=arguments.data,
        evaluation=arguments.evaluation,
        out=arguments.out,
        overwrite=arguments.overwrite,
    )


def _read(words: Sequence[str]) -> EvaluateArguments:
    """Reads the words once for the run and the source's name, then with the defaults they bring."""
    first = parse(EvaluateArguments, "evaluate", words)
    recipe = read_recipe(first.run)
    again = parse(EvaluateArguments, "evaluate", words, _defaults(first.run, recipe, recipe.data))
    if again.data.name == recipe.data.name:
        return again
    # Another source: where the run's own one lies says nothing of it.
    other = DataConfig(name=again.data.name)
    return parse(EvaluateArguments, "evaluate", words, _defaults(first.run, recipe, other))


def _defaults(run_folder: Path, recipe: Recipe, data: DataConfig) -> EvaluateArguments:
    """The run's own settings."""
    return EvaluateArguments(run_folder, data=data, evaluation=recipe.evaluation)
