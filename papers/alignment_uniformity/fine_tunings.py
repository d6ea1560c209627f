"""One trained encoder, trained on by alignment alone, by uniformity alone, and by both."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.neighbors import KNeighborsClassifier
from tools.markdown import mean_and_sd, table
from torch import Tensor, nn

from nearfar.data.source import Part
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.objectives import align_uniform, alignment, nt_xent, uniformity
from nearfar.training.generators import OwnDraws
from nearfar.views.specs import DigitsViewsSpec
from nearfar.views.views import Views
from papers.experiment import Experiment
from papers.figures import panels, plot_spread
from papers.measurements import distinct, where

BATCH, DIM, TEMPERATURE, NEIGHBORS = 256, 64, 0.5, 20
RATE, RATE_AFTER = 2e-3, 5e-4
EPOCHS, EPOCHS_AFTER, EVERY = 60, 40, 4
SHAPE, MEAN, STD = (1, 8, 8), 0.3, 0.3
"""Of the digits, and about their brightness, 0 to 1."""

Objective = Callable[[Tensor, Tensor], Tensor]
TERMS: dict[str, Objective] = {
    "alignment alone": partial(align_uniform, uniform_weight=0.0),
    "uniformity alone": partial(align_uniform, align_weight=0.0),
    "both": align_uniform,
}
SHOWN = {
    "accuracy": "kNN on features, %",
    "embedding": "kNN on the sphere, %",
    "alignment": "alignment, lower is nearer",
    "uniformity": "uniformity, lower is more even",
}


class Digits(NamedTuple):
    """Small pictures, part to learn from and part to measure on."""

    train: Part
    test: Part


@dataclass(frozen=True)
class Start:
    """What a training begins with: a backbone, and a linear map to the sphere behind it."""

    backbone: nn.Module
    head: nn.Module


def measure(
    seed: int, *, epochs: int = EPOCHS, epochs_after: int = EPOCHS_AFTER, every: int = EVERY
) -> pd.DataFrame:
    """Accuracy, alignment and uniformity on test digits while the trained encoder is trained on.

    Args:
        seed: Of weights, order and views.
        epochs: By NT-Xent, from random weights.
        epochs_after: By each of the terms, all from the weights that NT-Xent left.
        every: Epochs between measurements.
    """
    digits = load_source(DigitsSpec())
    assert digits.test is not None
    data = Digits(digits.train, digits.test)
    with OwnDraws(seed):
        backbone = SmallResNetSpec(width=16).build(SHAPE)
        start = Start(backbone, nn.Linear(cast(int, backbone.num_features), DIM))
    contrast = partial(nt_xent, temperature=TEMPERATURE)
    _train(start, contrast, data, seed=seed, epochs=epochs, rate=RATE, every=epochs + 1)
    rows = []
    for name, objective in TERMS.items():
        copy = Start(deepcopy(start.backbone), deepcopy(start.head))
        found = _train(
            copy, objective, data, seed=seed, epochs=epochs_after, rate=RATE_AFTER, every=every
        )
        rows += [{"objective": name, **each} for each in found]
    return pd.DataFrame(rows)


def _train(
    start: Start,
    objective: Objective,
    data: Digits,
    *,
    seed: int,
    epochs: int,
    rate: float,
    every: int,
) -> list[dict[str, Any]]:
    """Train it where it is; what is measured before, and after every so many epochs."""
    images = data.train.examples
    assert isinstance(images, Tensor)
    views = _views()
    draws = torch.Generator().manual_seed(seed)
    modules = nn.ModuleList([start.backbone, start.head])
    optimizer = torch.optim.AdamW(modules.parameters(), lr=rate, weight_decay=1e-4)
    found = [{"epoch": 0, **_measured(start, data)}]
    for epoch in range(1, epochs + 1):
        modules.train()
        order = torch.randperm(len(images), generator=draws)
        for rows in order.split(BATCH)[:-1]:
            pair = torch.cat(views(images[rows], draws))
            first, second = start.head(start.backbone(pair)).chunk(2)
            optimizer.zero_grad(set_to_none=True)
            objective(first, second).backward()
            optimizer.step()
        if epoch % every == 0:
            found.append({"epoch": epoch, **_measured(start, data)})
    return found


def _views() -> Views:
    return DigitsViewsSpec().build(SHAPE, mean=(MEAN,), std=(STD,))


@torch.no_grad()
def _measured(start: Start, data: Digits) -> dict[str, float]:
    """On the test part: the neighbours' vote on features, and both terms of two views."""
    views = _views()
    start.backbone.eval()

    def features(part: Part) -> Tensor:
        assert isinstance(part.examples, Tensor)
        return start.backbone((part.examples / 255 - MEAN) / STD)

    def accuracy(train: Tensor, test: Tensor) -> float:
        vote = KNeighborsClassifier(NEIGHBORS, metric="cosine").fit(train, data.train.labels)
        return 100 * float(vote.score(test, data.test.labels))

    train, test = features(data.train), features(data.test)
    assert isinstance(data.test.examples, Tensor)
    pair = torch.cat(views(data.test.examples, torch.Generator().manual_seed(0)))
    first, second = start.head(start.backbone(pair)).chunk(2)
    return {
        "accuracy": accuracy(train, test),
        "embedding": accuracy(start.head(train), start.head(test)),
        "alignment": float(alignment(first, second)),
        "uniformity": float(uniformity(first)),
    }


