"""Gradients, probabilities and queue of a training on a long tail, by size of class."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table
from torch import Tensor, nn

from nearfar.data.labels import class_counts
from nearfar.methods.momentum_keys import MomentumKeys
from nearfar.methods.paco import PaCo
from nearfar.methods.supcon import SupCon
from nearfar.recipes.assembly import assemble
from nearfar.recipes.recipe import Recipe
from papers.experiment import Experiment
from papers.figures import explain_expected, plot_expected, plot_spread, powers_on
from papers.measurements import distinct, groups, values, where
from papers.paco.instrumented import Step, shares_of, steps
from papers.paco.setup import ALPHA, METHODS, QUEUE, TAIL, TITLES, recipe
from papers.rates import slope_with_error
from papers.reproductions.reproduction import of_seed

TRAINED = ("cross-entropy", "supcon", "supcon-queue", "paco")
GROUPS = 8
"""Of classes of about one size, from the largest to the smallest."""
_SHOWN = {
    "pull": ("norm of an example's gradient by its features", ""),
    "row": ("norm of the gradient by a classifier's row", ""),
    "queued": ("samples of a class in the queue", "queue · q(y)"),
    "pair": ("probability of one positive sample", "closed form"),
    "centre": ("probability of the class's centre", "1/(1 + αK)"),
    "centre by epoch": ("probability of the class's centre, all classes", "1/(1 + αK)"),
}
LATE = 0.25
"""Share of the epochs, the last ones, over which probabilities and queue are means."""


def setup(method: str) -> Recipe:
    """The study's own recipe."""
    return recipe(METHODS[method], TAIL)


def measure(
    seed: int,
    *,
    setups: Callable[[str], Recipe] = setup,
    methods: Sequence[str] = TRAINED,
    among: int = GROUPS,
) -> pd.DataFrame:
    """What is seen of each method's training, by size of class or by epoch.

    Args:
        seed: Of the order of classes, weights, order and views.
        setups: Recipe of each method.
        methods: Which.
        groups: Of classes by size.
    """
    found = [_measured(of_seed(setups(name), seed), among).assign(method=name) for name in methods]
    return pd.concat(found, ignore_index=True)


def _measured(chosen: Recipe, among: int) -> pd.DataFrame:
    """Train one method and look: a row a figure and group of classes, or epoch."""
    assembly = assemble(chosen)
    classes = assembly.source.num_classes
    assert classes is not None
    counts = class_counts(assembly.part, classes)
    seen = pd.concat(
        [look for step in steps(assembly) for look in looks(step, counts)], ignore_index=True
    )
    rows = [
        _mean("centre by epoch", epoch + 1, of_epoch)
        for epoch, of_epoch in groups(where(seen, measured="centre"), "epoch")
    ]
    # First gradients are those of random weights, and the last probabilities those of trained ones.
    epochs, measured = values(seen, "epoch"), values(seen, "measured")
    gradient = np.isin(measured, ["pull", "row"])
    late = epochs >= (1 - LATE) * chosen.training.epochs
    seen = seen.loc[np.where(gradient, epochs > 0, late)]
    order = counts.argsort(descending=True, stable=True).numpy()
    for members in np.array_split(order, among):
        size = float(counts[torch.from_numpy(members)].double().mean())
        of_group = seen.loc[np.isin(values(seen, "class"), members)]
        rows += [_mean(name, size, of_figure) for name, of_figure in groups(of_group, "measured")]
    return pd.DataFrame(rows)


def _mean(measured: str, x: float, rows: pd.DataFrame) -> dict[str, str | float]:
    """A row of the table: the mean over what was seen."""
    both = {each: float(values(rows, each).mean()) for each in ("value", "expected")}
    return {"measured": measured, "x": x, **both}


def looks(step: Step, counts: Tensor) -> Iterator[pd.DataFrame]:
    """All that is seen of a step: rows `measured`, `class`, `value`, `expected` and `epoch`.

    Args:
        step: Of any of the methods.
        counts: Examples of each class that are learnt from.
    """
    every = torch.arange(len(counts))
    views = len(step.pull) // len(step.labels)
    yield _rows("pull", step, step.labels.repeat(views), step.pull)
    classifier = getattr(step.method, "classifier", None)
    if isinstance(classifier, nn.Linear) and classifier.weight.grad is not None:
        yield _rows("row", step, every, classifier.weight.grad.norm(dim=1))
    if isinstance(step.method, MomentumKeys):
        queue = step.method.queue
        queued = queue.rows("labels").bincount(minlength=len(counts))
        yield _rows("queued", step, every, queued, len(queue) * counts / counts.sum())
    if isinstance(step.method, SupCon | MomentumKeys):
        found, classes = shares_of(step)
        if isinstance(step.method, PaCo):
            alpha = step.method.spec.alpha
            of_centre = 1 / (1 + alpha * found.positives)
            yield _rows("pair", step, classes, found.pair, alpha * of_centre)
            yield _rows("centre", step, classes, found.centre, of_centre)
        else:
            yield _rows("pair", step, classes, found.pair, 1 / found.positives)


