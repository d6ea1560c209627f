"""CLIP on emoji with a queue of slow encoders' rows, and without: at equal steps, at equal time."""

import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from rich.console import Console
from tools.markdown import mean_and_sd, table
from torch import Tensor

from nearfar.data.source import Part, Source, choose
from nearfar.data.sources import load_source
from nearfar.encoders.saved import TowerName, load_encoder
from nearfar.evaluation.pairs import distinct, ranks_across
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.recipes.pairs_of_kinds import clip_openmoji
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import run_recipe
from papers.experiment import Experiment
from papers.figures import COLOURS, panels
from papers.measurements import distinct as distinct_in
from papers.measurements import values, where
from papers.reproductions.power import detectable, interval_reach
from papers.reproductions.reproduction import FIRST_PILOT_SEED

ALONE, QUEUED, LONGER = "batch alone", "queue", "batch alone, as long"
ARMS = (ALONE, QUEUED, LONGER)
"""What is trained on every seed; the last for as many epochs as take the queue's time."""
RANKS = (1, 5, 10)
ASKS = {"images": "an image asks", "texts": "a text asks"}
MEAN, SECONDS = "mean", "seconds"
"""The mean of all six recalls, by which the arms are compared; CPU time of the training."""
PILOT, REPORTED = "pilot", "reported"
"""Which rows choose, and which are compared."""


@dataclass(frozen=True)
class Setup:
    """What is trained, and what the pilot chooses from.

    Attributes:
        recipe: Without a queue, at the first of the rates.
        rates: Learning rates that the pilot tries without a queue; all arms have the better one.
        queues: Lengths that it tries then.
        momenta: Of the slow encoders, each with each length.
        held_out: Every how many-th pair of the training part the pilot is judged by.
    """

    recipe: Recipe
    rates: tuple[float, ...] = (1e-3, 3e-3)
    queues: tuple[int, ...] = (256, 1024)
    momenta: tuple[float, ...] = (0.9, 0.99)
    held_out: int = 4


def emoji() -> Setup:
    """The recipe `clip-openmoji` in small: half its batch, fewer epochs, all training pairs."""
    recipe = clip_openmoji()
    return Setup(
        replace(
            recipe,
            data=replace(recipe.data, held_out=0.0),
            training=replace(
                recipe.training,
                epochs=12,
                batch_size=64,
                knn_every=0,
                device="cpu",
                precision="fp32",
                threads=1,
                checkpoint_every=12,
            ),
        )
    )


@dataclass(frozen=True)
class Chosen:
    """What the pilot chose.

    Attributes:
        rate: Learning rate of all arms.
        queue: Pairs in the queue.
        momentum: Of the slow encoders.
        longer: Epochs without a queue that take the time of those with it.
    """

    rate: float
    queue: int
    momentum: float
    longer: int


@cache
def piloted(setup: Setup) -> pd.DataFrame:
    """Recalls of held-out pairs at every setting, of a seed that is not reported.

    Args:
        setup: What is tried.
    """
    whole = load_source(setup.recipe.data)
    rows = torch.arange(len(whole.train))
    held = rows % setup.held_out == 0
    source = replace(
        whole, train=choose(whole.train, rows[~held]), test=choose(whole.train, rows[held])
    )
    # Imports and the first opening of files are nobody's training.
    _trained(replace(setup.recipe, training=replace(setup.recipe.training, epochs=1)), source)
    found = []
    for rate in setup.rates:
        found += _rows(_arm(setup.recipe, rate), source, FIRST_PILOT_SEED)
    best = _best(pd.DataFrame(found))
    for queue in setup.queues:
        for momentum in setup.momenta:
            arm = _arm(setup.recipe, best["rate"], queue, momentum)
            found += _rows(arm, source, FIRST_PILOT_SEED)
    return pd.DataFrame(found).assign(part=PILOT)


def chosen(pilot: pd.DataFrame) -> Chosen:
    """The settings with the best mean recall of held-out pairs.

    Args:
        pilot: What `piloted` gave.
    """
    queues = [length for length in distinct_in(pilot, "queue") if length]
    alone = _best(where(pilot, queue=0))
    queued = max((_best(where(pilot, queue=each)) for each in queues), key=lambda row: row["value"])
    took = []
    for best in (alone, queued):
        setting = {name: best[name] for name in ("rate", "queue", "momentum")}
        took.append(float(values(where(pilot, figure=SECONDS, **setting), "value")[0]))
    longer = round(int(alone["epochs"]) * took[1] / took[0])
    return Chosen(
        float(alone["rate"]), int(queued["queue"]), float(queued["momentum"]), max(1, longer)
    )


