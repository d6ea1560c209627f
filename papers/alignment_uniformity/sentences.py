"""Quick-Thought on novels: the contrastive loss beside alignment and uniformity."""

import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from tools.markdown import mean_and_sd, table

from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.text_specs import SemanticSimilaritySpec
from nearfar.methods.objective_specs import AlignUniformSpec, NTXentSpec, ObjectiveSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.paths import user_cache
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import run_recipe
from nearfar.recipes.texts import quickthought_novels
from nearfar.run_folder.folder import RunFolder
from papers.compared import compared
from papers.experiment import Experiment
from papers.figures import COLOURS, panels
from papers.measurements import distinct, values, where

CONTRASTIVE, DIRECT = "contrastive", "alignment + uniformity"
SETTINGS: Mapping[str, tuple[ObjectiveSpec, ...]] = {
    CONTRASTIVE: tuple(NTXentSpec(temperature=each) for each in (0.05, 0.1, 0.2)),
    DIRECT: (
        AlignUniformSpec(),
        AlignUniformSpec(uniform_weight=0.5),
        AlignUniformSpec(t=5.0),
    ),
}
"""What is tried of either objective, as many of each."""
BASELINES = {"untrained": "untrained bag of tokens", "raw": "TF-IDF"}
NONE = "—"
"""The setting of a baseline."""
CHOOSES = "held out"
FIGURES = {
    CHOOSES: "kNN of held-out training sentences, %",
    "follows": "does the one follow the other, rank correlation × 100",
    "knn": "kNN of the novel, %",
}


def novels() -> Recipe:
    """The recipe `quickthought-novels` on what `make novels` fetched."""
    recipe = quickthought_novels()
    folder = user_cache() / "novels"
    return replace(
        recipe,
        data=replace(recipe.data, root=folder),
        evaluation=judged_by(folder.with_name("novels-pairs.csv")),
    )


def measure(
    seed: int,
    *,
    recipe: Recipe | None = None,
    settings: Mapping[str, tuple[ObjectiveSpec, ...]] = SETTINGS,
) -> pd.DataFrame:
    """Every figure of an encoder of each setting, and of the baselines.

    Args:
        seed: Of weights, order and neighbours.
        recipe: What is trained, but for its objective; `novels()` where it is left out.
        settings: Of each objective.
    """
    recipe = recipe or novels()
    recipe.data.require_root()
    rows = []
    for objective, several in settings.items():
        for place, setting in enumerate(several):
            first = objective == CONTRASTIVE and place == 0
            of_run = replace(
                recipe,
                seed=seed,
                method=SimCLRSpec(objective=setting, head="identity"),
                training=replace(recipe.training, knn_every=recipe.training.epochs),
                evaluation=replace(recipe.evaluation, seed=seed, baselines=first),
            )
            for whose, figure, value in _figures(of_run):
                of_encoder = {"objective": objective, "setting": _words(setting)}
                if whose is not None:
                    of_encoder = {"objective": whose, "setting": NONE}
                rows.append(of_encoder | {"figure": figure, "value": value})
    return pd.DataFrame(rows)


def judged_by(pairs: Path) -> EvaluationSpec:
    """KNN of the novel, and whether sentences follow each other.

    Args:
        pairs: Sentences that do and that do not, as `make novels` writes them.
    """
    judging = ("knn", "semantic_similarity")
    return EvaluationSpec.by(
        KNNSpec(votes=((20, 0.07),)),
        SemanticSimilaritySpec(pairs=pairs),
        also=("semantic_similarity",),
        leave_out=tuple(each for each in ProtocolSpec.known() if each not in judging),
    )


