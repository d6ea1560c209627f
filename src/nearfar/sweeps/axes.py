"""What a sweep goes over: settings by their names, and the values that each takes. Light."""

from typing import Annotated, ClassVar, Literal

from annotated_types import MinLen

from nearfar.errors import SettingError
from nearfar.spec import Choice

Value = str | int | float | bool | None
"""Of a setting, in JSON's own types; of a choice, its name."""


class AxisSpec(Choice, noun="axis"):
    """A setting and what it may be.

    Attributes:
        name: values or range.
    """

    room: ClassVar[str] = "axes."

    setting: str = ""
    """Name of the setting: training.batch_size, method.objective."""

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that stand for all: each, or the two ends of a range."""
        raise NotImplementedError


class ValuesSpec(AxisSpec):
    """Some values, each as likely as the others."""

    name: Literal["values"] = "values"
    values: Annotated[tuple[Value, ...], MinLen(1)] = (None,)
    """In the order in which they are tried."""

    def check(self) -> None:
        """Each value once."""
        for place, value in enumerate(self.values):
            if value in self.values[:place]:
                raise SettingError(f"{self.setting}: {value} is there twice")

    @property
    def ends(self) -> tuple[Value, ...]:
        """All values."""
        return self.values


class RangeSpec(AxisSpec):
    """All numbers from one to another, both included."""

    name: Literal["range"] = "range"
    low: float | int = 0
    """Lowest."""
    high: float | int = 1
    """Highest."""
    log: bool = False
    """Whether equal ratios are as likely as each other, and not equal differences."""

    def check(self) -> None:
        """The ends stand in order, and a logarithm has something to be of."""
        if not self.low < self.high:
            raise SettingError(
                f"{self.setting}: {self.low}..{self.high} is empty: the lower end comes first"
            )
        if self.log and self.low <= 0:
            raise SettingError(
                f"{self.setting}: {self.low}..{self.high} cannot be logarithmic: it must begin "
                "above 0; write :linear behind it"
            )

    @property
    def whole(self) -> bool:
        """Whether it is of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Value, ...]:
        """The lowest and the highest."""
        return (self.low, self.high)


def is_wide(low: int | float, high: int | float) -> bool:
    """Whether a range is so wide that ratios count, and not differences: a factor of ten."""
    return low > 0 and high / low >= 10