def measure(seed: int, *, setup: Setup | None = None) -> pd.DataFrame:
    """Recalls of test pairs of each arm, behind the rows of the pilot.

    Args:
        seed: Of weights, order and views.
        setup: `emoji()` where it is left out.
    """
    setup = setup or emoji()
    pilot = piloted(setup)
    best = chosen(pilot)
    source, rows = load_source(setup.recipe.data), []
    recipe = _arm(setup.recipe, best.rate)
    longer = replace(recipe, training=replace(recipe.training, epochs=best.longer))
    for name, arm in (
        (ALONE, recipe),
        (QUEUED, _arm(setup.recipe, best.rate, best.queue, best.momentum)),
        (LONGER, longer),
    ):
        rows += [row | {"arm": name} for row in _rows(arm, source, seed)]
    return pd.concat([pilot, pd.DataFrame(rows).assign(part=REPORTED)], ignore_index=True)


def _arm(recipe: Recipe, rate: float, queue: int = 0, momentum: float | None = None) -> Recipe:
    optimizer = replace(recipe.training.optimizer, learning_rate=rate)
    assert isinstance(recipe.method, CLIPSpec)
    return replace(
        recipe,
        method=replace(recipe.method, queue_size=queue, momentum=momentum),
        training=replace(recipe.training, optimizer=optimizer),
    )


def _best(rows: pd.DataFrame) -> dict[str, Any]:
    """The row of the setting with the highest mean recall; of equals the first."""
    return max(_means(rows), key=lambda row: row["value"])


def _means(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], where(rows, figure=MEAN).to_dict("records"))


def _rows(recipe: Recipe, source: Source, seed: int) -> list[dict[str, object]]:
    """Train and judge by the source's test pairs: a row for each figure."""
    assert isinstance(recipe.method, CLIPSpec)
    figures = _trained(replace(recipe, seed=seed), source)
    of_run = {
        "rate": recipe.training.optimizer.learning_rate,
        "queue": recipe.method.queue_size,
        "momentum": recipe.method.momentum or 0.0,
        "epochs": recipe.training.epochs,
    }
    return [of_run | {"figure": figure, "value": value} for figure, value in figures.items()]


