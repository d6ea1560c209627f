"""Figures on test images of the one trial that the held-out check chose; no other has any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nearfar.errors import NearfarError
from nearfar.report.scores import FEATURES, score_rows
from nearfar.run_folder.folder import RunFolder
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.trials import Trial, percent_and_sd

_HEADLINE = 2


@dataclass(frozen=True)
class ChosenFigure:
    """One protocol.

    Attributes:
        title: In words.
        protocol: Its name in the records.
        on_a_curve: Whether it is one of several along a curve, as by number of labels.
        values: Mean and spread over seeds in per cent, by what is judged.
    """

    title: str
    protocol: str
    on_a_curve: bool
    values: Mapping[str, str]


def chosen_figures(folder: SweepFolder, trial: Trial) -> list[ChosenFigure]:
    """Accuracies of a trial's encoders and of their baselines; none where they are not judged.

    Args:
        folder: Of the sweep.
        trial: The one that its check chose.
    """
    found: dict[tuple[str, str, bool], dict[str, list[float]]] = {}
    for seed in trial.checks:
        run = RunFolder(folder.run(trial.number, seed))
        if not run.evaluation.is_file():
            return []
        try:
            rows = score_rows(run.read_evaluation())
        except NearfarError:
            return []
        for row in rows:
            if row.is_accuracy and "encoder" in row.scores:
                title = row.title + (f" ({row.detail})" if row.detail else "")
                key = title, row.protocol, row.measure.curve is not None
                for feature, score in row.scores.items():
                    values = found.setdefault(key, {}).setdefault(feature, [])
                    values.append(score.value)
    return [
        ChosenFigure(
            *key,
            {name: percent_and_sd(values[name]) for name in FEATURES if name in values},
        )
        for key, values in found.items()
    ]


def headline(figures: Sequence[ChosenFigure]) -> list[ChosenFigure]:
    """The two that say most: the first of each protocol, those along a curve last.

    Args:
        figures: All, in the order of the report.
    """
    first = {figure.protocol: figure for figure in reversed(figures)}
    ordered = [figure for figure in figures if first[figure.protocol] is figure]
    return sorted(ordered, key=lambda figure: figure.on_a_curve)[:_HEADLINE]
