"""`nearfar evaluate RUN`: judge a run's encoder again, also on other data."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.cli.choices import choose
from nearfar.cli.hints import refuse_settings_for_nothing
from nearfar.data.specs import DigitsSpec, SourceSpec
from nearfar.errors import SettingError
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.paths import user_path
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.data_root import refuse_lost_data
from nearfar.spec import Nested


@dataclass(frozen=True)
class EvaluateArguments:
    """Judge the encoder of a run again, on the data it learned from or on other data.

    What is left out is as in the run. Other data do not replace the run's own evaluation: they get
    a folder inside the run, named by the data.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run."""
    data: Nested[SourceSpec] = field(default_factory=DigitsSpec)
    evaluation: Nested[EvaluationSpec] = field(default_factory=EvaluationSpec)
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder for what is found; left out, the run itself, or of other data a folder inside it."""
    overwrite: bool = False
    """Replace what was found on the same other data before, or what --out holds of it."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar evaluate` with the words after it."""
    arguments = _read(words)
    refuse_lost_data(arguments.run, arguments.data)
    arguments.data.require_root()

    from nearfar.recipes.run import evaluate_run

    evaluate_run(
        arguments.run,
        data=arguments.data,
        evaluation=arguments.evaluation,
        out=arguments.out,
        overwrite=arguments.overwrite,
    )


def _read(words: Sequence[str]) -> EvaluateArguments:
    """Reads the run's folder, which brings the defaults, then its data, then all other options."""
    if not words or words[0] in ("--help", "-h"):
        return parse(EvaluateArguments, "evaluate", words)
    if words[0].startswith("-"):
        raise SettingError("the run comes before all options: nearfar evaluate RUN …")
    run = user_path(words[0])
    recipe = read_recipe(run)
    of_run = EvaluateArguments(run, data=recipe.data, evaluation=recipe.evaluation)
    chosen, left = choose(of_run, words)
    if chosen.data.name != recipe.data.name:
        # Another source: where the run's own one lies says nothing of it.
        chosen = replace(chosen, data=type(chosen.data)())
    read = parse(EvaluateArguments, "evaluate", left, chosen)
    refuse_settings_for_nothing(words, read.evaluation)
    return read
