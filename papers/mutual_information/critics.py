"""Whether a tighter bound on mutual information is a better feature, over critics and batches."""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from nearfar.methods.objective_specs import NPairSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from papers.figures import COLOURS, MARKERS, panels
from papers.measurements import values
from papers.mutual_information.setup import PILOT, SOURCE
from papers.reproductions.contrast import on_average
from papers.reproductions.curves import figures_of
from papers.reproductions.probed import BESIDE, OURS, TEMPERATURE, run, simclr
from papers.reproductions.rank_correlation import RankCorrelation
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import BOUND, PROBE

BATCHES = (32, 128)
CRITICS: dict[str, SimCLRSpec] = {
    "mlp-T-0.25": simclr(0.25),
    "mlp-T-0.5": simclr(0.5),
    "mlp-T-1": simclr(1.0),
    "linear-T-0.5": simclr(head="linear"),
    "none-T-0.5": simclr(head="identity"),
    "mlp-dot": simclr(objective=NPairSpec()),
    "linear-dot": simclr(head="linear", objective=NPairSpec()),
}
"""What scores a pair of features: head, then cosine over T or the plain dot product. A linear head
under a dot product is a bilinear critic."""
ARMS = {f"{critic}-batch-{batch}": (critic, batch) for critic in CRITICS for batch in BATCHES}


def setups() -> dict[str, Recipe]:
    """Every critic in every batch size."""
    return {arm: run(CRITICS[critic], batch_size=batch) for arm, (critic, batch) in ARMS.items()}


def draw(results: pd.DataFrame) -> Figure:
    """Bound against accuracy, a point a run."""
    figure, (left, right) = panels(2)
    ceiling = replace(BOUND, metric="ceiling")
    for panel, batch in ((left, BATCHES[0]), (right, BATCHES[1])):
        for place, critic in enumerate(CRITICS):
            arm = f"{critic}-batch-{batch}"
            panel.plot(
                figures_of(results, BOUND, arm)["figure"],
                figures_of(results, PROBE, arm)["figure"],
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                ls="none",
                mfc="none" if place >= len(COLOURS) else None,
                label=critic.replace("-", " ").replace("T ", "T = "),
            )
        most = values(figures_of(results, ceiling, f"mlp-T-1-batch-{batch}"), "figure")
        panel.axvline(float(most.mean()), color="0.35", ls=":", lw=1.2, label="log N")
        panel.set(title=f"batch {batch}", xlabel=BOUND.title, ylabel=f"{PROBE.title}, top-1 in %")
    right.legend(fontsize=7.5)
    return figure


def _ranks(words: str, *batches: int) -> RankCorrelation:
    arms = tuple(arm for arm, (_, batch) in ARMS.items() if batch in batches)
    return RankCorrelation(words, arms, BOUND, PROBE, below=0.5)


def _of(critic: str) -> list[str]:
    return [f"{critic}-batch-{batch}" for batch in BATCHES]


REPRODUCTION = Reproduction(
    name="bound_and_accuracy",
    title="Is a tighter bound on mutual information a better feature?",
    source=f"Tschannen et al. 2020; {SOURCE}",
    published="With critics and batches that bound mutual information more tightly, features are "
    "not better: what the critic is matters more than how high its bound is. It is said of figures "
    "on MNIST and CIFAR-10; no size is quoted here.",
    ours=f"{OURS} The bound is InfoNCE's, log N − loss over the N pairs of a batch, by the critic "
    "that was trained, in the mean over the last epoch: of images that are learnt from, in views "
    "drawn anew. It cannot exceed log N (3.5 nats with 32 pairs, 4.9 with 128). Were a "
    "tighter bound a better feature, both would rank encoders alike, ρ = 1; the claim is decided "
    "as ρ below a half. Critics are cosines over a temperature or plain dot products, of features "
    "that pass an MLP, a linear layer (with a dot product: a bilinear critic) or nothing.",
    setups=setups,
    seeds=3,
    contrasts=(
        _ranks("rank correlation of bound and probe, all critics and batches", *BATCHES),
        _ranks("the same in batches of 128 alone", 128),
        on_average(
            f"a cosine over T = {TEMPERATURE} over a dot product, both behind an MLP",
            _of("mlp-T-0.5"),
            _of("mlp-dot"),
            None,
            yardstick=PROBE,
            interest=1.0,
        ),
    ),
    draw=draw,
    minutes=1.0,
    pilot=PILOT,
    beside=BESIDE,
)
