"""Many encoders in the plane of alignment and uniformity, and how well these tell accuracy."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
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
from papers.measurements import distinct, values, where

DIM, RATE = 64, 2e-3
EPOCHS = (8, 40)
"""After which each encoder is measured."""
DRAWS, CONFIDENCE = 2000, 0.95
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
_FUNCTIONS = {
    "NT-Xent": nt_xent,
    "alignment + uniformity": align_uniform,
    "all three": contrast_align_uniform,
}
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


def _of_views(objective: Any) -> Objective:
    def loss(first: Tensor, second: Tensor, _: Tensor) -> Tensor:
        return objective(first, second)

    return loss


def draw(data: pd.DataFrame) -> Figure:
    """Every encoder in the plane: a marker for its objective, a colour for its accuracy."""
    figure, axes = panels(2, height=4.0)
    for panel, (column, words) in zip(
        axes, (("accuracy", "features"), ("embedding", "points on the sphere")), strict=True
    ):
        low, high = np.quantile(values(data, column), [0.1, 1])
        for marker, name in zip(MARKERS, distinct(data, "objective"), strict=False):
            rows = where(data, objective=name)
            points = panel.scatter(
                values(rows, "uniformity"),
                values(rows, "alignment"),
                c=values(rows, column),
                vmin=low,
                vmax=high,
                cmap="viridis",
                marker=marker,
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
        figure.colorbar(points, ax=panel, extend="min")  # pyright: ignore[reportPossiblyUnboundVariable]
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
    rows = data.assign(sum=data["alignment"] + data["uniformity"])
    groups = [group for _, group in rows.groupby(["objective", "settings"], sort=True)]
    draws = np.random.default_rng(0)

    def of(chosen: Sequence[pd.DataFrame]) -> float:
        some = pd.concat(chosen)
        ranks = [rankdata(values(some, column)) for column in (told_by, told)]
        return float(np.corrcoef(ranks)[0, 1])

    drawn = [
        of([groups[place] for place in draws.integers(len(groups), size=len(groups))])
        for _ in range(DRAWS)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return of(groups), float(low), float(high)


def findings(data: pd.DataFrame) -> str:
    """How well either term, and both, rank the encoders."""
    lines = []
    for column, words in TOLD_BY.items():
        cells = []
        for told in ("accuracy", "embedding"):
            mean, low, high = correlation(data, column, told)
            cells.append(f"{mean:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−"))
        lines.append([words, *cells])
    head = ["Spearman's correlation with kNN", "on features", "on points of the sphere"]
    return (
        f"{len(data)} encoders: {len(data.groupby(['objective', 'settings']))} settings, after "
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
    minutes=20,
)
