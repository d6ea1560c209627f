"""The page of a sweep: which trial is best, along which axis that changes, and its commands."""

from collections.abc import Sequence

from nearfar.report.charts import shortened
from nearfar.report.page import render
from nearfar.report.scores import FEATURES
from nearfar.sweeps.chosen_figures import chosen_figures
from nearfar.sweeps.command import train_command
from nearfar.sweeps.run_table import duration
from nearfar.sweeps.sortable import Cell, Head, SortableTable
from nearfar.sweeps.study import Study, in_words, shown_value
from nearfar.sweeps.sweep_charts import axis_chart, parallel_chart
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.trials import Trial, best_first

_COMMANDS = 3
"""Trials whose commands are shown."""


def sweep_page(study: Study, folder: SweepFolder, trials: Sequence[Trial], notice: str = "") -> str:
    """The whole page as text.

    Args:
        study: Of the sweep.
        folder: Where its runs lie.
        trials: As far as they have come.
        notice: How far that is, where it is not to the end.
    """
    best = best_first(trials)
    figures = chosen_figures(folder, best[0]) if best else []
    features = [name for name in FEATURES if any(name in row.values for row in figures)]
    return render(
        "sweep.html",
        package="nearfar.sweeps",
        sorts=True,
        title=study.study if study.study != "custom" else f"{study.recipe.recipe}, swept",
        notice=notice,
        summary=_summary(study, trials),
        lead=_lead(study, best),
        more=_more(study, best),
        axes=[(axis.setting, axis_chart(axis, trials)) for axis in study.axes] if best else [],
        parallel=parallel_chart(study, trials) if best and study.axes else None,
        table=_table(study, trials),
        heads=[FEATURES[name] for name in features],
        figures=[(row.title, [row.values.get(name, "") for name in features]) for row in figures],
        chosen=best[0].number if best else None,
        seeds=len(study.seeds),
        commands=[
            (
                f"Trial {trial.number}: {trial.text} %",
                "\n".join(
                    train_command(
                        study.recipe_at(trial.point, seed),
                        f"runs/trial-{trial.number}-seed-{seed}",
                    )
                    for seed in study.seeds
                ),
            )
            for trial in best[:_COMMANDS]
        ],
        failed=[(each.number, in_words(each.point), each.told) for each in trials if each.told],
    )


def _summary(study: Study, trials: Sequence[Trial]) -> str:
    planned = "" if study.planned is None else f" of {study.planned}"
    said = [
        f"{sum(trial.state == state for trial in trials)} {state}"
        for state in ("finished", "running", "pruned", "failed")
        if any(trial.state == state for trial in trials)
    ]
    seeds = f", {len(study.seeds)} seeds each" if len(study.seeds) > 1 else ""
    return (
        f"{study.recipe.recipe} by {study.engine.name}: {len(trials)}{planned} trials{seeds}; "
        f"{', '.join(said) or 'none has begun'}. The check is the accuracy of "
        f"{_measure(study)} on training images that are held out of training, "
        f"{_EPOCHS[study.recipe.training.keep_epoch]}."
    )


_EPOCHS = {"last": "after the last epoch", "best": "after the epoch that checks best"}


def _measure(study: Study) -> str:
    if study.maximise == "online_probe":
        return "a linear classifier that learns beside the run"
    return f"a vote of {study.recipe.training.knn_vote[0]} neighbours"


def _lead(study: Study, best: Sequence[Trial]) -> str:
    if not best:
        return "No trial has finished yet."
    first = f"Trial {best[0].number} checks best: {best[0].text} %"
    over = f" over {len(study.seeds)} seeds" if len(study.seeds) > 1 else ""
    return f"{first}{over}, with {in_words(best[0].point)}."


def _more(study: Study, best: Sequence[Trial]) -> list[str]:
    more = []
    if len(best) > 1:
        second = best[1]
        gap = 100 * ((best[0].mean or 0) - (second.mean or 0))
        more.append(f"Trial {second.number} follows, {gap:.1f} points behind: {second.text} %.")
        more.append(
            f"The best of {len(best)} is chosen by its own check, which flatters it: it is partly "
            "the best by luck."
        )
    if best and len(study.seeds) == 1:
        more.append("One seed does not say how far seeds differ: --seeds 0 1 2 does.")
    return more


def _table(study: Study, trials: Sequence[Trial]) -> SortableTable:
    names = [axis.setting for axis in study.axes]
    ends = [name.rpartition(".")[2] for name in names]
    titles = [end if ends.count(end) == 1 else n for n, end in zip(names, ends, strict=True)]
    heads = [
        Head("trial"),
        Head("check", number=True, highest_first=True),
        Head("sd", number=True),
        *(Head(title, number=_numbers(trials, n)) for n, title in zip(names, titles, strict=True)),
        *(Head(f"seed {seed}", number=True, highest_first=True) for seed in study.seeds),
        Head("time", number=True),
        Head("state"),
    ]
    ordered = best_first(trials)
    ordered += [trial for trial in trials if trial not in ordered]
    return SortableTable(heads, [_row(study, trial, names) for trial in ordered])


def _row(study: Study, trial: Trial, names: Sequence[str]) -> list[Cell]:
    seconds = sum(trial.seconds.values()) or None
    finished = trial.state == "finished"
    mean = trial.mean if finished else None
    state = trial.state
    if trial.state == "pruned" and trial.on_the_way:
        after = max(trial.on_the_way)
        state = f"pruned after epoch {after} at {100 * trial.on_the_way[after]:.1f} %"
    return [
        Cell(str(trial.number), trial.number),
        _percent_cell(mean),
        _percent_cell(trial.sd),
        *(Cell.of(shortened(shown_value(trial.point[name])), trial.point[name]) for name in names),
        *(_percent_cell(trial.checks.get(seed)) for seed in study.seeds),
        Cell.of("" if seconds is None else duration(seconds), seconds),
        Cell(state, state),
    ]


def _percent_cell(share: float | None) -> Cell:
    return Cell.of("" if share is None else f"{100 * share:.1f}", share)


def _numbers(trials: Sequence[Trial], name: str) -> bool:
    values = [trial.point[name] for trial in trials]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