def draw(data: pd.DataFrame) -> Figure:
    """A panel for each thing measured, a line for each objective, against epochs."""
    figure, axes = panels(len(SHOWN), height=3.2)
    for panel, (column, words) in zip(axes, SHOWN.items(), strict=True):
        for place, name in enumerate(TERMS):
            plot_spread(
                panel, where(data, objective=name), "epoch", column, place=place, label=name
            )
        panel.set(xlabel="epochs after the contrastive training", ylabel=words)
    axes[0].legend(fontsize=7.5)
    return figure


def findings(data: pd.DataFrame) -> str:
    """Where each objective ends, beside where all began."""
    last = max(distinct(data, "epoch"))
    places = [("before", where(data, objective="both", epoch=0))]
    places += [(name, where(data, objective=name, epoch=last)) for name in TERMS]
    digits = {"accuracy": ".1f", "embedding": ".1f", "alignment": ".3f", "uniformity": ".2f"}
    lines = [
        [name, *(mean_and_sd(list(rows[column]), form) for column, form in digits.items())]
        for name, rows in places
    ]
    return f"{_verdict(data, last)}\n\n{table(['after', *SHOWN.values()], lines)}"


def _verdict(data: pd.DataFrame, last: int) -> str:
    """Which objective costs accuracy: seed by seed, more than two deviations of the change."""
    told = []
    for name in TERMS:
        changes = []
        for column, where_it_is in (("accuracy", "features"), ("embedding", "the sphere")):
            before, after = (
                where(data, objective=name, epoch=epoch).sort_values("seed")[column].to_numpy()
                for epoch in (0, last)
            )
            lost = before - after
            costs = float(lost.mean()) > 2 * float(lost.std(ddof=1))
            words = f"costs {mean_and_sd(lost, '.1f')} points" if costs else "costs nothing seen"
            changes.append(f"{words} on {where_it_is}")
        told.append(f"{name} {' and '.join(changes)}")
    return (
        f"After {last} further epochs {'; '.join(told)}. Alignment alone draws all points "
        "together, but a vote of neighbours asks only which point is nearer: the accuracy says "
        "less of a collapse than uniformity does."
    )


EXPERIMENT = Experiment(
    name="fine_tunings",
    title="A trained encoder, trained on by alignment or uniformity alone",
    source="Wang & Isola 2020, the figure on fine-tuning a trained encoder",
    claim=(
        "An encoder that the contrastive loss has trained, trained on by one term alone, gets "
        "better at that term and worse at the other, and its representation worse; by both it "
        f"stays good. Measured on digits: {EPOCHS} epochs of NT-Xent at T = {TEMPERATURE}, then "
        f"{EPOCHS_AFTER} epochs of each from those weights, AdamW at {RATE_AFTER:g}, on the sphere "
        f"in {DIM} dimensions behind a linear head; all figures on the 500 test digits, of which "
        "nothing is chosen."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=6,
)
