"""What the scores amount to, in plain words."""

from collections.abc import Sequence

from nearfar.evaluation.records import FEATURE_NAMES
from nearfar.report.scores import Row
from nearfar.report.uncertainty import Difference

BASELINES = {
    "raw": "raw data",
    "start": "the weights it began with",
    "untrained": "the same network before training",
}
AT_RANDOM = "the same network at random weights"
"""What the untrained one is called where training began with other weights."""


def percent(value: float) -> str:
    """A fraction as per cent with one decimal, with a true minus sign."""
    return f"{100 * value:.1f}".replace("-", "−")


def main_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that the verdict speaks of: one for each place that a measure may take there."""
    chosen: dict[int, Row] = {}
    for row in rows:
        place = row.measure.place
        if place is None or not row.is_spoken_of or "encoder" not in row.scores:
            continue
        if place not in chosen or _priority(row) < _priority(chosen[place]):
            chosen[place] = row
    return [chosen[place] for place in sorted(chosen)]


def _priority(row: Row) -> float:
    return row.measure.priority(dict(row.parameters))


def verdict(rows: Sequence[Row]) -> list[str]:
    """One sentence for each baseline that was judged: who leads, by how much, under what.

    Args:
        rows: The rows of one run's evaluation.

    Returns:
        Sentences, the one on raw data first; none where nothing can be compared.
    """
    sentences = []
    names = BASELINES
    if any("start" in row.scores for row in rows):
        names = names | {"untrained": AT_RANDOM}
    for baseline, name in names.items():
        compared = [
            (row, row.lead(row.scores["encoder"], row.scores[baseline]))
            for row in main_rows(rows)
            if baseline in row.scores
        ]
        if not compared:
            continue
        first = _opening(name, *compared[0])
        subject = "the encoder" if compared[0][1].outcome == "level" else "it"
        rest = [_further(subject, row, gap) for row, gap in compared[1:]]
        sentences.append("; ".join([first, *rest]) + ".")
    return [*sentences, *_unrested(rows)]


def _unrested(rows: Sequence[Row]) -> list[str]:
    """Says which probes had not come to rest: what is said of them may not hold."""
    told = []
    for row in rows:
        if row.metric == "top1" and row.unrested:
            features = " and of ".join(FEATURE_NAMES[name] for name in row.unrested)
            told.append(
                f"The {row.measure.short} of {features} had not come to rest: its figure is no "
                "measure of these features yet."
            )
    return told


def forms(rows: Sequence[Row]) -> str | None:
    """One sentence on the form in which each kind of features was judged.

    Args:
        rows: The rows of one run's evaluation.

    Returns:
        None where the records do not say.
    """
    told = []
    for feature, name in FEATURE_NAMES.items():
        by_protocol: dict[str, dict[str, None]] = {}
        for row in rows:
            if row.metric == "top1" and feature in row.forms:
                chosen = by_protocol.setdefault(row.measure.short, {})
                chosen[row.forms[feature]] = None
        if by_protocol:
            each = [f"{' or '.join(names)} ({under})" for under, names in by_protocol.items()]
            told.append(f"{name} {', '.join(each)}")
    if not told:
        return None
    return f"Each in the form that serves it best on training data: {'; '.join(told)}."


def _opening(name: str, row: Row, gap: Difference) -> str:
    """The clause that names both sides."""
    under = _under(row)
    if gap.outcome == "ahead":
        return f"The encoder beats {name} by {row.size(gap.value)} {under}"
    if gap.outcome == "behind":
        return f"The encoder falls short of {name} by {row.size(gap.value)} {under}"
    return f"The encoder and {name} are level within the noise {under}"


def _further(subject: str, row: Row, gap: Difference) -> str:
    """A clause that adds another protocol to the opening."""
    if gap.outcome == "ahead":
        return f"{_under(row)} {subject} leads by {row.size(gap.value)}"
    if gap.outcome == "behind":
        return f"{_under(row)} {subject} trails by {row.size(gap.value)}"
    return f"{_under(row)} the two are level within the noise"


def _under(row: Row) -> str:
    return row.measure.clause(dict(row.parameters), row.scores["encoder"].draws)


def run_verdict(names: Sequence[str], tables: Sequence[Sequence[Row]]) -> str | None:
    """One sentence on several runs: which encoder leads under the first protocol that all share.

    Args:
        names: Name of each run.
        tables: The rows of each run, in the same order.

    Returns:
        None where no two runs were judged alike.
    """
    judged = [
        (name, {_key(row): row for row in main_rows(rows)})
        for name, rows in zip(names, tables, strict=True)
    ]
    judged = [(name, rows) for name, rows in judged if rows]
    if len(judged) < 2:
        return None
    for key in judged[0][1]:
        scored = [(name, rows[key]) for name, rows in judged if key in rows]
        if len(scored) < 2:
            continue
        lower = scored[0][1].measure.better == "lower"
        scored.sort(key=lambda pair: pair[1].scores["encoder"].value, reverse=not lower)
        (best, row), (second, second_row) = scored[:2]
        gap = row.lead(row.scores["encoder"], second_row.scores["encoder"])
        if gap.outcome == "ahead":
            return f"{best} leads {_under(row)}, {row.size(gap.value)} ahead of {second}."
        return (
            f"{best} and {second} are the best {_under(row)}, level within the noise "
            f"({row.size(gap.value)} apart)."
        )
    return None


def _key(row: Row) -> tuple[object, ...]:
    return row.protocol, row.metric, row.parameters
