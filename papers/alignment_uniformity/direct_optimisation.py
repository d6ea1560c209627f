"""Alignment and uniformity optimised themselves, against the contrastive loss."""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.objective_specs import AlignUniformSpec, NTXentSpec, ObjectiveSpec
from nearfar.recipes.recipe import Recipe
from papers.debiased_positives import setup
from papers.figures import COLOURS, panels
from papers.measurements import values
from papers.reproductions.contrast import over
from papers.reproductions.reproduction import Pilot, Reproduction
from papers.reproductions.yardstick import Yardstick

DIRECT, CONTRASTIVE = "align-uniform", "contrastive"
LOSSES: dict[str, ObjectiveSpec] = {
    DIRECT: AlignUniformSpec(align_weight=0.98, uniform_weight=0.96),
    CONTRASTIVE: NTXentSpec(temperature=0.19),
}
"""The source's best of each."""
NAMES = {DIRECT: "alignment and uniformity", CONTRASTIVE: "the contrastive loss"}
VOTE = (5, 0.07)
_KNN = {"k": VOTE[0], "temperature": VOTE[1]}
YARDSTICKS = {
    "output, linear": Yardstick("output, linear", protocol="linear_probe", features="embedding"),
    "output, kNN": Yardstick("output, kNN, k=5", parameters=_KNN, features="embedding"),
    "features, linear": Yardstick("features, linear", protocol="linear_probe"),
    "features, kNN": Yardstick("features, kNN, k=5", parameters=_KNN),
}
PUBLISHED = {
    "features, linear": 0.54,
    "features, kNN": 0.45,
    "output, linear": 0.69,
    "output, kNN": 0.14,
}


def setups() -> dict[str, Recipe]:
    """Both losses in the first source's set-up, judged before and behind the head."""
    evaluation = EvaluationSpec.by(
        KNNSpec(votes=(VOTE,), form="as-is"),
        baselines=False,
        embeddings=True,
        leave_out=("few_labels", "effective_rank", "map", "gallery", "retrieval"),
    )
    return {
        name: replace(setup.recipe(loss), evaluation=evaluation) for name, loss in LOSSES.items()
    }


def draw(results: pd.DataFrame) -> Figure:
    """Every run by each yardstick, runs of a seed joined by a line."""
    figure, (panel,) = panels(1)
    for place, yardstick in enumerate(YARDSTICKS.values()):
        both = pd.concat(
            [100 * yardstick.of(results, name).rename(name) for name in (CONTRASTIVE, DIRECT)],
            axis=1,
        )
        for pair in both.to_numpy():
            panel.plot([place - 0.15, place + 0.15], pair, color="0.7", lw=0.8, zorder=1)
        for shift, (side, name) in enumerate(((-0.15, CONTRASTIVE), (0.15, DIRECT))):
            panel.plot(
                [place + side] * len(both),
                values(both, name),
                color=COLOURS[shift],
                marker="os"[shift],
                ls="none",
                label=NAMES[name] if place == 0 else None,
            )
    panel.set_xticks(range(len(YARDSTICKS)), [name.replace(", ", ",\n") for name in YARDSTICKS])
    panel.set(ylabel="top-1 in %")
    panel.legend(fontsize=7.5, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


PILOT = Pilot("direct-optimisation", setups)
REPRODUCTION = Reproduction(
    name="direct_optimisation",
    title="Are alignment and uniformity themselves as good a loss?",
    source="Wang & Isola 2020",
    published="STL-10, a small AlexNet, 200 epochs, each loss at the best of its settings: "
    "contrastive (T = 0.19) 80.46 and 78.75 by linear probe and 5 neighbours on the output, 83.89 "
    "and 76.33 on the layer before; alignment and uniformity (weights 0.98 and 0.96) 81.15, 78.89, "
    "84.43, 76.78.",
    ours="Ours: the set, views, network, optimiser and length of the studies of debiased losses, "
    "above: ten digits of fonts, a ResNet of width 16, 700 steps of 128, AdamW at 3e-3, a head of "
    "512 and 128 whose output is compared. The losses have the settings that their source found "
    f"best for them. The neighbours are {VOTE[0]}, weighed with T = {VOTE[1]}.",
    setups=setups,
    seeds=8,
    contrasts=tuple(
        over(DIRECT, CONTRASTIVE, published, NAMES, yardstick=YARDSTICKS[name])
        for name, published in PUBLISHED.items()
    ),
    draw=draw,
    minutes=2.4,
    pilot=PILOT,
)
