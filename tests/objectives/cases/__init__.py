"""The table of cases that every property test, and the table of equivalence, runs over.

A new objective is one `Case` in the list of its family's module.
"""

from . import alignment_uniformity, nt_xent
from .case import Case, cast

CASES: list[Case] = [
    *nt_xent.CASES,
    *alignment_uniformity.CASES,
]

__all__ = ["CASES", "Case", "cast"]
