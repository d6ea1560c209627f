"""The contrastive loss with one negative: its pair term, and that even and aligned is best."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.integrate import quad
from tools.markdown import mean_and_sd, table
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.objectives import contrastive
from papers.alignment_uniformity.sphere import rows_at_cosine
from papers.experiment import Experiment
from papers.figures import COLOURS, explain_expected, panels, plot_expected, plot_spread
from papers.measurements import distinct, groups, values, where

DIM = 8
TEMPERATURES = (0.2, 0.5, 1.0)
OFFSETS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""How far the mean of the normal draws lies from 0 before they are brought to the sphere."""
COSINES = (0.5, 0.8, 1.0)
"""Of the two rows of a positive pair."""
ANCHORS = 2**18
SHOWN = 0.5
"""Temperature of the right panel and of the table."""


def measure(
    seed: int,
    *,
    temperatures: Sequence[float] = TEMPERATURES,
    offsets: Sequence[float] = OFFSETS,
    cosines: Sequence[float] = COSINES,
    anchors: int = ANCHORS,
) -> pd.DataFrame:
    """The loss with one negative, for each spread, alignment and temperature.

    Args:
        seed: Of the draws.
        temperatures: Numbers T.
        offsets: From 0, even, to where all rows lie near each other.
        cosines: Of positives; 1 is aligned.
        anchors: Drawn for each value.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for offset in offsets:
        first, others = (_rows(anchors, offset, generator) for _ in range(2))
        for cosine in cosines:
            positives = rows_at_cosine(first, cosine, generator)
            for temperature in temperatures:
                loss = contrastive(first, positives, others[:, None], temperature=temperature)
                rows.append(
                    {
                        "offset": offset,
                        "cosine": cosine,
                        "temperature": temperature,
                        "loss": float(loss),
                        "even": of_even_spread(temperature, cosine),
                    }
                )
    return pd.DataFrame(rows)


def _rows(count: int, offset: float, generator: torch.Generator) -> Tensor:
    """Unit rows, the more about one direction the larger the offset."""
    drawn = torch.randn(count, DIM, generator=generator, dtype=torch.float64)
    drawn[:, 0] += offset
    return normalize(drawn, dim=1)


def pair_term(cosine: np.ndarray | float, temperature: float, positive: float = 1.0) -> np.ndarray:
    """`log(1 + e^{(s − c)/T})`: the loss of one negative at cosine s, the positive at c."""
    return np.logaddexp(0, (np.asarray(cosine) - positive) / temperature)


def of_even_spread(temperature: float, cosine: float, dim: int = DIM) -> float:
    """The expected loss of rows that are spread evenly, by an integral over the cosine."""

    def density(angle: float) -> float:
        return np.sin(angle) ** (dim - 2)

    def weighted(angle: float) -> float:
        return float(pair_term(np.cos(angle), temperature, cosine)) * density(angle)

    return quad(weighted, 0, np.pi)[0] / quad(density, 0, np.pi)[0]


def draw(data: pd.DataFrame) -> Figure:
    """Left the pair term against the cosine, right the loss against the offset."""
    figure, (left, right) = panels()
    cosines = np.linspace(-1, 1, 101)
    for place, temperature in enumerate(TEMPERATURES):
        term = pair_term(cosines, temperature)
        left.plot(cosines, term, color=COLOURS[place], lw=1.2, label=f"T = {temperature:g}")
    left.set(xlabel="cosine of the negative, s", ylabel="log(1 + e^{(s − 1)/T}), nats")
    shown = where(data, temperature=SHOWN)
    for place, (cosine, rows) in enumerate(groups(shown, "cosine")):
        plot_spread(right, rows, "offset", "loss", place=place, label=f"positives at {cosine:g}")
        plot_expected(right, rows, "offset", "even", place=place)
    explain_expected(right, "even, by the integral")
    right.set(
        xlabel="offset: 0 is even, 4 nearly a point", ylabel=f"loss, M = 1, T = {SHOWN:g}, nats"
    )
    for panel in (left, right):
        panel.legend(fontsize=7.5)
    return figure


def findings(data: pd.DataFrame) -> str:
    """Where the loss is least, and how it grows to both sides."""
    best = [
        rows.loc[rows["loss"].idxmin(), ["offset", "cosine"]].tolist()
        for _, rows in groups(data, "seed", "temperature")
    ]
    right = sum(each == [0.0, 1.0] for each in best)
    even = where(data, offset=0.0)
    error = abs(values(even, "loss") - values(even, "even")).max()
    lines = []
    for offset in distinct(data, "offset"):
        rows = where(data, offset=offset, temperature=SHOWN)
        cells = [
            mean_and_sd(values(where(rows, cosine=cosine), "loss"), ".4f")
            for cosine in distinct(data, "cosine")
        ]
        lines.append([f"{offset:g}", *cells])
    return (
        f"The least loss is that of even and aligned rows in {right} of {len(best)} cases (a seed "
        "and a temperature each); even rows are within "
        f"{error:.1e} nats of the integral. The pair term rises with the cosine and is convex, so "
        "that nearer negatives cost more than farther ones save: that is why a single one already "
        "spreads the rows.\n\n"
        + table(["offset", *(f"positives at {each:g}" for each in distinct(data, "cosine"))], lines)
    )


EXPERIMENT = Experiment(
    name="single_negative",
    title="One negative is enough to ask for the same",
    source="Wang & Isola 2020, theorem 2",
    claim=(
        "Encoders that are aligned and uniform are the exact minimisers also with M = 1, where the "
        "loss is `E log(1 + e^{(f(x⁻)·f(x) − f(x⁺)·f(x))/T})`. Measured with "
        f"`nearfar.objectives.contrastive` on the sphere in {DIM} dimensions, on rows from evenly "
        "spread to nearly equal, with positives from far to the same."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.3,
)
