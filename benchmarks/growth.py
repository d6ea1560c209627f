"""Time and memory against size, over three decades: a step, kNN, `embed`, a sweep, listing runs."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from papers.figures import COLOURS, MARKERS, panels, style
from tools.figure_file import save
from tools.machine import processor, versions

from benchmarks._times import told

FIGURE = Path(__file__).parents[1] / "docs" / "growth.svg"
DECADES = tuple(10**power for power in (1, 1.5, 2, 2.5, 3, 3.5, 4))
LEAST_SECONDS, LEAST_MIB = 2e-3, 8.0
"""Below which a figure is of the process more than of the work, and no growth is read off."""


@dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        name: In `_growth_work`.
        title: In the table.
        size: What its size counts.
        sizes: At which it is measured.
    """

    name: str
    title: str
    size: str
    sizes: tuple[int, ...]


WORKS = (
    Work(
        "step",
        "NT-Xent and its gradient, 128 dimensions",
        "embeddings",
        (64, 256, 1024, 4096, 16_384, 65_536),
    ),
    Work(
        "knn",
        "kNN of 256 queries, 128 dimensions",
        "rows of the bank",
        tuple(round(100 * each) for each in DECADES),
    ),
    Work(
        "embedding",
        "`nearfar embed`, 32 px, a ResNet of width 8",
        "images on disk",
        tuple(round(10 * each) for each in DECADES),
    ),
    Work(
        "proposing",
        "the next trial of a sweep by TPE, three axes",
        "trials before it",
        tuple(round(each) for each in DECADES[:-1]),
    ),
    Work("listing", "`nearfar runs`", "runs in the folder", (3, 10, 30, 100, 300, 1000, 3000)),
)

Measured = dict[int, tuple[float, float]]
"""CPU seconds and MiB by size."""


def measured(work: Work) -> Measured:
    """Each size in a process of its own, on one thread."""
    found = {}
    for size in work.sizes:
        words = [sys.executable, "-m", "benchmarks._growth_work", work.name, str(size)]
        printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        seconds, mib = map(float, printed.split())
        found[size] = (seconds, mib)
        print(f"{work.name} {size}: {seconds:.4g} s, {mib:.0f} MiB", flush=True)
    return found


def power(sizes: list[int], values: list[float], least: float) -> float | None:
    """The exponent of growth over the last decade; None where too little of it is above `least`.

    Args:
        sizes: Rising.
        values: Measured there.
        least: Values below it tell nothing.
    """
    told = [
        (np.log(size), np.log(value))
        for size, value in zip(sizes, values, strict=True)
        if size * 10 >= sizes[-1] and value >= least
    ]
    if len(told) < 2:
        return None
    x, y = np.transpose(told)
    return float(np.polyfit(x, y, 1)[0])


def table(found: dict[str, Measured]) -> str:
    """The largest size of each, and how fast time and memory grow up to it."""
    lines = [
        "| | of | from, to | CPU time at the largest | grows like | memory there | grows like |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for work in WORKS:
        of_work = found[work.name]
        sizes = list(of_work)
        seconds, mib = (list(each) for each in zip(*of_work.values(), strict=True))
        lines.append(
            f"| {work.title} | {work.size} | {sizes[0]:,}, {sizes[-1]:,} | {told(seconds[-1])} | "
            f"{_growth(power(sizes, seconds, LEAST_SECONDS))} | {mib[-1]:.0f} MiB | "
            f"{_growth(power(sizes, mib, LEAST_MIB))} |"
        )
    return "\n".join(lines)


def _growth(exponent: float | None) -> str:
    return "too little to tell" if exponent is None else f"N^{exponent:.2f}"


def draw(found: dict[str, Measured]) -> Figure:
    """Time and memory against size, on logarithmic axes with lines of N and N²."""
    figure, (left, right) = panels(2)
    for place, work in enumerate(WORKS):
        sizes, both = list(found[work.name]), zip(*found[work.name].values(), strict=True)
        label = f"{work.title.replace('`', '').split(',')[0]}: {work.size}"
        for panel, values, least in zip((left, right), both, (0.0, 1.0), strict=True):
            shown = np.maximum(values, least)
            panel.plot(sizes, shown, color=COLOURS[place], marker=MARKERS[place], label=label)
    _finish(left, "CPU seconds on one thread")
    _finish(right, "MiB that the work adds, 1 or less at the foot")
    right.legend(fontsize=7, loc="upper left")
    return figure


def _finish(panel: Axes, words: str) -> None:
    """Logarithmic axes, and dotted lines that grow like N and like N²."""
    panel.set(xscale="log", yscale="log", xlabel="size", ylabel=words)
    across, (low, high) = np.array(panel.get_xlim()), panel.get_ylim()
    for exponent, dots in ((1, ":"), (2, "-.")):
        grown = low * (across / across[0]) ** exponent
        panel.plot(across, grown, color="0.7", ls=dots, lw=1, label=f"grows like N^{exponent}")
    panel.set(xlim=tuple(across), ylim=(low, high))


def main() -> str:
    """Measure and return the section for the page of benchmarks; the figure is written beside."""
    found = {work.name: measured(work) for work in WORKS}
    with style():
        save(draw(found), FIGURE)
    largest = WORKS[0].sizes[-1]
    section = (
        "## Growth\n\n"
        "CPU time on one thread and the memory that the work adds to its inputs, over three "
        "decades of sizes; each in a process of its own, the median of up to five rounds. Growth "
        "is the exponent over the last decade. A matrix of all pairs of "
        f"{largest:,} embeddings would take {largest**2 * 4 / 2**30:.0f} GiB. "
        f"{processor()}; {versions('torch', 'optuna')}.\n\n"
        f"{table(found)}\n\n"
        "![Time and memory against size](growth.svg)\n"
    )
    print(section)
    return section


if __name__ == "__main__":
    main()
