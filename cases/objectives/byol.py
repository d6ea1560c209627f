"""BYOL."""

from nearfar.objectives import byol
from nearfar.testing import ObjectiveCase, views

from .loops import dot, mean, unit_rows


def slow_byol(predictions, targets):
    pairs = zip(unit_rows(predictions), unit_rows(targets), strict=True)
    return mean([2 - 2 * dot(prediction, target) for prediction, target in pairs])


CASES = [
    ObjectiveCase(
        "byol",
        byol,
        slow_byol,
        views(2),
        constant=(1,),
        rotated=(0, 1),
        scaled=(0, 1),
        smallest_batch=1,
    )
]
