"""Runs as a table: its columns, their order, and which runs are wanted."""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from nearfar.errors import SettingError, unknown_name
from nearfar.sweeps.found_runs import FoundRun

COLUMNS = {
    "name": "run",
    "method": "method",
    "data": "data",
    "seed": "seed",
    "epochs": "epochs",
    "state": "state",
    "check": "check",
    "knn": "kNN",
    "time": "time",
    "when": "when",
}
"""Names of the columns, as one sorts and filters by them, and their titles."""
FIELDS = {"time": "seconds", "when": "started"}
"""Columns that show another field than that of their name."""
NUMBERS = ("seed", "epochs", "check", "knn", "time")
"""Columns of figures, which stand at their right."""
HIGHEST_FIRST = ("check", "knn", "when")
NOTE = (
    "check: kNN on held-out training images, in % (* on images that were trained on); "
    "kNN: on test images, in %; time: of training"
)

_CONDITION = re.compile(
    r"(?P<name>[A-Za-z_.\-]+)(?P<sign><=|>=|!=|=|<|>|~)(?P<value>.*)", re.DOTALL
)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_SIGNS = "=, !=, <, <=, >, >= or ~ (contains)"


@dataclass(frozen=True)
class Condition:
    """What a run must be to be shown: `method=simclr`, `knn>80`, `training.batch_size<=128`.

    Attributes:
        name: A column, or a setting by its dotted name.
        sign: One of =, !=, <, <=, >, >=, ~.
        value: As it was typed.
    """

    name: str
    sign: str
    value: str

    @classmethod
    def read(cls, text: str) -> "Condition":
        """The condition that a word says.

        Raises:
            SettingError: It is none, or a number is asked for and not given.
        """
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise SettingError(
                f"--filter {text!r}: write NAME, one of {_SIGNS}, and a value, such as "
                "method=simclr or 'knn>80'"
            )
        name = match["name"].replace("-", "_")
        condition = cls(name, match["sign"], match["value"])
        if condition.sign in _COMPARE and name != "when":
            condition.number()
        return condition

    def number(self) -> float:
        """The value as a number."""
        try:
            return float(self.value)
        except ValueError:
            raise SettingError(
                f"--filter {self.name}{self.sign}{self.value}: {self.sign} compares with a number, "
                f"and {self.value!r} is none"
            ) from None

    def holds(self, run: FoundRun) -> bool:
        """Whether a run is so; one that has no such figure is not."""
        value = value_of(run, self.name)
        if self.sign == "~":
            return self.value.lower() in str(value).lower()
        if self.sign in ("=", "!="):
            return _equal(value, self.value) is (self.sign == "=")
        if value is None or isinstance(value, bool):
            return False
        if isinstance(value, str):
            return self.name == "when" and _COMPARE[self.sign](value, self.value)
        return isinstance(value, int | float) and _COMPARE[self.sign](value, self.number())


def value_of(run: FoundRun, name: str) -> Any:
    """A figure of a run: of a column, or a setting; None where it has none."""
    if name in COLUMNS or name in ("recipe", "asked"):
        return getattr(run, FIELDS.get(name, name))
    return run.settings.get(name)


def chosen(runs: Sequence[FoundRun], conditions: Sequence[Condition]) -> list[FoundRun]:
    """The runs for which all conditions hold.

    Raises:
        SettingError: A name is neither a column nor a setting of any run.
    """
    for each in conditions:
        _refuse_unknown(each.name, runs)
    return [run for run in runs if all(each.holds(run) for each in conditions)]


def ordered(runs: Sequence[FoundRun], by: str, *, reverse: bool = False) -> list[FoundRun]:
    """Runs by a column or a setting: text from A on, accuracies and times of day highest first.

    Those without the figure stand last in either direction.

    Raises:
        SettingError: There is no such column or setting.
    """
    by = by.replace("-", "_")
    _refuse_unknown(by, runs)
    with_value = [run for run in runs if value_of(run, by) is not None]
    if by != "name":  # they come in the order of their names, in which 2 stands before 10
        with_value.sort(key=lambda run: _order(value_of(run, by)), reverse=by in HIGHEST_FIRST)
    if reverse:
        with_value.reverse()
    return with_value + [run for run in runs if value_of(run, by) is None]


def cells(run: FoundRun) -> list[str]:
    """What the table shows of a run, a text for each column."""
    epochs = "" if run.epochs is None else f"{run.done}/{run.epochs}"
    check = "" if run.check is None else f"{run.check:.1f}" + "*" * (run.asked == "trained on")
    return [
        run.name,
        run.method or "",
        run.data or "",
        "" if run.seed is None else str(run.seed),
        epochs,
        run.state,
        check,
        "" if run.knn is None else f"{run.knn:.1f}",
        "" if run.seconds is None else duration(run.seconds),
        (run.started or "")[:16].replace("T", " "),
    ]


def facts(run: FoundRun) -> dict[str, Any]:
    """A run as an object of JSON's own types; without its settings, which its folder holds."""
    return {name: value for name, value in vars(run).items() if name != "settings"}


def duration(seconds: float) -> str:
    """Seconds as a person says them: "44 s", "4.1 min", "2.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _refuse_unknown(name: str, runs: Sequence[FoundRun]) -> None:
    """Refuse a name that is neither a column nor a setting of any run."""
    known = {*COLUMNS, "recipe", *(name for run in runs for name in run.settings)}
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        raise unknown_name("column or setting", name, near or COLUMNS)


def _equal(value: Any, text: str) -> bool:
    if value is None:
        return text.lower() in ("", "none")
    if isinstance(value, bool):
        return str(value).lower() == text.lower()
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return str(value).lower() == text.lower()


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers before texts, whatever stands in a column."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))
