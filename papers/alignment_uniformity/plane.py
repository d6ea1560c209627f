"""Many encoders in the plane of alignment and uniformity, and how well these tell accuracy."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy.stats import rankdata
from tools.markdown import table
from torch import Tensor

from nearfar.objectives import align_uniform, contrast_align_uniform, nt_xent
from papers.alignment_uniformity.digits_sphere import (
    Objective,
    digits,
    measured,
    new_encoder,
    train,
)
from papers.experiment import Experiment
from papers.figures import MARKERS, panels
from papers.measurements import distinct, groups, values, where

DIM, RATE = 64, 2e-3
EPOCHS = (8, 40)
"""After which each encoder is measured."""
DRAWS, CONFIDENCE = 2000, 0.95
"""Of the bootstrap."""
SETTINGS: dict[str, tuple[dict[str, float], ...]] = {
    "NT-Xent": tuple({"temperature": each} for each in (0.05, 0.1, 0.2, 0.5, 1.0)),
    "alignment + uniformity": (
        {"align_weight": 1.0, "uniform_weight": 1.0},
        {"align_weight": 1.0, "uniform_weight": 0.5},
        {"align_weight": 0.5, "uniform_weight": 1.0},
        {"align_weight": 1.0, "uniform_weight": 0.1},
        {"align_weight": 0.1, "uniform_weight": 1.0},
    ),
    "all three": (
        {"temperature": 0.5, "align_weight": 1.0, "uniform_weight": 1.0},
        {"temperature": 0.1, "align_weight": 1.0, "uniform_weight": 0.0},
    ),
}
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "NT-Xent": nt_xent,
    "alignment + uniformity": align_uniform,
    "all three": contrast_align_uniform,
}
JUDGED = {"accuracy": "features", "embedding": "points of the sphere"}
"""What the neighbours vote on."""
TOLD_BY = {
    "alignment": "alignment alone",
    "uniformity": "uniformity alone",
    "sum": "alignment + uniformity",
}


def measure(
    seed: int,
    *,
    epochs: Sequence[int] = EPOCHS,
    settings: Mapping[str, Sequence[dict[str, float]]] = SETTINGS,
) -> pd.DataFrame:
    """Accuracy, alignment and uniformity on test digits of an encoder of every setting and length.

    Args:
        seed: Of weights, order and views.
        epochs: After which an encoder is measured.
        settings: Of each objective.
    """
    data, rows = digits(), []
    for name, several in settings.items():
        for chosen in several:
            encoder = new_encoder(seed, DIM)
            objective = _of_views(partial(_FUNCTIONS[name], **chosen))
            steps = train(encoder, objective, data, seed=seed, epochs=max(epochs), rate=RATE)
            words = ", ".join(f"{key} {value:g}" for key, value in chosen.items())
            rows += [
                {
                    "objective": name,
                    "settings": words,
                    "epochs": epoch,
                    **measured(encoder, data),
                }
                for epoch in steps
                if epoch in epochs
            ]
    return pd.DataFrame(rows)


def _of_views(objective: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    def loss(first: Tensor, second: Tensor, _: Tensor) -> Tensor:
        return objective(first, second)

    return loss


def draw(data: pd.DataFrame) -> Figure:
    """Every encoder in the plane: a marker for its objective, a colour for its accuracy."""
    figure, axes = panels(len(JUDGED), height=4.0)
    for panel, (column, words) in zip(axes, JUDGED.items(), strict=True):
        # The worst would take all colours for themselves.
        colours = Normalize(*np.quantile(values(data, column), [0.1, 1]))
        for place, name in enumerate(SETTINGS):
            rows = where(data, objective=name)
            panel.scatter(
                values(rows, "uniformity"),
                values(rows, "alignment"),
                c=values(rows, column),
                norm=colours,
                marker=MARKERS[place],
                s=26,
                edgecolors="0.3",
                linewidths=0.4,
                label=name,
            )
        panel.set(
            xlabel="uniformity, lower is more even",
            ylabel="alignment, lower is nearer",
            title=f"kNN on {words}, %",
        )
        figure.colorbar(ScalarMappable(colours), ax=panel, extend="min")
    axes[0].legend(fontsize=7.5)
    return figure


def correlation(data: pd.DataFrame, told_by: str, told: str) -> tuple[float, float, float]:
    """Spearman's correlation with accuracy over all encoders, and its bootstrap interval.

    Whole settings are drawn with all their seeds and lengths, which have much in common.

    Args:
        data: A row an encoder.
        told_by: alignment, uniformity, or their sum.
        told: Column of the accuracy.
    """
    rows = data.assign(sum=data["alignment"] + data["uniformity"]).reset_index(drop=True)
    one, other = values(rows, told_by), values(rows, told)
    places = [group.index.to_numpy() for _, group in groups(rows, "objective", "settings")]
    draws = np.random.default_rng(0)

    def of(chosen: np.ndarray) -> float:
        return float(np.corrcoef(rankdata(one[chosen]), rankdata(other[chosen]))[0, 1])

    drawn = [
        of(np.concatenate([places[each] for each in draws.integers(len(places), size=len(places))]))
        for _ in range(DRAWS)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return of(np.arange(len(rows))), float(low), float(high)


def findings(data: pd.DataFrame) -> str:
    """How well either term, and both, rank the encoders."""
    lines = []
    for column, words in TOLD_BY.items():
        cells = []
        for told in JUDGED:
            mean, low, high = correlation(data, column, told)
            cells.append(f"{mean:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−"))
        lines.append([words, *cells])
    head = ["Spearman's correlation with kNN", *(f"on {words}" for words in JUDGED.values())]
    settings = data[["objective", "settings"]].drop_duplicates()
    return (
        f"{len(data)} encoders: {len(settings)} settings, after "
        f"{' and '.join(map(str, distinct(data, 'epochs')))} epochs, "
        f"{data['seed'].nunique()} seeds. Both terms are better when lower, so the claim is of "
        "negative correlations. In brackets the 95 % interval over settings.\n\n"
        + table(head, lines)
    )


EXPERIMENT = Experiment(
    name="plane",
    title="Do alignment and uniformity together tell how good an encoder is?",
    source="Wang & Isola 2020, the scatter of encoders",
    claim=(
        "Encoders that are low in alignment and in uniformity are the accurate ones, whatever "
        "they were trained by; either term alone says less. Measured on test digits, for encoders "
        "of several objectives, weights, temperatures and lengths, on the sphere in "
        f"{DIM} dimensions behind a linear head."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=15,
)
