"""Checks of what other packages add: that an objective or a method keeps all that nearfar asks.

    from nearfar.testing import check_objective

    def test_my_objective():
        check_objective(my_objective, settings={"temperature": 0.1}, scaled=(0, 1))

nearfar's own objectives and methods pass the same checks. A check that fails says which property
does not hold, with the numbers.
"""

from nearfar.testing.drawn import labelled, rows, views, views_and, views_and_labels
from nearfar.testing.methods import MethodCase, check_method
from nearfar.testing.objective_case import ObjectiveCase
from nearfar.testing.objectives import check_objective
from nearfar.testing.rank_processes import run_on_ranks

__all__ = [
    "MethodCase",
    "ObjectiveCase",
    "check_method",
    "check_objective",
    "labelled",
    "rows",
    "run_on_ranks",
    "views",
    "views_and",
    "views_and_labels",
]
