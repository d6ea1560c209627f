"""docs/mutual_information_bench.md, made from the committed measurements alone."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from tools.markdown import mean_and_sd, table

from papers.bounds_bench.finite_samples import INFORMATION, PEER, SampleSet
from papers.bounds_bench.tasks import OTHERS, TASKS
from papers.bounds_bench.training import BOUNDS, Run
from papers.measurements import distinct, groups, values, where

HEAD = f"""# Bounds on mutual information, measured

What each bound of [nearfar.estimators](mutual_information.md) says where the truth is known.

Every run trains one critic by Adam at {Run.learning_rate:g} on batches of N = {Run.batch_size} and
reads the bound from each fourth batch before the critic learns from it; no sample is seen twice.
After every {Run.steps} steps the variables share more, and the critic learns on, as in Poole et
al. 2019 and Song & Ermon 2020. Figures are over the last quarter of a level's steps: **bias** is
the mean reading less the truth, ± one standard deviation between seeds; **SD** the standard
deviation of single readings, a batch each; **MSE** is bias² + SD². All in nats. All bounds see the
same samples, and SMILE is read from the critics of Jensen-Shannon.
"""

CRITICS = {
    "separable": "A critic is `g(x) · h(y)`, two networks of 2 hidden layers of 256 units with 32 "
    "outputs; columns are standardised by a first 4096 samples.",
    "joint": "The critic is one network of x and y with 2 hidden layers of 256 units.",
}
FOLDER_NAME = "mutual_information_bench"
SAMPLES = "finite_samples.csv"
_COMMAND = "python -m papers.bounds_bench"


def levels_name(kind: str) -> str:
    """The file of bias and deviation, for a kind of critic."""
    return f"{kind}_levels.csv"


def curves_name(kind: str) -> str:
    """The file of curves, for a kind of critic."""
    return f"{kind}_curves.csv"


def figure_name(kind: str) -> str:
    """The file of the figure, for a kind of critic."""
    return f"{kind}_staircase.svg"


def page(folder: Path) -> str:
    """The whole page.

    Args:
        folder: Of measurements and figures, beside the page.
    """
    parts = [HEAD]
    for kind, words in CRITICS.items():
        parts += _critic(folder, kind, words)
    return "\n".join([*parts, *_finite_samples(folder)])


def _critic(folder: Path, kind: str, words: str) -> list[str]:
    """Everything measured with one kind of critic."""
    command = f"`{_COMMAND}`" if kind == "separable" else f"`{_COMMAND} --critic {kind}`"
    title, file = f"## {kind.capitalize()} critics\n", folder / levels_name(kind)
    if not file.exists():
        return [title, f"{words} Not measured yet: {command} does it.\n"]
    data = pd.read_csv(file)
    seeds = ", ".join(map(str, distinct(data, "seed")))
    parts = [title, f"{words} {command}, seeds {seeds}; [levels]({folder.name}/{file.name})"]
    parts[-1] += f" and [curves]({folder.name}/{curves_name(kind)}). "
    parts[-1] += f"{' and '.join(distinct(data, 'made_on'))}.\n"
    if (folder / figure_name(kind)).exists():
        parts.append(
            f"![Estimates on the staircase]({folder.name}/{figure_name(kind)})\n\n"
            "Bold: mean over seeds of 200 steps; thin: of each seed; bands: nine of ten single "
            "batches.\n"
        )
    parts.append(_findings(data))
    for name, rows in groups(data, "task"):
        if len(TASKS[name].levels) > 1:
            parts += _tables(f"### {TASKS[name].title}\n", rows, "information", _nats)
    others = data[[len(TASKS[name].levels) == 1 for name in values(data, "task")]]
    if len(others):
        head = f"### Other variables that share {OTHERS[0]:g} nats\n"
        parts += _tables(head, pd.DataFrame(others), "task", lambda name: TASKS[name].title)
    return parts


def _findings(data: pd.DataFrame) -> str:
    """What the readings say of the ceiling, and who comes nearest."""
    largest = values(where(data, bound="info_nce"), "largest").max()
    broken = int(values(data, "not_finite").sum())
    lines = [
        f"InfoNCE's largest reading is {largest:.3f} nats; log N is "
        f"{math.log(Run.batch_size):.3f}. Readings that are not finite: {broken}{_where(data)}. "
        "They are left out of the figures; where a seed has no others, the table says not finite."
    ]
    for name, rows in groups(data, "task"):
        best = []
        for level in distinct(rows, "information"):
            errors = {
                bound: float(values(each, "mse").mean())
                for bound, each in groups(where(rows, information=level), "bound")
            }
            best.append(f"{BOUNDS[min(errors, key=errors.__getitem__)].title} at {level:g}")
        lines.append(f"- {TASKS[name].title}: least MSE has {', '.join(best)} nats.")
    return "\n".join([lines[0], "", *lines[1:], ""])


def _where(data: pd.DataFrame) -> str:
    """Of which bounds, on which variables, readings were not finite."""
    places = [
        f"{BOUNDS[bound].title} on {TASKS[task].title}"
        for (bound, task), rows in groups(data, "bound", "task")
        if values(rows, "not_finite").any()
    ]
    return f" ({'; '.join(places)})" if places else ""


def _tables(head: str, data: pd.DataFrame, column: str, title) -> list[str]:
    """Bias, deviation and squared error: a row a bound, a column a level or a task."""
    places = list(dict.fromkeys(values(data, column)))
    parts = [head]
    for measure, words in {"bias": "bias", "sd": "SD", "mse": "MSE"}.items():
        rows = []
        for bound, of_bound in groups(data, "bound"):
            cells = [values(where(of_bound, **{column: place}), measure) for place in places]
            shown = [
                _over_seeds(each) if measure == "bias" else number(each.mean()) for each in cells
            ]
            rows.append([BOUNDS[bound].title, *shown])
        rows.sort(key=lambda row: [facts.title for facts in BOUNDS.values()].index(row[0]))
        parts.append(table([words, *map(title, places)], rows))
    return parts


def number(value: float) -> str:
    """Two decimals; two digits of a large one."""
    if math.isnan(value):
        return "not finite"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1e}"


def _over_seeds(each: np.ndarray) -> str:
    """Mean and deviation over the seeds; two digits of large ones."""
    if np.isnan(each).any():
        return "not finite"
    return mean_and_sd(each, ".2f" if abs(each.mean()) < 100 else ".1e")


def _nats(level: float) -> str:
    """A level as the head of a column."""
    return f"{level:g} nats"


def _finite_samples(folder: Path) -> list[str]:
    """Ours and the peer on the same samples."""
    file = folder / SAMPLES
    count = SampleSet.count
    words = (
        f"## From {count} samples, beside a peer\n\n"
        f"`nearfar.estimate_mi` and {PEER} (Czyż et al. 2023), each with its defaults, on the same "
        f"{count} pairs of variables that share {INFORMATION:g} nats. Both hold samples back: of "
        "ours the value is of samples that decided nothing, of the peer's the largest value that "
        "the held-back half gave during training. The peer was not asked about pictures: with "
        "their 256 columns it had not ended after 5 minutes of CPU.\n"
    )
    command = f"{_COMMAND}.compare --peer-python PYTHON"
    if not file.exists():
        return [words, f"Not measured yet: `{command}` does it.\n"]
    data = pd.read_csv(file)
    tasks = list(dict.fromkeys(values(data, "task")))
    rows = []
    for (who, estimator), own in groups(data, "who", "estimator"):
        cells = [_estimates(where(own, task=task)) for task in tasks]
        rows.append([f"{who}: {estimator}", *cells])
    made_on = "; ".join(dict.fromkeys(values(data, "made_on")))
    seeds = ", ".join(map(str, distinct(data, "seed")))
    return [
        words,
        table(["estimate", *(TASKS[task].title for task in tasks)], rows),
        "± is one standard deviation between seeds, of samples and of first weights. † marks "
        "values that `estimate_mi` itself warned of, for a seed or more.\n",
        f"`{command}`, seeds {seeds}; {made_on}; [estimates]({folder.name}/{SAMPLES}).\n",
    ]


def _estimates(rows: pd.DataFrame) -> str:
    """Mean and deviation over the seeds."""
    if not len(rows):
        return "–"
    found = values(rows, "estimate").astype(np.float64)
    if not np.isfinite(found).all():
        return f"not finite in {int((~np.isfinite(found)).sum())} of {len(found)}"
    return _over_seeds(found) + (" †" if values(rows, "warned").any() else "")
