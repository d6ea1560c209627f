"""A run in the tracker that its recipe names, from its first step to its page."""

from contextlib import AbstractContextManager, nullcontext

from rich.console import Console

from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import flat_settings
from nearfar.terminal import shown
from nearfar.training.ranks import Ranks
from nearfar.training.tracker import TrackedRun, Tracking


def tracked(
    recipe: Recipe, run_folder: RunFolder, ranks: Ranks, console: Console
) -> AbstractContextManager[Tracking | None]:
    """The run in its tracker, as a context on the first rank; None where there is none.

    Args:
        recipe: Of the run.
        run_folder: Of the run; its own id is what it is known by there.
        ranks: The first alone is tracked.
        console: Where a person is told where it can be seen, or that it failed.
    """
    spec = recipe.training.tracker
    tracker = spec.build() if ranks.first else None
    if tracker is None:
        return nullcontext()
    config = flat_settings(recipe_to_json(recipe, run=run_folder.path))
    name = run_folder.path.resolve().name
    run = TrackedRun(run_folder.manifest.state().id, name, config)

    def say(line: str) -> None:
        console.print(f"[dim]tracker[/dim]  {shown(line)}", highlight=False)

    return Tracking(tracker, spec.title, run, say)


def hand_over(tracking: Tracking, run_folder: RunFolder) -> None:
    """The scores of a judged run as scalars of its last step, and its page and records as files."""
    last = max((record["step"] for record in run_folder.read_metrics()), default=0)
    scores: dict[str, float] = {}
    for record in run_folder.read_evaluation():
        # The first of a protocol stands for it; all of them are in the file.
        name = f"judged/{record['protocol']}/{record['features']}/{record['metric']}"
        scores.setdefault(name, record["value"])
    tracking.scores(last, scores)
    tracking.files(
        [
            run_folder.report,
            run_folder.config,
            run_folder.environment,
            run_folder.metrics,
            run_folder.evaluation,
        ]
    )