def _trained(recipe: Recipe, source: Source) -> dict[str, float]:
    """CPU seconds of a training, and recalls in hundredths."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        quiet, begun = Console(file=io.StringIO()), time.process_time()
        run_recipe(recipe, run, console=quiet, source=source, judge=False)
        seconds = time.process_time() - begun
        assert source.test is not None
        return {SECONDS: seconds} | dict(_recalls(run, source.test))


def _recalls(run: Path, part: Part) -> Iterator[tuple[str, float]]:
    """Recall@k either way, equal images and equal texts counted once, and the mean of all."""
    assert part.partners is not None
    partners = part.partners.used()
    images, texts = part.examples, partners.as_part().examples
    assert isinstance(images, Tensor)
    assert isinstance(texts, Tensor)
    (first_images, image_of), (first_texts, text_of) = distinct(images), distinct(texts)
    pairs = torch.unique(torch.stack([image_of, text_of[partners.rows[:, 0]]], dim=1), dim=0)
    seen = _embedded(run, "first", images[first_images])
    read = _embedded(run, "second", texts[first_texts])
    found = {
        "images": ranks_across(seen, read, pairs),
        "texts": ranks_across(read, seen, pairs.flip(1)),
    }
    recalls = {f"{asks}@{k}": 100 * ranks.recall(k) for asks, ranks in found.items() for k in RANKS}
    yield from recalls.items()
    yield MEAN, sum(recalls.values()) / len(recalls)


def _embedded(run: Path, tower: TowerName, examples: Tensor) -> Float[Tensor, "n dim"]:
    encoder = load_encoder(run, "embedding", tower=tower)
    with torch.no_grad():
        return torch.cat([encoder(some) for some in examples.split(256)])


def draw(data: pd.DataFrame) -> Figure:
    """Recalls of the arms either way, with their spread over seeds."""
    figure, axes = panels(len(ASKS), height=2.8)
    rows = where(data, part=REPORTED)
    for panel, (asks, words) in zip(axes, ASKS.items(), strict=True):
        for place, name in enumerate(ARMS):
            found = [values(where(rows, arm=name, figure=f"{asks}@{k}"), "value") for k in RANKS]
            panel.bar(
                [number + 0.27 * (place - 1) for number in range(len(RANKS))],
                [each.mean() for each in found],
                yerr=[each.std(ddof=1) if len(each) > 1 else 0.0 for each in found],
                width=0.25,
                color=COLOURS[place],
                label=name,
            )
        panel.set_xticks(range(len(RANKS)), [f"recall@{k}" for k in RANKS])
        panel.set(title=words, ylabel="%")
    axes[0].legend()
    return figure


def findings(data: pd.DataFrame) -> str:
    """Both comparisons, all recalls, and what the pilot found."""
    pilot = where(data, part=PILOT)
    pilot = where(pilot, seed=pilot["seed"].min())
    rows, best = where(data, part=REPORTED), chosen(pilot)
    told = " ".join(
        _compared(rows, arm, by) for arm, by in ((ALONE, "steps"), (LONGER, "CPU time"))
    )
    picked = (
        f"The pilot (seed {FIRST_PILOT_SEED}, judged by every fourth training pair, which it did "
        f"not learn from) chose a learning rate of {best.rate:g}, a queue of {best.queue} and a "
        f"momentum of {best.momentum:g}; {best.longer} epochs without a queue take the time of "
        f"{int(values(where(rows, arm=QUEUED), 'epochs')[0])} with it."
    )
    figures = [f"{asks}@{k}" for asks in ASKS for k in RANKS]
    head = ["", "epochs", *(f"{asks}, @{k}" for asks in ASKS.values() for k in RANKS)]
    head += ["mean, %", "CPU s"]
    lines = []
    for name in ARMS:
        of_arm = where(rows, arm=name)
        cells = [values(where(of_arm, figure=each), "value") for each in (*figures, MEAN, SECONDS)]
        epochs = str(int(values(of_arm, "epochs")[0]))
        lines.append([name, epochs, *(mean_and_sd(each, ".1f") for each in cells)])
    tried = [
        [
            f"{row['queue']:g}" if row["queue"] else "none",
            f"{row['momentum']:g}" if row["queue"] else "",
            f"{row['rate']:g}",
            f"{row['value']:.1f}",
        ]
        for row in _means(pilot)
    ]
    piloted_head = ["queue, in the pilot", "momentum", "learning rate", "mean recall, %"]
    return f"{told} {picked}\n\n{table(head, lines)}\n{table(piloted_head, tried)}"


def _compared(rows: pd.DataFrame, other: str, by: str) -> str:
    """Whether the queue leads at equal steps or time: both intervals are to hold at once."""
    means = {
        name: where(rows, arm=name, figure=MEAN).sort_values("seed")["value"].to_numpy()
        for name in (QUEUED, other)
    }
    lead = means[QUEUED] - means[other]
    sd, seeds = float(lead.std(ddof=1)), len(lead)
    words = f"queue less batch alone: {mean_and_sd(lead, '+.1f').replace('± +', '± ')} points"
    if abs(lead.mean()) > interval_reach(sd, seeds, len(ARMS) - 1):
        ahead = "the queue is" if lead.mean() > 0 else "the batch alone is"
        return f"At equal {by} {ahead} ahead in mean recall ({words})."
    least = detectable(sd, seeds, len(ARMS) - 1)
    return (
        f"At equal {by} it cannot be told whether the queue helps ({words}; detectable ≥ "
        f"{least:.1f})."
    )


EXPERIMENT = Experiment(
    name="clip_queue",
    title="CLIP on few pairs, with a queue and without",
    source="Li et al. 2021 (ALBEF), after He et al. 2020",
    claim=(
        "Rows of earlier steps, by slow copies of both encoders, are more negatives than a small "
        "batch has; ALBEF takes MoCo's queue over for pairs of images and texts. Measured here: "
        "the recipe `clip-openmoji` in small (batches of 64, 12 epochs of 1531 pairs), by "
        "recall@1, 5 and 10 of the 383 test pairs either way. A queue costs a forward pass of both "
        "slow copies, so it is compared at equal steps, and with as many more epochs without it as "
        "take the same time of a core. Learning rate, length and momentum are chosen before, by a "
        "seed that is not reported; which of the arms is ahead is said where both intervals, of "
        "95 % together, leave no doubt."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=13,
)
