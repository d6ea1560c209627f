"""PaCo's best probabilities, found by descending its loss, against their closed form."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from tools.markdown import mean_and_sd, table
from torch import Tensor, nn

from nearfar.objectives import paco
from papers.experiment import Experiment
from papers.figures import (
    COLOURS,
    MARKERS,
    counts_on,
    explain_expected,
    panels,
    plot_expected,
    plot_spread,
    powers_on,
)
from papers.measurements import distinct, groups, values, where

ALPHAS = (0.01, 0.05, 0.2, 1.0)
SIZES = (1, 2, 4, 8, 16)
"""Examples of each class in the batch; each then has 2 · size − 1 positive samples."""
TEMPERATURE = 0.05
STEPS = 20
WEIGHTS_OF_POSITIVES = (0.1, 0.41, 1.0, 4.0)
"""αK of the curves of L_extra; its authors' figure has 0.41."""


def measure(
    seed: int,
    *,
    alphas: Sequence[float] = ALPHAS,
    sizes: Sequence[int] = SIZES,
    steps: int = STEPS,
) -> pd.DataFrame:
    """Mean probability of a positive and of the centre after the descent, for each α and class.

    Args:
        seed: Of the first embeddings.
        alphas: Weights of samples.
        sizes: Examples of each class.
        steps: Of L-BFGS, of up to 20 evaluations each.
    """
    rows = []
    for alpha in alphas:
        labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        pairs, centres = probabilities(*descended(labels, alpha, seed, steps), labels)
        for label, size in enumerate(sizes):
            of_class = labels == label
            rows.append(
                {
                    "alpha": alpha,
                    "positives": 2 * size - 1,
                    "pair": float(pairs[of_class].mean()),
                    "centre": float(centres[of_class].mean()),
                    "best_pair": alpha / (1 + alpha * (2 * size - 1)),
                    "best_centre": 1 / (1 + alpha * (2 * size - 1)),
                }
            )
    return pd.DataFrame(rows)


