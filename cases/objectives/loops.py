"""The few steps that the slow loops share, on lists of Python numbers."""

import math

from torch import Tensor

Row = list[float]


def raw_rows(embeddings: Tensor) -> list[Row]:
    """Rows as lists."""
    return embeddings.double().tolist()


def unit_rows(embeddings: Tensor) -> list[Row]:
    """Rows divided by their norm."""
    return [[value / math.hypot(*row) for value in row] for row in raw_rows(embeddings)]


def dot(first: Row, second: Row) -> float:
    return math.fsum(x * y for x, y in zip(first, second, strict=True))


def log_sum_exp(exponents: list[float]) -> float:
    largest = max(exponents)
    return largest + math.log(math.fsum(math.exp(value - largest) for value in exponents))


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
