"""One trained encoder, trained on by alignment alone, by uniformity alone, and by both."""

from collections import deque
from copy import deepcopy

import pandas as pd
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table
from torch import Tensor

from nearfar.objectives import align_uniform, nt_xent
from papers.alignment_uniformity.digits_sphere import digits, measured, new_encoder, train
from papers.experiment import Experiment
from papers.figures import panels, plot_spread
from papers.measurements import distinct, where

DIM, TEMPERATURE = 64, 0.5
RATE, RATE_AFTER = 2e-3, 5e-4
EPOCHS, EPOCHS_AFTER, EVERY = 60, 40, 4

TERMS: dict[str, dict[str, float]] = {
    "alignment alone": {"uniform_weight": 0.0},
    "uniformity alone": {"align_weight": 0.0},
    "both": {},
}
SHOWN = {
    "accuracy": "kNN on features, %",
    "embedding": "kNN on the sphere, %",
    "alignment": "alignment, lower is nearer",
    "uniformity": "uniformity, lower is more even",
}


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
    data, encoder = digits(), new_encoder(seed, DIM)

    def contrast(first: Tensor, second: Tensor, _: Tensor) -> Tensor:
        return nt_xent(first, second, temperature=TEMPERATURE)

    deque(train(encoder, contrast, data, seed=seed, epochs=epochs, rate=RATE), maxlen=0)
    before, rows = measured(encoder, data), []
    for name, weights in TERMS.items():

        def terms(first: Tensor, second: Tensor, _: Tensor, weights=weights) -> Tensor:
            return align_uniform(first, second, **weights)

        copy = deepcopy(encoder)
        further = train(copy, terms, data, seed=seed, epochs=epochs_after, rate=RATE_AFTER)
        rows.append({"objective": name, "epoch": 0, **before})
        rows += [
            {"objective": name, "epoch": epoch, **measured(copy, data)}
            for epoch in further
            if epoch % every == 0
        ]
    return pd.DataFrame(rows)


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
