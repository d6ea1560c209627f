"""Figures on test images of the one trial that the held-out check chose; no other has any."""

from collections.abc import Mapping
from dataclasses import dataclass

from nearfar.errors import NearfarError
from nearfar.report.scores import FEATURES, score_rows
from nearfar.run_folder.folder import RunFolder
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.trials import Trial, percent_and_sd


@dataclass(frozen=True)
class ChosenFigure:
    """One protocol.

    Attributes:
        title: In words.
        values: Mean and spread over seeds in per cent, by what is judged.
    """

    title: str
    values: Mapping[str, str]


def chosen_figures(folder: SweepFolder, trial: Trial) -> list[ChosenFigure]:
    """Accuracies of a trial's encoders and of their baselines; none where they are not judged.

    Args:
        folder: Of the sweep.
        trial: The one that its check chose.
    """
    found: dict[str, dict[str, list[float]]] = {}
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
                for feature, score in row.scores.items():
                    values = found.setdefault(title, {}).setdefault(feature, [])
                    values.append(score.value)
    return [
        ChosenFigure(
            title,
            {name: percent_and_sd(values[name]) for name in FEATURES if name in values},
        )
        for title, values in found.items()
    ]
