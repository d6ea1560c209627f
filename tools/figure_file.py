"""Figures as files: the same bytes for the same figures."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {"svg.hashsalt": "nearfar", "svg.fonttype": "none", "font.size": 9}
"""Of every figure: names inside an SVG are no random numbers, and its text stays text."""


def save(figure: Figure, path: Path) -> None:
    """Write a figure, drawn under `STYLE`.

    Args:
        figure: Which.
        path: Its ending says the format.
    """
    # Without a date, which would differ each time.
    figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
