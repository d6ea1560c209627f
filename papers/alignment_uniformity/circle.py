"""Digits on a circle: where random, supervised and contrastive encoders put them."""

from collections import deque
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from nearfar.objectives import nt_xent, uniformity
from nearfar.training.generators import OwnDraws
from papers.alignment_uniformity.digits_sphere import (
    Objective,
    digits,
    measured,
    new_encoder,
    points_of_views,
    train,
)
from papers.experiment import Experiment
from papers.figures import COLOURS
from papers.measurements import groups, values, where

DIM, EPOCHS, RATE, TEMPERATURE = 2, 60, 2e-3, 0.5
SCALE = 10.0
"""Of the supervised encoder's cosines: its logits would else not leave each other."""
ENCODERS = ("random", "supervised", "contrastive")


def measure(seed: int, *, epochs: int = EPOCHS) -> pd.DataFrame:
    """Where each test digit lies on the circle, how far its other view, and each encoder's figures.

    Args:
        seed: Of weights, order and views.
        epochs: Of the two trainings.
    """
    data, rows = digits(), []
    for name in ENCODERS:
        encoder = new_encoder(seed, DIM)
        with OwnDraws(seed):
            classifier = nn.Linear(DIM, 10)
        if name != "random":
            objective = _supervised(classifier) if name == "supervised" else _contrastive
            steps = train(
                encoder, objective, data, seed=seed, epochs=epochs, rate=RATE, also=classifier
            )
            deque(steps, maxlen=0)
        first, second = (normalize(each) for each in points_of_views(encoder, data.test))
        found: dict[str, Any] = {
            "encoder": name,
            "accuracy": measured(encoder, data)["embedding"],
            "uniformity": float(uniformity(first)),
        }
        assert data.test.labels is not None
        rows += [
            {**found, "class": int(label), "angle": angle, "distance": distance}
            for label, angle, distance in zip(
                data.test.labels,
                torch.atan2(first[:, 1], first[:, 0]).tolist(),
                (first - second).norm(dim=1).tolist(),
                strict=True,
            )
        ]
    return pd.DataFrame(rows)


def _contrastive(first: Tensor, second: Tensor, _: Tensor) -> Tensor:
    return nt_xent(first, second, temperature=TEMPERATURE)


def _supervised(classifier: nn.Linear) -> Objective:
    """Cross-entropy of both views' points on the circle, by a classifier that is trained along."""

    def loss(first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        logits = classifier(SCALE * normalize(torch.cat([first, second])))
        return cross_entropy(logits, labels.repeat(2))

    return loss


def draw(data: pd.DataFrame) -> Figure:
    """Above, the density on the circle; below, distances of two views: of the first seed."""
    rows = where(data, seed=data["seed"].min())
    figure = Figure((4.0 * len(ENCODERS), 6.4), layout="constrained")
    axes = figure.subplots(2, len(ENCODERS), sharex="row", squeeze=False)
    for place, name in enumerate(ENCODERS):
        of_one = where(rows, encoder=name)
        above, below = axes[0, place], axes[1, place]
        above.hist(
            values(of_one, "angle"), 60, range=(-np.pi, np.pi), density=True, color=COLOURS[place]
        )
        above.axhline(1 / (2 * np.pi), color="0.35", ls=":", lw=1.2)
        above.set(
            title=f"{name}, kNN {of_one['accuracy'].iloc[0]:.1f} %",
            xlabel="angle on the circle",
            ylabel="density" if place == 0 else "",
        )
        above.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
        distances = values(of_one, "distance")
        below.hist(distances, 40, range=(0, 2), density=True, color=COLOURS[place])
        below.axvline(distances.mean(), color="0.35", ls="--", lw=1.2)
        below.set(xlabel="distance of two views of a digit", ylabel="density" if place == 0 else "")
    return figure


def findings(data: pd.DataFrame) -> str:
    """Each encoder's mean distance of views, uniformity and accuracy, over the seeds."""
    lines = []
    for name in ENCODERS:
        of_seeds = [rows for _, rows in groups(where(data, encoder=name), "seed")]
        cells = [name]
        for column, form in (("distance", ".2f"), ("uniformity", ".2f"), ("accuracy", ".1f")):
            # The two last are the same in every row of a seed.
            cells.append(mean_and_sd([values(rows, column).mean() for rows in of_seeds], form))
        lines.append(cells)
    head = ["encoder", "distance of two views", "uniformity", "kNN on the circle, %"]
    return (
        "Dotted: the even density, whose uniformity is −1.58. Dashed: the mean distance. The "
        "figure shows one seed, the table all.\n\n" + table(head, lines)
    )


EXPERIMENT = Experiment(
    name="circle",
    title="Digits on a circle, by random, supervised and contrastive encoders",
    source="Wang & Isola 2020, the figures of CIFAR-10 on the circle",
    claim=(
        "Of encoders with two outputs, a random one gathers everything at a spot; a supervised "
        "one draws views of an image near each other and spreads the classes apart; a contrastive "
        "one has views nearly as near and spreads everything most evenly. Measured on the 500 test "
        f"digits, {EPOCHS} epochs each: cross-entropy of a linear classifier on the circle's "
        f"points, times {SCALE:g}; NT-Xent at T = {TEMPERATURE}."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=5,
)
