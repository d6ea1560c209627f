"""N-pair's loss is InfoNCE's: log N − N-pair is the bound, to the last digits."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from nearfar.objectives import n_pair
from papers.experiment import Experiment
from papers.figures import counts_on, panels, plot_spread, powers_on
from papers.measurements import distinct, values, where

BATCHES = (2, 8, 32, 128, 512, 2048)
DIM = 16
REPEATS = 8
EPSILON = {"float32": torch.finfo(torch.float32).eps, "float64": torch.finfo(torch.float64).eps}


def info_nce_bound_as_written(first: Tensor, second: Tensor) -> Tensor:
    """`mean log( e^{f_ii} / ((1/N) Σ_j e^{f_ij}) )` with `f = x·y`, from the whole matrix."""
    scores = first @ second.T
    mean = scores.logsumexp(dim=1) - torch.tensor(float(len(scores)), dtype=scores.dtype).log()
    return (scores.diagonal() - mean).mean()


def measure(seed: int, *, batches: Sequence[int] = BATCHES, repeats: int = REPEATS) -> pd.DataFrame:
    """Differences of `log N − n_pair` and the bound, largest of some draws, in both precisions.

    Args:
        seed: Of the draws.
        batches: Numbers N of pairs.
        repeats: Draws of each; half as of an encoder that tells pairs apart, half as of none.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for size in batches:
        largest = dict.fromkeys(EPSILON, 0.0)
        for repeat in range(repeats):
            first = torch.randn(size, DIM, generator=generator, dtype=torch.float64)
            noise = torch.randn(size, DIM, generator=generator, dtype=torch.float64)
            second = first + noise if repeat % 2 else noise
            for name in EPSILON:
                pair = [rows_.to(getattr(torch, name)) for rows_ in (first, second)]
                ours = torch.tensor(float(size), dtype=pair[0].dtype).log() - n_pair(*pair)
                difference = abs(float(ours - info_nce_bound_as_written(*pair)))
                largest[name] = max(largest[name], difference)
        rows += [
            {"batch": size, "precision": name, "difference": difference}
            for name, difference in largest.items()
        ]
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """The difference against N, one line a precision, beside the precision itself."""
    figure, (axes,) = panels(1, 3.2)
    for place, (name, epsilon) in enumerate(EPSILON.items()):
        rows = where(data, precision=name)
        # A difference of 0 has no place on a logarithmic axis: it is drawn where half of one is.
        rows = rows.assign(difference=values(rows, "difference").clip(min=epsilon / 2))
        plot_spread(axes, rows, "batch", "difference", place=place, label=name)
        axes.axhline(epsilon, color="0.35", ls=":", lw=1)
        axes.annotate(
            f"one rounding of {name}",
            (max(distinct(data, "batch")), epsilon),
            xytext=(0, -9),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
        )
    counts_on(axes, distinct(data, "batch"))
    powers_on(axes)
    axes.set(
        xlabel="pairs in a batch, N",
        ylabel="|(log N − N-pair) − InfoNCE bound|, nats",
        ylim=(1e-17, 1e-4),
    )
    axes.legend(loc="center right")
    return figure


def findings(data: pd.DataFrame) -> str:
    """The largest difference of each precision."""
    largest = {name: values(where(data, precision=name), "difference").max() for name in EPSILON}
    words = "; ".join(f"{value:.1e} nats in {name}" for name, value in largest.items())
    return f"The largest difference of all draws is that of rounding: {words}.\n"


EXPERIMENT = Experiment(
    name="n_pair_identity",
    title="N-pair's loss is InfoNCE",
    source="Sohn 2016; van den Oord et al. 2018",
    claim=(
        "`mean_i log(1 + Σ_{j≠i} e^{g_i·g_j⁺ − g_i·g_i⁺})` is `log N` less the InfoNCE bound with "
        "the critic `g·g⁺`, an identity. Measured: `nearfar.objectives.n_pair`, which never holds "
        "the matrix, against the bound as it is written down."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.1,
)
