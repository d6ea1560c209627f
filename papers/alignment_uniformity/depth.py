"""Depth by heads on frozen maps: the contrastive loss beside alignment and uniformity."""

import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from tools.markdown import mean_and_sd, table

from nearfar.evaluation.dense_specs import DepthSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.objective_specs import AlignUniformSpec, NTXentSpec, ObjectiveSpec
from nearfar.recipes.run import run_recipe
from nearfar.recipes.scenes import scenes_setup
from nearfar.run_folder.folder import RunFolder
from papers.compared import compared
from papers.experiment import Experiment
from papers.figures import COLOURS, panels
from papers.measurements import groups, values, where

ARMS: dict[str, ObjectiveSpec] = {
    "contrastive": NTXentSpec(temperature=0.2),
    "alignment + uniformity": AlignUniformSpec(),
}
"""What the encoders learn by, in the set-up of the recipe `simclr-scenes`."""
BASELINES = {"untrained": "untrained network", "raw": "raw patches"}
FIGURES = {
    "depth_rel": ("relative error", ".3f"),
    "depth_rmse": ("RMSE, m", ".3f"),
    "depth_mae": ("MAE, m", ".3f"),
    "within 1.25": ("δ < 1.25", ".3f"),
}
HEADS = {"linear": "linear head", "conv": "convolutional head"}


def measure(seed: int, **changes: Any) -> pd.DataFrame:
    """Figures of depth of both encoders and of the baselines, under each head.

    Args:
        seed: Of weights, order and views of the training, and of the heads.
        changes: `examples` of the source, and `epochs` of training and of heads, where they are
            others than the recipes'.
    """
    rows = []
    for arm, objective in ARMS.items():
        recipe = scenes_setup(objective)
        heads = replace(recipe.evaluation.of(DepthSpec), heads=tuple(HEADS), whole_network=False)
        if "head_epochs" in changes:
            heads = replace(heads, epochs=changes["head_epochs"])
        others = tuple(each for each in ProtocolSpec.known() if each != "depth")
        recipe = replace(
            recipe,
            seed=seed,
            data=replace(recipe.data, **_of(changes, "examples")),
            training=replace(recipe.training, **_of(changes, "epochs")),
            evaluation=EvaluationSpec.by(
                heads, seed=seed, leave_out=others, baselines=arm == "contrastive"
            ),
        )
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            run_recipe(recipe, run, console=Console(file=io.StringIO()))
            records = RunFolder(run).read_evaluation()
        for record in records:
            told = record["parameters"]
            figure = record["protocol"]
            if "within" in told:
                figure = f"within {told['within']:g}"
            whose = BASELINES.get(record["features"], arm)
            rows.append(
                {"of": whose, "head": told["head"], "figure": figure, "value": record["value"]}
            )
    return pd.DataFrame(rows)


def _of(changes: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: changes[name]} if name in changes else {}


def draw(data: pd.DataFrame) -> Figure:
    """The relative error of each encoder and baseline, a panel for each head."""
    figure, axes = panels(len(HEADS), height=2.8)
    names = [*ARMS, *BASELINES.values()]
    for panel, (head, words) in zip(axes, HEADS.items(), strict=True):
        for place, name in enumerate(names):
            found = values(where(data, of=name, head=head, figure="depth_rel"), "value")
            spread = found.std(ddof=1) if len(found) > 1 else 0.0
            panel.barh(place, found.mean(), xerr=spread, color=COLOURS[place], height=0.6)
        panel.set_yticks(range(len(names)), names)
        panel.invert_yaxis()
        panel.set(title=words, xlabel="relative error of depth, lower is better")
    return figure


def findings(data: pd.DataFrame) -> str:
    """All figures, and which of the two encoders is ahead, seed by seed."""
    lines = []
    for (name, head), rows in groups(data, "of", "head"):
        cells = [name, HEADS[head]]
        for figure, (_, form) in FIGURES.items():
            cells.append(mean_and_sd(values(where(rows, figure=figure), "value"), form))
        lines.append(cells)
    order = [*ARMS, *BASELINES.values()]
    lines.sort(key=lambda cells: (list(HEADS.values()).index(cells[1]), order.index(cells[0])))
    head = ["features", "head", *(words for words, _ in FIGURES.values())]
    return f"{' '.join(_told(data, each) for each in HEADS)}\n\n{table(head, lines)}"


def _told(data: pd.DataFrame, head: str) -> str:
    """Which encoder has the lower error under a head: seed by seed, beyond the interval of 95 %."""
    first, second = (
        where(data, of=arm, head=head, figure="depth_rel").sort_values("seed")["value"].to_numpy()
        for arm in ARMS
    )
    return compared(
        f"Under a {HEADS[head]}",
        list(ARMS),
        second - first,
        "+.3f",
        unit=" in relative error",
        lower=True,
    )


EXPERIMENT = Experiment(
    name="scene_depth",
    title="Depth from frozen maps, by the contrastive loss and by alignment and uniformity",
    source="Wang & Isola 2020, the table of NYU-Depth-v2",
    claim=(
        "Trained by alignment and uniformity directly, an encoder serves the depth of pixels as "
        "well as one by the contrastive loss, or better. The source learns the depth of NYU-"
        "Depth-v2 by a convolutional predictor on a ResNet-50's frozen maps. Measured here on "
        "rendered rooms with textures of noise and known depth, 2400 to learn from and 600 for "
        "test, of which nothing is chosen: the recipe `simclr-scenes`, with either objective, and "
        "the same heads on raw patches and on the untrained network."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=40,
)
