"""The records of `evaluation.json` as rows: one protocol each, with the score of every feature."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nearfar.evaluation.evaluation_spec import measure_of, measures
from nearfar.evaluation.measures import Measure
from nearfar.report.uncertainty import Difference, Score, difference, wilson_interval

FEATURES = {
    "encoder": "Encoder",
    "embedding": "Embedding",
    "start": "Its start",
    "raw": "Raw data",
    "untrained": "Untrained encoder",
    "chance": "Chance",
}
"""What is judged, in the order of the table's columns."""
SHOTS = {"many": "Many", "medium": "Medium", "few": "Few"}
"""Classes by the number of their training images, largest first."""
SIZES = {"many": "more than 100 each", "medium": "20 to 100 each", "few": "fewer than 20 each"}
"""Training images of a class in each group."""
ACCURACIES = frozenset({"top1", "top5"})


@dataclass(frozen=True)
class Row:
    """One protocol with all its parameters, and what each feature scored under it.

    Attributes:
        protocol: Its name in the records.
        metric: What was measured.
        parameters: What tells it from its like.
        scores: By feature, over all classes.
        by_shots: The same for the classes of many, medium and few images, where these differ.
        classes: Number of classes of each of these groups.
        forms: By feature, what was done to it first, as was chosen on training data.
        unrested: Features whose probe had not come to rest.
    """

    protocol: str
    metric: str
    parameters: tuple[tuple[str, Any], ...]
    scores: dict[str, Score] = field(default_factory=dict)
    by_shots: dict[str, dict[str, Score]] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    unrested: list[str] = field(default_factory=list)

    def of(self, shots: str | None) -> dict[str, Score]:
        """Scores by feature over all classes, or over those of a size."""
        return self.scores if shots is None else self.by_shots.get(shots, {})

    @property
    def is_accuracy(self) -> bool:
        """Whether the values are shares of the test examples."""
        return self.metric in ACCURACIES

    @property
    def is_compared(self) -> bool:
        """Whether one value can be better than another, and sentences may say so."""
        return self.metric == "top1" or (not self.is_accuracy and self.measure.better != "")

    @property
    def is_spoken_of(self) -> bool:
        """Whether the verdict may speak of it."""
        return self.is_compared and self.measure.place is not None

    def lead(self, first: Score, second: Score) -> Difference:
        """How much better the first score is than the second."""
        gap = difference(first, second)
        if self.measure.better != "lower":
            return gap
        return Difference(-gap.value, -gap.high, -gap.low)

    def size(self, gap: float) -> str:
        """The size of a difference in words."""
        if self.is_accuracy:
            return points(gap)
        return f"{abs(gap):.3f}"

    @cached_property
    def measure(self) -> Measure:
        """What its figures are."""
        return measure_of(self.protocol)

    @property
    def title(self) -> str:
        """The protocol as a person would say it."""
        return self.measure.title(dict(self.parameters))

    @property
    def detail(self) -> str:
        """What tells this row from its like: top-5, and the parameters not in the title."""
        detail = self.measure.detail(dict(self.parameters))
        return ", ".join(filter(None, ("top-5" if self.metric == "top5" else "", detail)))


def score_rows(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Groups records that differ in their features alone, or in the size of classes besides.

    Args:
        records: Records of `evaluation.json`, in any order.

    Returns:
        In the order of the protocols, accuracies that a curve holds in its order; others of one
        protocol keep theirs.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    for record in records:
        parameters = record.get("parameters") or {}
        identity = measure_of(record["protocol"]).identity(parameters)
        key = (record["protocol"], record["metric"], tuple(identity.items()))
        row = rows.setdefault(key, Row(*key))
        if "transform" in parameters:
            row.forms[record["features"]] = str(parameters["transform"])
        if parameters.get("converged") is False and record["features"] not in row.unrested:
            row.unrested.append(record["features"])
        scores = row.scores
        if "shots" in parameters:
            scores = row.by_shots.setdefault(parameters["shots"], {})
            row.classes[parameters["shots"]] = parameters["classes"]
        # What guessing gives is known, and no share of examples that were asked.
        is_share = record["metric"] in ACCURACIES and record["features"] != "chance"
        scores[record["features"]] = Score(
            value=record["value"],
            n=record.get("n") if is_share else None,
            sd=record.get("sd"),
            draws=parameters.get("draws", 1),
            values=tuple(parameters.get("values", ())),
            standard_error=parameters.get("standard_error"),
        )
    return sorted(rows.values(), key=_order)


def points(gap: float) -> str:
    """The size of a difference of fractions in percentage points."""
    size = f"{100 * abs(gap):.1f}"
    return f"{size} point{'' if size == '1.0' else 's'}"


def shown_interval(score: Score) -> tuple[float, float]:
    """Ends of what a chart draws: value ± sd over draws, or the binomial 95 % of a single share."""
    if score.sd is not None:
        return score.value - score.sd, score.value + score.sd
    if score.n:
        return wilson_interval(score.value, score.n)
    return score.value, score.value


def _order(row: Row) -> tuple[int, bool, float]:
    """Place of a row among others."""
    known, curve = list(measures()), row.measure.curve
    place = known.index(row.protocol) if row.protocol in known else len(known)
    along = dict(row.parameters)[curve.parameter] if curve else 0
    return place, row.metric != "top1", float(along)
