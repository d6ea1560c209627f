"""How far debiased losses are from what they estimate, and how hard they pull on a positive."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table
from torch import Tensor

from nearfar.objectives import debiased_neg, debiased_pos, nt_xent
from papers.debiased_positives.population import CLASSES, Population, population
from papers.experiment import Experiment
from papers.figures import (
    COLOURS,
    counts_on,
    explain_expected,
    panels,
    plot_expected,
    plot_spread,
    powers_on,
)
from papers.measurements import distinct, groups, values, where
from papers.rates import slope_with_error

TAU_PLUS = 1 / CLASSES
TEMPERATURE = 1.0
BATCHES = (9, 17, 65, 257, 1025)
"""Examples; each anchor then has N = 2 · (batch − 1) negatives."""
ANCHORS = 8192
"""Anchors of a value together, about."""
MORE_POSITIVES = 16

PULL_TEMPERATURE = 0.5
PULL_BATCH = 512
COSINES = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 0.9)

NEG = f"DebiasedNeg, {MORE_POSITIVES} positives"
NEG_ONE = "DebiasedNeg, 1 positive"
POS = "DebiasedPos, negatives as they come"
POS_TRUE = "DebiasedPos, true negatives"
ESTIMATORS = (NEG, NEG_ONE, POS, POS_TRUE)


def measure(seed: int, *, batches: Sequence[int] = BATCHES, anchors: int = ANCHORS) -> pd.DataFrame:
    """The gap of each estimator and N, and the pull of each loss at every cosine.

    Args:
        seed: Of the population and of the draws.
        batches: Examples in a batch.
        anchors: Of a value together, about; at least two batches.
    """
    generator = torch.Generator().manual_seed(seed)
    world = population(generator)
    rows = []
    for batch in batches:
        repeats = max(2, anchors // (2 * batch))
        gaps = [_gaps(world, batch, generator) for _ in range(repeats)]
        for estimator in ESTIMATORS:
            gap = abs(float(np.mean([each[estimator] for each in gaps])))
            rows.append(
                {
                    "measured": "gap",
                    "series": estimator,
                    "x": 2 * (batch - 1),
                    "value": gap,
                    "expected": float(np.mean([each["plateau"] for each in gaps])),
                }
            )
    pulls = pulls_on_positive(generator)
    return pd.DataFrame(
        rows
        + [
            {"measured": "pull", "series": name, "x": cosine, "value": pull}
            for name, by_cosine in pulls.items()
            for cosine, pull in by_cosine.items()
        ]
    )


def _gaps(world: Population, batch: int, generator: torch.Generator) -> dict[str, float]:
    """Loss of one batch less what it estimates, in the mean over the batch's anchors."""
    classes = torch.randint(CLASSES, (batch,), generator=generator)
    views = world.draw(classes, MORE_POSITIVES + 1, generator)
    number = 2 * (batch - 1)
    rows = torch.cat(views[:2])
    own, others = world.expectations(rows, classes.repeat(2), TEMPERATURE)
    own_pairs = ((views[0] * views[1]).sum(dim=1) / TEMPERATURE).exp().repeat(2)
    neg_limit = float((1 + number * others / own_pairs).log().mean())
    pos_limit = float((1 + number * others / own).log().mean())
    negatives = partial(debiased_neg, temperature=TEMPERATURE, tau_plus=TAU_PLUS)
    positives = partial(debiased_pos, temperature=TEMPERATURE, tau_plus=TAU_PLUS)
    found = {
        NEG: negatives(views) - neg_limit,
        NEG_ONE: negatives(views[:2]) - neg_limit,
        POS: positives(views) - pos_limit,
        POS_TRUE: positives(views, labels=classes, rescale=True) - pos_limit,
    }
    return {name: float(value) for name, value in found.items()} | {
        "plateau": math.log1p(number) - pos_limit
    }


def bound(estimator: str, number: float) -> float:
    """What Hoeffding's inequality allows the mean distance to be, if the draws are the right ones.

    With `R = e^{1/T} − e^{−1/T}`, the range of h, a mean of n terms misses its expectation by at
    most `R √(π/2n)` on average. The loss moves by at most `e^{1/T}` with g, and DebiasedPos's by at
    most `e^{1/T}/τ⁺` with A. That gives, with M positives,

        DebiasedNeg   (e^{1/T} R / τ⁻) (√(π/2N) + τ⁺ √(π/2M))
        DebiasedPos   (2 e^{1/T} R / τ⁺) √(π/2N)

    the latter where g is a mean over true negatives, and P one over the marginal distribution.

    Args:
        estimator: One of `ESTIMATORS`.
        number: N.
    """
    top = math.exp(1 / TEMPERATURE)
    of_range = top - 1 / top
    root = math.sqrt(math.pi / (2 * number))
    if estimator in (POS, POS_TRUE):
        return 2 * top * of_range / TAU_PLUS * root
    positives = MORE_POSITIVES if estimator == NEG else 1
    of_positives = TAU_PLUS * math.sqrt(math.pi / (2 * positives))
    return top * of_range / (1 - TAU_PLUS) * (root + of_positives)


