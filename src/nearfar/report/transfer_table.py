"""The table of a transfer: figures of starts on sets, mean and spread over runs or draws."""

import csv
import io
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

import rich.table

from nearfar.data.source_spec import Metric
from nearfar.evaluation.transfer import PROTOCOLS
from nearfar.terminal import shown

METRICS: dict[str, str] = {
    "top1": "top-1",
    "mean_per_class": "mean per class",
    "voc_11_point_map": "11-point mAP",
}


@dataclass(frozen=True)
class Cell:
    """What one encoder reached on one set by one protocol.

    Attributes:
        set: The set, its metric, its classes and the examples to learn from and to judge by.
        start: Whose row it is; kind and seed of the encoder.
        protocol: As in `PROTOCOLS`.
        values: One, or one for each draw; empty where the protocol is not defined for the set.
    """

    set: str
    metric: Metric
    classes: int
    examples: int
    test_examples: int
    start: str
    kind: str
    seed: int
    protocol: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Score:
    """Mean and spread of a figure, in per cent.

    Attributes:
        mean: Over runs, and over the draws of each.
        sd: Over runs where there are two and more, else over draws; None of a single value.
        over: Of what the spread is, in words.
        best: No other start is better on this set by this protocol.
    """

    mean: float
    sd: float | None
    over: str
    best: bool = False

    @property
    def text(self) -> str:
        """`91.2 ± 0.4`."""
        return f"{self.mean:.1f}" + ("" if self.sd is None else f" ± {self.sd:.1f}")


@dataclass
class Row:
    """One start on one set.

    Attributes:
        start: Its title, and `kind`.
        scores: By protocol; None where there is no figure.
    """

    start: str
    kind: str
    scores: dict[str, Score | None]


@dataclass
class SetTable:
    """All starts on one set.

    Attributes:
        name: Of the set, and its `metric` in words.
        about: Metric, classes and examples in words.
        rows: The starts.
    """

    name: str
    metric: str
    about: str
    rows: list[Row]


@dataclass
class Table:
    """All that was found.

    Attributes:
        cells: In the order in which they were found.
        notes: What a reader must know.
        draws: Of the few labels.
    """

    cells: list[Cell]
    notes: list[str] = field(default_factory=list)
    draws: int = 5

    def sets(self) -> Iterator[SetTable]:
        """A table for each set, its best figures marked."""
        for name in dict.fromkeys(cell.set for cell in self.cells):
            cells = [cell for cell in self.cells if cell.set == name]
            rows = [
                Row(
                    start,
                    next(cell.kind for cell in cells if cell.start == start),
                    {
                        protocol: _score(
                            [c for c in cells if (c.start, c.protocol) == (start, protocol)]
                        )
                        for protocol in PROTOCOLS
                    },
                )
                for start in dict.fromkeys(cell.start for cell in cells)
            ]
            _mark_best(rows)
            first = cells[0]
            yield SetTable(
                name,
                METRICS[first.metric],
                f"{METRICS[first.metric]}, {first.classes:,} classes, {first.examples:,} examples "
                f"to learn from, {first.test_examples:,} for test",
                rows,
            )

    def for_console(self) -> rich.table.Table:
        """The same for a terminal; text from outside is made safe by the terminal's own door."""
        table = rich.table.Table(box=None, pad_edge=False)
        for head in ("set", "start", *(title for title, _ in PROTOCOLS.values())):
            table.add_column(head, overflow="fold")
        for each in self.sets():
            for place, row in enumerate(each.rows):
                texts = [score.text if score else "–" for score in row.scores.values()]
                marks = [bool(score and score.best) for score in row.scores.values()]
                told = [f"[bold]{t}[/bold]" if m else t for t, m in zip(texts, marks, strict=True)]
                name = f"{shown(each.name)} ({each.metric})" if place == 0 else ""
                table.add_row(name, shown(row.start), *told)
        return table

    def as_csv(self) -> str:
        """A line for each set, start and protocol; figures are shares, not per cent."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        head = ("set", "metric", "classes", "examples", "test_examples", "start", "kind", "seed")
        writer.writerow((*head, "protocol", "mean", "values"))
        for cell in self.cells:
            fixed = [_inert(getattr(cell, name)) for name in head]
            mean = statistics.fmean(cell.values) if cell.values else ""
            writer.writerow((*fixed, cell.protocol, mean, " ".join(map(repr, cell.values))))
        return text.getvalue()


def _inert(value: object) -> object:
    """Text that no spreadsheet takes for a formula."""
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if risky else value


def _score(cells: list[Cell]) -> Score | None:
    """Mean over runs, and the spread over them or, of one run, over its draws."""
    means = [100 * statistics.fmean(cell.values) for cell in cells if cell.values]
    if not means:
        return None
    if len(means) > 1:
        return Score(statistics.fmean(means), statistics.stdev(means), f"{len(means)} runs")
    values = [100 * value for cell in cells for value in cell.values]
    if len(values) > 1:
        return Score(means[0], statistics.stdev(values), f"{len(values)} draws")
    return Score(means[0], None, "one run")


def _mark_best(rows: list[Row]) -> None:
    for protocol in PROTOCOLS:
        scores = [score for row in rows if (score := row.scores[protocol]) is not None]
        highest = max((score.mean for score in scores), default=0.0)
        for row in rows:
            score = row.scores[protocol]
            if score is not None and len(scores) > 1 and score.mean == highest:
                row.scores[protocol] = Score(score.mean, score.sd, score.over, best=True)
