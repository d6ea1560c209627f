"""What is done to features before a probe sees them, and which of it is tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from nearfar.evaluation.transforms import Transform
from nearfar.objectives.precision import unit_rows as to_unit_rows

KEPT_LENGTHS = frozenset({"centred", "standardised"})
"""Transforms that a probe is also offered without bringing rows to length 1."""


@dataclass(frozen=True, eq=False)
class Form:
    """Transforms rows, brings them to length 1, takes off their mean, divides by one factor.

    Rows have length 1 because that is what kNN and the contrastive losses look at; tables of
    measures, where the length tells something, may keep theirs. Afterwards the mean squared length
    is 1, which gives a penalty the same meaning for features of any kind.

    Attributes:
        transform: What is done first.
        unit_rows: Whether rows are brought to length 1.
        mean: `(r,)` of the training features, then.
        length: Root of the mean squared length of the centred training features.
    """

    transform: Transform
    unit_rows: bool
    mean: Tensor
    length: float

    @classmethod
    def of(
        cls, train: Float[Tensor, "n dim"], transform: Transform, *, unit_rows: bool = True
    ) -> "Form":
        """The form that training features ask for.

        Args:
            train: Training features; labels are not needed.
            transform: Fitted on them.
            unit_rows: Whether rows are brought to length 1.
        """
        rows = transform(train)
        rows = to_unit_rows(rows) if unit_rows else rows
        mean = rows.double().mean(dim=0).float()
        length = float((rows - mean).square().sum(dim=1).double().mean().sqrt())
        return cls(transform, unit_rows, mean, length or 1.0)

    def __call__(self, features: Float[Tensor, "m dim"]) -> Float[Tensor, "m r"]:
        """The features in this form.

        Args:
            features: Training or test features.
        """
        rows = self.transform(features)
        rows = to_unit_rows(rows) if self.unit_rows else rows
        return (rows - self.mean) / self.length

    @property
    def name(self) -> str:
        """As records call it."""
        return self.transform.name + ("" if self.unit_rows else ", lengths kept")


def forms(train: Float[Tensor, "n dim"], transforms: Sequence[Transform]) -> tuple[Form, ...]:
    """Every form that a probe is offered.

    Args:
        train: Training features.
        transforms: Fitted on them.
    """
    unit = [Form.of(train, transform) for transform in transforms]
    kept = [
        Form.of(train, transform, unit_rows=False)
        for transform in transforms
        if transform.name in KEPT_LENGTHS
    ]
    return (*unit, *kept)