def pulls_on_positive(
    generator: torch.Generator, batch: int = PULL_BATCH
) -> dict[str, dict[float, float]]:
    """Derivative of an anchor's loss by the cosine to its positive, at each cosine.

    Args:
        generator: Draws the other examples, evenly over the sphere.
        batch: Examples.
    """
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "InfoNCE (NT-Xent)": lambda one, two: nt_xent(one, two, temperature=PULL_TEMPERATURE),
        "DebiasedNeg": lambda one, two: debiased_neg(
            (one, two), temperature=PULL_TEMPERATURE, tau_plus=TAU_PLUS
        ),
        "DebiasedPos": lambda one, two: debiased_pos(
            (one, two), temperature=PULL_TEMPERATURE, tau_plus=TAU_PLUS
        ),
    }
    drawn = torch.randn(2, batch, 128, generator=generator, dtype=torch.float64)
    first, second = torch.nn.functional.normalize(drawn, dim=2)
    # Example 0's views lie in two dimensions that no other example uses, so that turning one of
    # them changes the cosine to the other and nothing else.
    first, second = (torch.nn.functional.pad(rows, (2, 0)) for rows in (first, second))
    first[0], second[0] = 0, 0
    first[0, 0] = 1
    found: dict[str, dict[float, float]] = {name: {} for name in losses}
    for cosine in COSINES:
        for name, loss in losses.items():
            angle = torch.tensor(math.acos(cosine), dtype=torch.float64, requires_grad=True)
            turned = torch.zeros_like(second[0])
            turned = turned.index_put(
                (torch.tensor([0, 1]),), torch.stack([angle.cos(), angle.sin()])
            )
            value = loss(first, torch.cat([turned[None], second[1:]]))
            (by_angle,) = torch.autograd.grad(value, angle)
            # The mean over 2·batch anchors, of which two have this positive.
            found[name][cosine] = float(by_angle) * batch / -math.sin(math.acos(cosine))
    return found


def draw(data: pd.DataFrame) -> Figure:
    """Gaps of both estimators beside their bounds, and the pulls."""
    figure, (left, middle, right) = panels(3)
    gaps, pulls = (where(data, measured=each) for each in ("gap", "pull"))
    numbers = [int(number) for number in distinct(gaps, "x")]
    for panel, names in ((left, (NEG, NEG_ONE)), (middle, (POS_TRUE, POS))):
        for place, name in enumerate(names):
            plot_spread(panel, where(gaps, series=name), "x", "value", place=place, label=name)
        for place, name in enumerate(names):
            if name != POS:  # nothing bounds it
                allowed = [bound(name, number) for number in numbers]
                label = f"bound of {name}"
                panel.plot(numbers, allowed, color=COLOURS[place], ls="--", lw=1.2, label=label)
        counts_on(panel, numbers)
        powers_on(panel)
        panel.set(xlabel="negatives, N", ylabel="|L̃ − L|, nats", ylim=(1e-5, 1e4))
    plot_expected(middle, where(gaps, series=POS), "x", "expected", place=1)
    explain_expected(middle, "log(1 + N) − L")
    for place, (name, rows) in enumerate(groups(pulls, "series")):
        plot_spread(right, rows, "x", "value", place=place, label=name)
    right.set(
        xlabel="cosine of anchor and positive",
        ylabel=f"∂L/∂cosine, nats (T = {PULL_TEMPERATURE}, batch {PULL_BATCH})",
    )
    for panel in (left, middle, right):
        panel.legend(fontsize=7.5)
    return figure


def findings(data: pd.DataFrame) -> str:
    """Gaps at the ends and their rates; pulls at the ends."""
    gaps, pulls = (where(data, measured=each) for each in ("gap", "pull"))
    numbers = distinct(gaps, "x")
    few, many = numbers[0], numbers[-1]
    lines = []
    for name in ESTIMATORS:
        rows = where(gaps, series=name)
        ends = [mean_and_sd(values(where(rows, x=end), "value"), ".4f") for end in (few, many)]
        allowed = "none" if name == POS else f"{bound(name, many):.2f}"
        lines.append([name, *ends, allowed])
    ends = (COSINES[0], COSINES[-1])
    by_name = [
        [name, *(mean_and_sd(values(where(rows, x=end), "value")) for end in ends)]
        for name, rows in groups(pulls, "series")
    ]
    closing = slope_with_error(where(gaps, series=POS_TRUE), "x", "value")
    return (
        "With the negatives of a batch as they come, DebiasedPos does not tend to what it "
        "estimates: its `P` and `g` are then means over the same distribution, so that `A/τ⁺` "
        "tends to the mean h over *all* examples and the loss to `log(1 + N)`, whatever the "
        "encoder (dotted; in the smallest batches the anchor's own term hides it). With true "
        f"negatives in g, the premise of its derivation, the gap closes, with slope {closing}. "
        "DebiasedNeg comes near with one positive already; what is left of it here is the chance "
        "of the draws. The bounds are those of Hoeffding's inequality, of the order in N that the "
        "sources state; their constants are derived in "
        "`papers/debiased_positives/estimators_gap.py` and are far from tight.\n\n"
        + table(["estimator", f"gap, N = {few:g}", f"gap, N = {many:g}", "bound there"], lines)
        + "\nThe pull on a positive, right, is a likely reason for DebiasedPos's robustness to "
        "false ones: it is small, and smallest where the two are far apart.\n\n"
        + table(
            ["loss", *(f"∂L/∂cosine at {end:g}".replace("-", "−") for end in ends)],
            by_name,
        )
    )


EXPERIMENT = Experiment(
    name="debiased_estimators",
    title="Debiased losses against what they estimate",
    source="Chuang et al. 2020, theorem 3; Troshestova & Isachenko 2023",
    claim=(
        "Both estimate the loss L of an endless sample, DebiasedNeg from the mean over true "
        "negatives and DebiasedPos from that over true positives, and are said to come within "
        f"O(N^−1/2) of it. Measured on {CLASSES} classes whose embeddings are finitely many "
        f"points on the sphere, so that L is a plain sum (T = {TEMPERATURE:g}, τ⁺ = {TAU_PLUS:g})."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.5,
)