def _figures(recipe: Recipe) -> Iterator[tuple[str | None, str, float]]:
    """Train and judge: baseline or None, figure, value in hundredths."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run_recipe(recipe, run, console=Console(file=io.StringIO()))
        records = RunFolder(run).read_evaluation()
        checks = [line for line in RunFolder(run).read_metrics() if line["kind"] == "knn"]
    yield None, CHOOSES, 100 * checks[-1]["top1"]
    for record in records:
        figure = "knn" if record["protocol"] == "knn" else "follows"
        if record["metric"] in ("top1", "spearman"):
            yield BASELINES.get(record["features"]), figure, 100 * record["value"]


def _words(setting: ObjectiveSpec) -> str:
    if isinstance(setting, NTXentSpec):
        return f"T = {setting.temperature:g}"
    assert isinstance(setting, AlignUniformSpec)
    return f"weights {setting.align_weight:g} and {setting.uniform_weight:g}, t = {setting.t:g}"


def chosen(data: pd.DataFrame, objective: str) -> str:
    """The setting of an objective that held-out training sentences like best, over all seeds."""
    means = {
        setting: values(where(data, setting=setting, figure=CHOOSES), "value").mean()
        for setting in distinct(where(data, objective=objective), "setting")
    }
    return max(means, key=lambda setting: means[setting])


def draw(data: pd.DataFrame) -> Figure:
    """Every setting and the baselines by both figures of test sentences."""
    judged = ("follows", "knn")
    figure, axes = panels(len(judged), height=3.2)
    names = _encoders(data)
    objectives = list(dict.fromkeys(objective for objective, _ in names))
    for panel, by in zip(axes, judged, strict=True):
        for place, (objective, setting) in enumerate(names):
            found = values(where(data, objective=objective, setting=setting, figure=by), "value")
            spread = found.std(ddof=1) if len(found) > 1 else 0.0
            colour = COLOURS[objectives.index(objective)]
            panel.barh(place, found.mean(), xerr=spread, color=colour, height=0.6)
        labels = [objective if setting == NONE else setting for objective, setting in names]
        panel.set_yticks(range(len(names)), labels)
        panel.invert_yaxis()
        panel.set_xlabel(FIGURES[by])
    axes[0].set_title(f"T: {CONTRASTIVE}; weights and t: {DIRECT}", loc="left")
    return figure


def findings(data: pd.DataFrame) -> str:
    """All figures, and which objective is ahead, each at the setting that was chosen."""
    best = {objective: chosen(data, objective) for objective in SETTINGS}
    lines = []
    for objective, setting in _encoders(data):
        mark = " (chosen)" if best.get(objective) == setting else ""
        rows = where(data, objective=objective, setting=setting)
        cells = [mean_and_sd(values(where(rows, figure=each), "value"), ".1f") for each in FIGURES]
        lines.append([objective, f"{setting}{mark}", *cells])
    told = " ".join(_told(data, best, figure) for figure in ("follows", "knn"))
    return f"{told}\n\n{table(['features', 'setting', *FIGURES.values()], lines)}"


def _told(data: pd.DataFrame, best: Mapping[str, str], figure: str) -> str:
    """Which objective has the higher figure: seed by seed, beyond the interval of 95 %."""
    contrastive, direct = (
        where(data, objective=each, setting=best[each], figure=figure)
        .sort_values("seed")["value"]
        .to_numpy()
        for each in (CONTRASTIVE, DIRECT)
    )
    by = {"follows": "By whether sentences follow each other", "knn": "By kNN"}[figure]
    return compared(by, (CONTRASTIVE, DIRECT), direct - contrastive, "+.1f", lower=False)


def _encoders(data: pd.DataFrame) -> list[tuple[str, str]]:
    """Objective and setting of each encoder, the baselines last."""
    pairs = dict.fromkeys(zip(data["objective"], data["setting"], strict=True))
    return sorted(pairs, key=lambda pair: pair[1] == NONE)


EXPERIMENT = Experiment(
    name="sentences",
    title="Sentences, by the contrastive loss and by alignment and uniformity",
    source="Wang & Isola 2020, the table of BookCorpus",
    claim=(
        "Quick-Thought (Logeswaran & Lee 2018) learns that a sentence belongs to those beside it. "
        "The source trains it on BookCorpus by the contrastive loss and by alignment and "
        "uniformity directly, and judges by classifiers of reviews' sentiment. Measured here: the "
        "recipe `quickthought-novels` on 25 000 sentences of Jane Austen's novels, a bag of tokens "
        "in the place of recurrent networks. Three settings of either objective are trained on "
        "every seed; which of them is compared is chosen by sentences held out of the training, "
        "never by those of test. Test sentences are of chapters that were not learnt from: from "
        "which novel they are, and whether two of them follow each other."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=15,
)
