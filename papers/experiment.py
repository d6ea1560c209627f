"""What an experiment is: a claim, how it is measured, its figure, and what came out in words."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure
from tools.machine import made_on


@dataclass(frozen=True)
class Experiment:
    """A statement of a source that can be measured.

    Attributes:
        name: Of its files, and on the command line.
        title: What it shows, in a sentence.
        source: Whose statement it is.
        claim: The statement, and how it is measured; Markdown.
        measure: What is measured with a seed, one row a measurement.
        draw: The figure, from the rows of all seeds (column `seed`).
        findings: What came out, made from the same rows; Markdown.
        minutes: Of one core, for three seeds.
    """

    name: str
    title: str
    source: str
    claim: str
    measure: Callable[[int], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    findings: Callable[[pd.DataFrame], str]
    minutes: float


def measured(experiment: Experiment, seeds: tuple[int, ...]) -> pd.DataFrame:
    """The rows of all seeds, each with its seed, and with the versions and machine of today."""
    rows = [experiment.measure(seed).assign(seed=seed) for seed in seeds]
    return pd.concat(rows, ignore_index=True).assign(made_on=made_on())
