"""What a feature of a table's rows is: a number, a word that a column holds, or a gap in it."""

from dataclasses import dataclass, field

from nearfar.outside_text import printable


@dataclass(frozen=True)
class TableFeature:
    """What one feature of a vector says of a row.

    Attributes:
        column: Name of its column; of a column of lists with the place in them, as `rows[3]`.
        value: The word for which it is 1, and 0 for any other; None where it is a number.
        missing: Whether it is 1 where the column has no value, and else 0.
        fill: Of a number what stands for it where it is missing. It does not tell features apart.
    """

    column: str
    value: str | None = None
    missing: bool = False
    fill: float | None = field(default=None, compare=False)

    @property
    def is_number(self) -> bool:
        """Whether it is the column's number itself."""
        return self.value is None and not self.missing

    def __str__(self) -> str:
        """For a person."""
        if self.missing:
            return f"{printable(self.column)} missing"
        if self.value is None:
            return printable(self.column)
        return f"{printable(self.column)}={printable(self.value)}"
