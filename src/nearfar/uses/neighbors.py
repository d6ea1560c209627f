"""The rows of a bank nearest to many queries, exactly, without a matrix of all similarities."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.evaluation.features import check_finite
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.top_k import Bank

_QUERIES_AT_ONCE = 16384


@dataclass(frozen=True)
class Neighbors:
    """For each query its nearest rows, nearest first.

    Attributes:
        rows: `(m, k)` rows of the bank.
        similarities: `(m, k)` cosines.
    """

    rows: Int64[Tensor, "m k"]
    similarities: Float[Tensor, "m k"]


class Searchable:
    """Features that are searched by cosine, as often as wanted.

    Args:
        features: One row an example, any scale.

    Raises:
        NearfarError: A feature is not finite.
        SettingError: There are no rows.
    """

    def __init__(self, features: Float[Tensor, "n dim"]) -> None:
        self.units = unit_rows(check_finite(features.float(), "the features"))
        self._bank = Bank(self.units)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.units)

    def nearest(
        self,
        queries: Float[Tensor, "m width"],
        k: int,
        *,
        itself: Int64[Tensor, " m"] | None = None,
    ) -> Neighbors:
        """The k nearest rows of every query.

        Args:
            queries: Features of the same encoder, any scale.
            k: At least 1; clipped to the rows that there are.
            itself: For each query the row that it is, which is left out; −1 where it is none.

        Raises:
            NearfarError: A query is not finite.
            SettingError: k is below 1, the widths differ, or there is no other row.
        """
        if k < 1:
            raise SettingError(f"{k} neighbours: ask for 1 or more")
        if queries.shape[1] != self.units.shape[1]:
            raise SettingError(
                f"queries of {queries.shape[1]} features, where those to look among have "
                f"{self.units.shape[1]}: both must be of one encoder"
            )
        if itself is not None and bool((itself < 0).all()):
            itself = None  # no query is a row
        if itself is not None and len(self) == 1:
            raise SettingError("one row alone has no neighbours")
        k = min(k, len(self) if itself is None else len(self) - 1)
        found_rows, found_similarities = [], []
        for first in range(0, len(queries), _QUERIES_AT_ONCE):
            some = slice(first, first + _QUERIES_AT_ONCE)
            units = unit_rows(check_finite(queries[some].float(), "the queries"))
            similarities, rows = self._bank.top_k(units, k if itself is None else k + 1)
            if itself is not None:
                keep = _without(rows, itself[some])
                rows = rows[keep].view(-1, k)
                similarities = similarities[keep].view(-1, k)
            found_rows.append(rows)
            found_similarities.append(similarities)
        if not found_rows:
            return Neighbors(torch.empty(0, k, dtype=torch.int64), torch.empty(0, k))
        return Neighbors(torch.cat(found_rows), torch.cat(found_similarities))

    def of_all(self, k: int) -> Neighbors:
        """The k nearest other rows of every row."""
        return self.nearest(self.units, k, itself=torch.arange(len(self)))


def _without(rows: Int64[Tensor, "m more"], itself: Int64[Tensor, " m"]) -> Tensor:
    """Marks all but one in each line: the query itself, or the last where it is not among them."""
    same = rows == itself[:, None]
    same[:, -1] |= ~same.any(dim=1)
    return ~same


def find_neighbors(
    features: Float[Tensor, "n dim"],
    queries: Float[Tensor, "m width"] | None = None,
    k: int = 8,
) -> Neighbors:
    """The k nearest rows of each query by cosine; of each row its nearest others, without queries.

    Exact; n × m similarities are never held.

    Args:
        features: To look among; one row an example, any scale.
        queries: Of the same encoder; None asks for every row of the features.
        k: At least 1; clipped to the rows that there are.

    Raises:
        NearfarError: A feature is not finite.
        SettingError: k is below 1, the widths differ, or there are no rows to find.
    """
    searchable = Searchable(features)
    return searchable.of_all(k) if queries is None else searchable.nearest(queries, k)
