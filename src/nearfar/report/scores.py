"""The records of `evaluation.json` as rows: one protocol each, with the score of every feature."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nearfar.report.uncertainty import Score, wilson_interval

FEATURES = {"encoder": "Encoder", "raw": "Raw data", "untrained": "Untrained encoder"}
"""What is judged, in the order of the table's columns."""
PROTOCOL_ORDER = ("few_labels", "knn", "linear_probe", "classifier", "alignment", "uniformity")
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
    def labels_per_class(self) -> int | None:
        """Labels a class that the probe got, or None for other protocols."""
        return dict(self.parameters).get("labels_per_class")

    @property
    def title(self) -> str:
        """The protocol as a person would say it."""
        if self.protocol == "few_labels":
            count = self.labels_per_class
            return f"{count} label{'' if count == 1 else 's'} per class"
        names = {
            "knn": "kNN",
            "linear_probe": "Linear probe, all labels",
            "classifier": "The method's own classifier",
        }
        return names.get(self.protocol, self.protocol.replace("_", " ").capitalize())

    @property
    def detail(self) -> str:
        """What tells this row from its like: top-5, and the parameters not in the title."""
        shown = [
            f"{'T' if name == 'temperature' else name} = {_short(value)}"
            for name, value in self.parameters
            if name != "labels_per_class"
        ]
        return ", ".join(["top-5", *shown] if self.metric == "top5" else shown)


def score_rows(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Groups records that differ in their features alone, or in the size of classes besides.

    Args:
        records: Records of `evaluation.json`, in any order.

    Returns:
        Few labels first (fewest first), then kNN, the linear probe and what is no accuracy; records
        of one protocol keep their order.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    for record in records:
        parameters = record.get("parameters") or {}
        identity = tuple(
            (name, _hashable(parameters[name]))
            for name in parameters
            if name in {"k", "temperature", "labels_per_class", "alpha", "t"}
        )
        key = (record["protocol"], record["metric"], identity)
        row = rows.setdefault(key, Row(*key))
        if "transform" in parameters:
            row.forms[record["features"]] = str(parameters["transform"])
        if parameters.get("converged") is False and record["features"] not in row.unrested:
            row.unrested.append(record["features"])
        scores = row.scores
        if "shots" in parameters:
            scores = row.by_shots.setdefault(parameters["shots"], {})
            row.classes[parameters["shots"]] = parameters["classes"]
        scores[record["features"]] = Score(
            value=record["value"],
            n=record.get("n") if record["metric"] in ACCURACIES else None,
            sd=record.get("sd"),
            draws=parameters.get("draws", 1),
            values=tuple(parameters.get("values", ())),
        )
    return sorted(rows.values(), key=_order)


def shown_interval(score: Score) -> tuple[float, float]:
    """Ends of what a chart draws: value ± sd over draws, or the binomial 95 % of a single share."""
    if score.sd is not None:
        return score.value - score.sd, score.value + score.sd
    if score.n:
        return wilson_interval(score.value, score.n)
    return score.value, score.value


def _order(row: Row) -> tuple[int, int, int]:
    known = row.protocol in PROTOCOL_ORDER
    place = PROTOCOL_ORDER.index(row.protocol) if known else len(PROTOCOL_ORDER)
    return place, 0 if row.metric == "top1" else 1, row.labels_per_class or 0


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
