"""A curve of any length in a few hundred points, made while it grows."""

from dataclasses import dataclass, field

MOST_POINTS = 600
"""Of a curve; beyond it, neighbouring points become their mean."""


@dataclass
class ThinnedCurve:
    """Means of as many neighbouring values each, so many that at most `MOST_POINTS` are left.

    Attributes:
        x: Mean place of each point.
        y: Mean value of each point.
    """

    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    _each: int = 1
    _open: list[tuple[float, float]] = field(default_factory=list)

    def add(self, x: float, y: float) -> None:
        """Puts a value behind the others."""
        self._open.append((x, y))
        if len(self._open) < self._each:
            return
        self.x.append(sum(each[0] for each in self._open) / self._each)
        self.y.append(sum(each[1] for each in self._open) / self._each)
        self._open.clear()
        if len(self.x) == MOST_POINTS:
            self.x, self.y = _pairwise(self.x), _pairwise(self.y)
            self._each *= 2

    def points(self) -> tuple[list[float], list[float]]:
        """Places and values so far; what is not yet enough for a point is one of its own."""
        if not self._open:
            return list(self.x), list(self.y)
        count = len(self._open)
        return (
            [*self.x, sum(each[0] for each in self._open) / count],
            [*self.y, sum(each[1] for each in self._open) / count],
        )


def _pairwise(values: list[float]) -> list[float]:
    return [(first + second) / 2 for first, second in zip(values[::2], values[1::2], strict=True)]
