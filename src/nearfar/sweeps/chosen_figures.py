"""Figures on test images of the one trial that the held-out check chose; no other has any."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from nearfar.errors import NearfarError
from nearfar.report.scores import FEATURES, score_rows
from nearfar.run_folder.folder import RunFolder
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.trials import Trial


@dataclass(frozen=True)
class MeanFigure:
    """An accuracy over seeds, in per cent."""

    values: tuple[float, ...]

    @property
    def text(self) -> str:
        """The mean, and the spread of two or more."""
        mean = f"{fmean(self.values):.1f}"
        return mean if len(self.values) < 2 else f"{mean} ± {stdev(self.values):.1f}"


@dataclass(frozen=True)
class ChosenFigure:
    """One protocol.

    Attributes:
        title: In words.
        values: By what is judged.
    """

    title: str
    values: Mapping[str, MeanFigure]


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
                    values.append(100 * score.value)
    return [
        ChosenFigure(
            title,
            {name: MeanFigure(tuple(values[name])) for name in FEATURES if name in values},
        )
        for title, values in found.items()
    ]