def descended(labels: Tensor, alpha: float, seed: int, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and centre logits that minimise the loss, all of them free.

    Args:
        labels: Of the examples.
        alpha: Weight of a sample.
        seed: Of the first values.
        steps: Of L-BFGS.
    """
    generator = torch.Generator().manual_seed(seed)
    classes = int(labels.max()) + 1

    def free(columns: int) -> nn.Parameter:
        drawn = torch.randn(len(labels), columns, generator=generator, dtype=torch.float64)
        return nn.Parameter(drawn)

    queries, keys, logits = free(2 * classes), free(2 * classes), free(classes)
    optimizer = torch.optim.LBFGS(
        [queries, keys, logits], line_search_fn="strong_wolfe", tolerance_change=1e-14
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = paco(
            queries, keys, labels, logits, alpha=alpha, temperature=TEMPERATURE, normalisation="sum"
        )
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return queries.detach(), keys.detach(), logits.detach()


def probabilities(
    queries: Tensor, keys: Tensor, logits: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Of each query, the mean probability of its positive samples and that of its centre.

    Args:
        queries: Of the first views.
        keys: Of the second.
        logits: Of the classes' centres.
        labels: Of the examples.
    """
    samples = torch.nn.functional.normalize(torch.cat([queries, keys]), dim=1)
    scores = samples[: len(queries)] @ samples.T / TEMPERATURE
    itself = torch.eye(len(queries), len(samples), dtype=torch.bool)
    shares = torch.cat([scores.masked_fill(itself, -math.inf), logits], dim=1).softmax(dim=1)
    of_class = (labels[:, None] == labels.repeat(2)[None]) & ~itself
    pairs = (shares[:, : len(samples)] * of_class).sum(dim=1) / of_class.sum(dim=1)
    return pairs, shares[:, len(samples) :].gather(1, labels[:, None]).squeeze(1)


def extra_loss(share: np.ndarray | float, weight: float) -> np.ndarray:
    """`L_extra(p) = −log p − αK log(1 − p)`: the loss of a query whose centre has the share p.

    Args:
        share: p, above 0 and below 1.
        weight: αK.
    """
    return -np.log(share) - weight * np.log1p(-np.asarray(share))


def best_share(weight: float) -> float:
    """Where `L_extra` is least, found by search.

    Args:
        weight: αK.
    """
    found = minimize_scalar(
        extra_loss,
        bounds=(1e-9, 1 - 1e-9),
        args=(weight,),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(found.x)


def draw(data: pd.DataFrame) -> Figure:
    """Pairs and centres against K, and the curves of L_extra."""
    figure, (left, middle, right) = panels(3)
    kinds = {"pair": "probability of one positive", "centre": "probability of the class's centre"}
    positives = distinct(data, "positives")
    for panel, (column, words) in zip((left, middle), kinds.items(), strict=True):
        for place, (alpha, rows) in enumerate(groups(data, "alpha")):
            plot_expected(panel, rows, "positives", f"best_{column}", place=place)
            name = f"α = {alpha:g}"
            plot_spread(panel, rows, "positives", column, place=place, label=name, line="")
        explain_expected(panel, "closed form")
        counts_on(panel, positives)
        panel.set(xlabel="positive samples of a query, K", ylabel=words)
    of_supcon = [1 / count for count in positives]
    left.plot(positives, of_supcon, color="0.35", ls="--", lw=1, label="SupCon: 1/K")
    powers_on(left)
    left.set_ylim(bottom=5e-4)
    left.legend(fontsize=7.5, ncols=2, loc="lower left")
    middle.set_ylim(0, 1.03)
    middle.legend(fontsize=7.5)
    shares = np.linspace(0.01, 0.99, 99)
    for place, weight in enumerate(WEIGHTS_OF_POSITIVES):
        right.plot(shares, extra_loss(shares, weight), color=COLOURS[place], lw=1.2)
        least = best_share(weight)
        right.plot(
            least,
            extra_loss(least, weight),
            color=COLOURS[place],
            marker=MARKERS[place],
            ls="none",
            label=f"αK = {weight:g}: least at {least:.2f}",
        )
    right.set(xlabel="share of the centre, p", ylabel="L_extra(p), nats", ylim=(0, 8))
    right.legend(fontsize=7.5)
    return figure


def findings(data: pd.DataFrame) -> str:
    """Largest distances from the closed forms, and a table of the ends."""
    farthest = {
        kind: abs(values(data, kind) / values(data, f"best_{kind}") - 1).max()
        for kind in ("pair", "centre")
    }
    positives = distinct(data, "positives")
    ends = (positives[0], positives[-1])
    lines = []
    for alpha, rows in groups(data, "alpha"):
        cells = []
        for end in ends:
            of_end = where(rows, positives=end)
            cells.append(mean_and_sd(values(of_end, "best_pair")[:1], ".4f"))
            cells.append(mean_and_sd(values(of_end, "pair"), ".4f"))
        lines.append([f"{alpha:g}", *cells])
    minima = max(abs(best_share(weight) - 1 / (1 + weight)) for weight in WEIGHTS_OF_POSITIVES)
    return (
        "The farthest probability from its closed form, of all classes and seeds: "
        f"{farthest['pair']:.1e} of the value for pairs, {farthest['centre']:.1e} for centres. "
        f"The minimum of L_extra is found at `1/(1 + αK)`, to {minima:.0e}. SupCon asks for 1/K, "
        "which depends on how often a class occurs; with α a pair's probability is at most "
        "α/(1 + α), and for small αK hardly depends on K.\n\n"
        + table(
            ["α", *(head for end in ends for head in (f"K = {end}, closed form", "found"))], lines
        )
    )


EXPERIMENT = Experiment(
    name="paco_optimum",
    title="What PaCo's loss asks for",
    source="Cui et al. 2021, remarks 1 and 2",
    claim=(
        "At the least loss each of K positive samples has the probability `α/(1 + αK)` and the "
        "class's centre `1/(1 + αK)`; in between lies `L_extra(p) = −log p − αK log(1 − p)`. "
        "Measured by minimising `nearfar.objectives.paco` over free embeddings and centre logits, "
        f"with classes of unequal size in one batch (T = {TEMPERATURE:g})."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.5,
)
