"""docs/theory.md, made from the committed measurements alone."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from papers.experiment import Experiment
from papers.measurements import distinct

HEAD = """# Theory, measured

What the sources prove, as experiments that anyone can rerun. `python -m papers` measures all of
them in less than an hour on one core, `python -m papers --only NAME` one. Figures show means over
seeds, with bars of one standard deviation between seeds; ± in the text is that as well. The page is
made from the tables (CSV) beside the figures, and where a statement does not hold as its source has
it, it says so.
"""


def page(experiments: Sequence[Experiment], folder: Path) -> str:
    """The whole page.

    Args:
        experiments: In the order of the page.
        folder: Of their measurements and figures, beside the page.
    """
    return "\n".join([HEAD, *(_section(each, folder) for each in experiments)])


def _section(experiment: Experiment, folder: Path) -> str:
    """One experiment: claim, figure, findings."""
    name = experiment.name
    parts = [f"## {experiment.title}\n", f"{experiment.source}. {experiment.claim}\n"]
    measurements = folder / f"{name}.csv"
    if not measurements.exists():
        return "\n".join([*parts, f"Not measured yet: `python -m papers --only {name}` does it.\n"])
    data = pd.read_csv(measurements)
    seeds = ", ".join(map(str, distinct(data, "seed")))
    made_on = " and ".join(distinct(data, "made_on"))
    return "\n".join(
        [
            *parts,
            f"![{experiment.title}]({folder.name}/{name}.svg)\n",
            experiment.findings(data),
            f"`python -m papers --only {name}`, seeds {seeds}; "
            f"[measurements]({folder.name}/{name}.csv). {made_on}.\n",
        ]
    )
