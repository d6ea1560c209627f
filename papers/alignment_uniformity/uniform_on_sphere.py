"""Uniformity of points that are spread evenly: the least there is, in closed form."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table

from nearfar.objectives import uniformity
from papers.alignment_uniformity.sphere import log_mean_exp, uniform_rows
from papers.experiment import Experiment
from papers.figures import (
    counts_on,
    explain_expected,
    panels,
    plot_expected,
    plot_spread,
    powers_on,
)
from papers.measurements import distinct, groups, values, where
from papers.rates import slope_with_error

DIMS = (2, 3, 8, 32, 128, 512)
POINTS = (64, 256, 1024, 4096)
SHARPNESSES = (0.5, 2.0, 5.0)
SHOWN_DIMS = (2, 8, 128)
"""Whose errors are drawn against the number of points."""
SHOWN_T = 2.0
"""The sharpness that the errors and the table are of, the usual one."""
SAMPLES = 8


def measure(
    seed: int,
    *,
    dims: Sequence[int] = DIMS,
    points: Sequence[int] = POINTS,
    sharpnesses: Sequence[float] = SHARPNESSES,
    samples: int = SAMPLES,
) -> pd.DataFrame:
    """Uniformity of random points and its mean absolute error, for each d, n and t.

    Args:
        seed: Of the draws.
        dims: Dimensions d.
        points: Numbers n of points.
        sharpnesses: Numbers t.
        samples: Draws of n points for each value.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for dim in dims:
        for number in points:
            drawn = [uniform_rows(number, dim, generator=generator) for _ in range(samples)]
            for t in sharpnesses:
                values = torch.stack([uniformity(each, t=t) for each in drawn])
                exact = of_even_spread(t, dim)
                rows.append(
                    {
                        "dim": dim,
                        "points": number,
                        "t": t,
                        "uniformity": float(values.mean()),
                        "error": float((values - exact).abs().mean()),
                        "exact": exact,
                    }
                )
    return pd.DataFrame(rows)


def of_even_spread(t: float, dim: int) -> float:
    """`log E e^{−t‖x − y‖²}` on the whole sphere, `log ₀F₁(; d/2; t²) − 2t`."""
    return log_mean_exp(2 * t, dim) - 2 * t


def draw(data: pd.DataFrame) -> Figure:
    """Left the values against the dimension, right the errors against the points."""
    figure, (left, right) = panels()
    most = max(distinct(data, "points"))
    for place, (t, rows) in enumerate(groups(where(data, points=most), "t")):
        plot_expected(left, rows, "dim", "exact", place=place)
        plot_spread(left, rows, "dim", "uniformity", place=place, label=f"t = {t:g}", line="")
    explain_expected(left, "closed form")
    counts_on(left, distinct(data, "dim"))
    left.set(xlabel="dimension, d", ylabel=f"uniformity of {most} even points, nats")
    left.legend(fontsize=7.5)
    for place, dim in enumerate(SHOWN_DIMS):
        rows = where(data, t=SHOWN_T, dim=dim)
        name = f"d = {dim}, slope {slope_with_error(rows, 'points', 'error')}"
        plot_spread(right, rows, "points", "error", place=place, label=name)
    counts_on(right, distinct(data, "points"))
    powers_on(right)
    right.set(
        xlabel="points, n", ylabel=f"mean |uniformity − closed form| at t = {SHOWN_T:g}, nats"
    )
    right.legend(fontsize=7.5)
    return figure


def findings(data: pd.DataFrame) -> str:
    """Values and closed form at t = 2."""
    most = max(distinct(data, "points"))
    usual = where(data, t=SHOWN_T, points=most)
    lines = [
        [
            str(dim),
            mean_and_sd(values(rows, "exact")[:1], ".4f"),
            mean_and_sd(values(rows, "uniformity"), ".4f"),
        ]
        for dim, rows in groups(usual, "dim")
    ]
    worst = abs(values(usual, "uniformity") - values(usual, "exact")).max()
    return (
        f"The farthest mean of a seed lies {worst:.1e} nats from the closed form. The error falls "
        "as 1/n and not as 1/√n: by symmetry every point sees the same expected potential, so that "
        "only the pairs' own chance is left. No encoder's uniformity lies below these values, save "
        "by so much as chance allows.\n\n"
        + table(["d", f"closed form, t = {SHOWN_T:g}", f"{most} points"], lines)
    )


EXPERIMENT = Experiment(
    name="uniform_on_sphere",
    title="Uniformity has a floor that is known",
    source="Wang & Isola 2020, section 4",
    claim=(
        "Uniformity `log E e^{−t‖x − y‖²}` is least where points are spread evenly over the "
        "sphere, and is then `log ₀F₁(; d/2; t²) − 2t`. Measured with "
        "`nearfar.objectives.uniformity` on random points."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.8,
)
