"""Six methods trained on characters of fonts, and all of them transferred to the sets at hand.

python -m tools.transfer_runs                  trains what is missing, three seeds of each
python -m tools.transfer_runs --write-only     the table from the figures that are there

Trains SimCLR, MoCo v2, BYOL, debiased negatives, alignment and uniformity, and cross-entropy in the
set-up of `cross-entropy-fonts`, calls `nearfar transfer` with all of them and the suite `images`,
and writes the table of docs/transfer.md. Its figures stand in docs/transfer_runs.csv, which is
committed. What is finished is not done again: after a kill the same command goes on. Needs
`make fonts`, and `make clipart` for one of the sets; five hours of one core.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nearfar.data.source_spec import Metric
from nearfar.evaluation.transfer import PROTOCOLS
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import (
    AlignUniformSpec,
    DebiasedNegSpec,
    NTXentSpec,
    ObjectiveSpec,
)
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec
from nearfar.recipes.fonts import CLASSES, fonts_setup
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.recipes.transfer import transfer
from nearfar.recipes.transfer_sets import sets_named
from nearfar.report.transfer_table import METRICS
from nearfar.run_folder import names
from nearfar.run_folder.folder import RunFolder
from tools.command import run_command
from tools.dot_chart import draw_dots
from tools.machine import versions_in
from tools.markdown import mean_and_sd, table, with_section

ROOT = Path(__file__).parents[1]
PAGE, FIGURES = ROOT / "docs" / "transfer.md", ROOT / "docs" / "transfer_runs.csv"
CHART = ROOT / "docs" / "transfer.svg"
DRAWS, MOST = 3, 3000


def _pairwise(objective: ObjectiveSpec) -> MethodSpec:
    return SimCLRSpec(objective=objective, projection_hidden=512, projection_dim=128)


METHODS: dict[str, MethodSpec] = {
    "simclr": _pairwise(NTXentSpec(temperature=0.2)),
    "moco2": MoCoSpec(projection_hidden=512, queue_size=4096, momentum=0.99, batch_norm_splits=4),
    "byol": BYOLSpec(
        projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.99
    ),
    # A negative is of the anchor's class with the share of each class.
    "debiased": _pairwise(DebiasedNegSpec(temperature=0.2, tau_plus=1 / CLASSES)),
    "align-uniform": _pairwise(AlignUniformSpec(align_weight=1.0, uniform_weight=1.0)),
    "supervised": CrossEntropySpec(),
}


@dataclass(frozen=True)
class Arguments:
    """Six methods trained on characters of fonts, and all of them transferred."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Of every method."""
    epochs: int = 8
    """Passes over the 18 000 characters, 70 steps each."""
    out: Path = ROOT / "runs" / "transfer"
    """Folder of the runs and of the transfer."""
    write_only: bool = False
    """Train and judge nothing: write the table from the figures that are there."""


def main(words: Sequence[str] | None = None) -> int:
    """Train and judge what is missing and rewrite the table; the exit code."""
    return run_command("tools.transfer_runs", Arguments, compare, words)


def compare(arguments: Arguments) -> None:
    """Train and transfer what is asked for, then write the table."""
    if not arguments.write_only:
        run_all(arguments.out, arguments.seeds, arguments.epochs)
        found = pd.read_csv(arguments.out / "transfer" / "transfer.csv")
        found.assign(made_on=_made_on(arguments.out)).to_csv(FIGURES, index=False)
    figures = pd.read_csv(FIGURES)
    draw(figures, CHART)
    PAGE.write_text(with_section(PAGE.read_text(), "transfer", section(figures)))


def run_all(folder: Path, seeds: Sequence[int], epochs: int) -> None:
    """Trains what is missing, then transfers."""
    runs = []
    for seed in seeds:
        for name, method in METHODS.items():
            recipe = replace(fonts_setup(method, epochs), seed=seed)
            run = folder / f"{name}-{seed}"
            if not (run / names.CONFIG).exists():
                run_recipe(recipe, run)
            elif not (run / names.REPORT).exists():
                resume_run(run)
            runs.append(run)
    transfer(runs, sets_named(["images"]), folder / "transfer", draws=DRAWS, train_examples=MOST)


def draw(figures: pd.DataFrame, path: Path) -> None:
    """The chart: a panel for each set, a row for each start.

    Args:
        figures: As for `section`.
        path: Of the picture.
    """
    titles = {protocol: title for protocol, (title, _) in PROTOCOLS.items()}
    panels = {
        str(name): {
            str(start): {
                titles[str(protocol)]: (100 * rows["mean"]).tolist()
                for protocol, rows in of_start.groupby("protocol", sort=False)
            }
            for start, of_start in of_set.groupby("start", sort=False)
        }
        for name, of_set in figures.groupby("set", sort=False)
    }
    draw_dots(panels, path)


def section(figures: pd.DataFrame) -> str:
    """The table: a row for each start and set, mean and deviation over seeds.

    Args:
        figures: A row for each set, start, seed and protocol, as `nearfar transfer` writes them.
    """
    seeds = sorted(set(figures["seed"]))
    rows = []
    for name, of_set in figures.groupby("set", sort=False):
        first = of_set.iloc[0]
        metric: Metric = first["metric"]
        rows.append(
            [
                f"**{name}**, {METRICS[metric]}, {first['classes']} classes, "
                f"{first['examples']} + {first['test_examples']}",
                *[""] * len(PROTOCOLS),
            ]
        )
        for start, of_start in of_set.groupby("start", sort=False):
            cells = [
                mean_and_sd(100 * of_start[of_start["protocol"] == protocol]["mean"], ".1f")
                for protocol in PROTOCOLS
            ]
            rows.append([str(start), *cells])
    head = ["start", *(title for title, _ in PROTOCOLS.values())]
    made_on = " and ".join(sorted(set(figures["made_on"])))
    chart = f"![Accuracy of every start on every set]({CHART.name})\n"
    said = f"In per cent, mean ± sd over seeds {', '.join(map(str, seeds))}; few "
    return (
        f"{chart}\n{table(head, rows)}\n{said}"
        f"labels and fine-tuning are means over {DRAWS} draws each, fine-tuning of 10 labels a "
        f"class. {made_on}. [All figures](transfer_runs.csv).\n"
    )


def _made_on(folder: Path) -> str:
    """On what the runs were trained, and with which versions."""
    found = []
    for each in sorted(folder.glob(f"*/{names.ENVIRONMENT}")):
        environment = RunFolder(each.parent).read_environment()
        found.append(f"{environment['hardware']}; {versions_in(environment)}")
    return " and ".join(dict.fromkeys(found))


if __name__ == "__main__":
    sys.exit(main())
