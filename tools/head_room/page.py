"""The tables of docs/study_sets.md, from the recorded runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from tools.head_room.runs import SEEDS, VARIANTS, VIEWS
from tools.head_room.sets import SETS
from tools.markdown import mean_and_sd, table

ROOM = 15.0
"""Points that supervision must be above raw pixels."""
_SURE = 0.95

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What SimCLR's linear probe gains where a kind of view is left out.

    Attributes:
        mean: Points, over pairs of runs of the same seed.
        half: Half of the interval of 95 % around it, by Student's t.
    """

    mean: float
    half: float

    @property
    def seen(self) -> bool:
        """Whether the interval leaves out 0."""
        return abs(self.mean) > self.half


def change(before: Sequence[float], after: Sequence[float]) -> Change:
    """The change of pairs.

    Args:
        before: Two values or more.
        after: As many, in the same order.
    """
    differences = [two - one for one, two in zip(before, after, strict=True)]
    quantile = float(stats.t.ppf((1 + _SURE) / 2, len(differences) - 1))
    half = quantile * stdev(differences) / len(differences) ** 0.5
    return Change(fmean(differences), half)


def section(records: Sequence[Record]) -> str:
    """Both tables: how much room there is, and what the views do; a row for each set."""
    if not records:
        return ""
    room_rows, view_rows = [], []
    for held in _sets(records):
        room_rows.append(_room_row(held))
        view_rows.append(_view_row(held))
    room_head = [
        *("set", "classes", "images", "raw pixels", "untrained", "supervised", "room"),
        *("SimCLR, kNN", "SimCLR, probe", "verdict"),
    ]
    view_head = ["set", "SimCLR", *(f"without {each}" for each in VIEWS)]
    hardware = sorted({str(record["hardware"]) for record in records})
    minutes = sum(record["seconds"] for record in records) / 60
    return (
        f"{table(room_head, room_rows)}\n{table(view_head, view_rows)}\n"
        f"{len(records)} runs, trained in {minutes:.0f} minutes on {'; '.join(hardware)}.\n"
    )


class _Held:
    """The runs of one set, trained alike."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.first = records[0]

    def of(self, variant: str) -> list[Record]:
        """The runs of a variant, by seed."""
        found = [record for record in self.records if record["variant"] == variant]
        return sorted(found, key=lambda record: record["seed"])

    def percents(self, variant: str, protocol: str, features: str = "encoder") -> list[float]:
        """Accuracies by seed."""
        scores = (record["scores"].get(protocol, {}) for record in self.of(variant))
        return [100 * score[features]["top1"] for score in scores if features in score]

    def best(self, features: str) -> tuple[str, list[float]]:
        """The protocol by which features of the supervised runs do best, and their accuracies."""
        names = ("knn", "linear_probe", "classifier")
        found = {name: self.percents("supervised", name, features) for name in names}
        return max(
            ((name, values) for name, values in found.items() if values),
            key=lambda each: fmean(each[1]),
            default=("", []),
        )

    @property
    def room(self) -> float | None:
        """Points between supervision and raw pixels, each by what serves it best."""
        supervised, raw = self.best("encoder")[1], self.best("raw")[1]
        return fmean(supervised) - fmean(raw) if supervised and raw else None

    def change(self, view: str) -> Change | None:
        """What leaving out a kind of view changes; None where the runs are not all there."""
        before = self.percents("simclr", "linear_probe")
        after = self.percents(f"without {view}", "linear_probe")
        return change(before, after) if len(before) == len(after) == len(SEEDS) else None

    @property
    def verdict(self) -> str:
        """What the set serves for, in words."""
        missing = len(SEEDS) * len(VARIANTS) - len(self.records)
        if missing or self.room is None:
            return f"{missing} runs are missing"
        if self.room < ROOM:
            return f"no room: fewer than {ROOM:g} points"
        changes = {view: self.change(view) for view in VIEWS}
        unseen = [view for view, found in changes.items() if found is None or not found.seen]
        if not unseen:
            return "serves"
        return f"has room; not seen: {', '.join(unseen)}"


def _sets(records: Sequence[Record]) -> list[_Held]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        key = tuple(record[name] for name in ("set", "epochs", "images"))
        groups.setdefault(key, []).append(record)
    order = list(SETS)
    keys = sorted(groups, key=lambda key: (order.index(key[0]), *key[1:]))
    return [_Held(groups[key]) for key in keys]


_SHORT = {"knn": "kNN", "linear_probe": "probe", "classifier": "own classifier"}


def _room_row(held: _Held) -> list[str]:
    def best(features: str) -> str:
        protocol, values = held.best(features)
        return f"{mean_and_sd(values, '.1f')} ({_SHORT[protocol]})" if values else ""

    first = held.first
    return [
        _name(held),
        str(first["classes"]),
        f"{first['fitted']} + {first['judged']}",
        *(best(features) for features in ("raw", "untrained", "encoder")),
        "" if held.room is None else f"{held.room:.1f}".replace("-", "−"),
        *(mean_and_sd(held.percents("simclr", name), ".1f") for name in ("knn", "linear_probe")),
        held.verdict,
    ]


def _view_row(held: _Held) -> list[str]:
    cells = []
    for view in VIEWS:
        accuracy = mean_and_sd(held.percents(f"without {view}", "linear_probe"), ".1f")
        found = held.change(view)
        if found is not None:
            sign = f"{found.mean:+.1f} ± {found.half:.1f}".replace("-", "−")
            accuracy += f" ({sign}{'' if found.seen else ', not seen'})"
        cells.append(accuracy)
    return [_name(held), mean_and_sd(held.percents("simclr", "linear_probe"), ".1f"), *cells]


def _name(held: _Held) -> str:
    return f"`{held.first['set']}`, {held.first['epochs']} epochs"