def _rows(
    measured: str, step: Step, classes: Tensor, found: Tensor, expected: Tensor | None = None
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "measured": measured,
            "class": classes.numpy(),
            "value": found.double().numpy(),
            "expected": np.nan if expected is None else expected.double().numpy(),
            "epoch": step.epoch,
        }
    )


def draw(data: pd.DataFrame) -> Figure:
    """Gradients, probabilities and queue against the size of classes; the centre's by epoch too."""
    figure = Figure((13.8, 7.2), layout="constrained")
    panels = dict(zip(_SHOWN, figure.subplots(2, 3).flat, strict=True))
    for place, method in enumerate(TRAINED):
        rows = where(data, method=method)
        for measured, panel in panels.items():
            _series(panel, where(rows, measured=measured), place, TITLES[method])
    for measured, panel in panels.items():
        words, expected = _SHOWN[measured]
        panel.set(xlabel="examples of a class", ylabel=words)
        if measured == "centre by epoch":
            panel.set_xlabel("epoch")
        else:
            panel.set_xscale("log")
        powers_on(panel)
        if expected:
            explain_expected(panel, expected)
        panel.legend(fontsize=7.5)
    return figure


def _series(panel: Axes, rows: pd.DataFrame, place: int, label: str) -> None:
    """One method's points, and the dotted line of what is expected of them."""
    if not len(rows):
        return
    if np.isfinite(values(rows, "expected")).any():
        plot_expected(panel, rows, "x", "expected", place=place)
    plot_spread(panel, rows, "x", "value", place=place, label=label)


def findings(data: pd.DataFrame) -> str:
    """How gradients depend on size, and how far probabilities are from closed forms."""
    sizes = distinct(where(data, measured="pull"), "x")
    few, many = sizes[0], sizes[-1]
    by_method = []
    for method in TRAINED:
        rows = where(data, method=method, measured="pull")
        ends = [mean_and_sd(values(where(rows, x=x), "value"), ".2g") for x in (many, few)]
        of_rows = where(data, method=method, measured="row")
        of_weights = slope_with_error(of_rows, "x", "value") if len(of_rows) else ""
        by_method.append([TITLES[method], *ends, slope_with_error(rows, "x", "value"), of_weights])
    shares = []
    for method, measured in (
        ("supcon", "pair"),
        ("supcon-queue", "pair"),
        ("paco", "pair"),
        ("paco", "centre"),
        ("paco", "queued"),
    ):
        rows, cells = where(data, method=method, measured=measured), []
        for x in (many, few):
            of_end = where(rows, x=x)
            cells += [mean_and_sd(values(of_end, each), ".3g") for each in ("expected", "value")]
        shares.append([f"{TITLES[method]}, {_WORDS[measured]}", *cells])
    by_epoch = where(data, method="paco", measured="centre by epoch")
    last = where(by_epoch, x=max(distinct(by_epoch, "x")))
    centre, of_optimum = (mean_and_sd(values(last, each), ".2g") for each in ("value", "expected"))
    return (
        "A gradient is the norm of the derivative of the losses' sum by an example's features, "
        "which all methods have. A slope is that of its logarithm against that of the size of the "
        "class: 0 where size is of no matter. The classifier's rows have the gradients of all "
        "examples.\n\n"
        + table(
            [
                "method",
                f"gradient, {many:.0f} examples",
                f"{few:.1f} examples",
                "slope",
                "slope, rows of the classifier",
            ],
            by_method,
        )
        + f"\nThe closed forms are those of the least loss. In the last epoch PaCo's centres have "
        f"{centre} on average where they would have {of_optimum} there. In the last quarter of the "
        "training:\n\n"
        + table(
            [
                "figure",
                f"closed form, {many:.0f} examples",
                "measured",
                f"closed form, {few:.1f} examples",
                "measured",
            ],
            shares,
        )
    )


_WORDS = {"pair": "a pair", "centre": "the centre", "queued": "samples in the queue"}
EXPERIMENT = Experiment(
    name="paco_in_training",
    title="Gradients and probabilities of a training on a long tail",
    source="Cui et al. 2021, section 3 and its figures",
    claim=(
        "The gradients of a classifier's rows grow with the size of the class, steeply for "
        "cross-entropy and less for PaCo. SupCon's best probability of a pair is 1/K with K "
        "samples of the class; a queue has about `queue · q(y)` of class y, so K follows the tail. "
        "PaCo's best pair is `α/(1 + αK)` and its centre `1/(1 + αK)`; with "
        f"α = {ALPHA} the pair depends on K far less. Measured at every step of the trainings of "
        f"the study of long tails (62 characters of fonts, imbalance factor {TAIL}, a queue of "
        f"{QUEUE}); classes are in {GROUPS} groups by size."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=14,
)
