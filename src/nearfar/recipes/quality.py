"""What a quality of `nearfar train PATH` takes and gets. Imports nothing."""

from typing import Literal

Quality = Literal["fast", "good", "best"]

MINUTES: dict[Quality, float] = {"fast": 3.0, "good": 10.0, "best": 60.0}
"""What a quality takes, judging included, where --minutes does not say it."""
WIDTHS: dict[Quality, int] = {"fast": 16, "good": 16, "best": 32}
"""Channels of the first stage of a network on a CPU."""
SIDES: dict[Quality, int] = {"fast": 32, "good": 32, "best": 64}
"""Side of a view of large pictures on a CPU, in pixels."""
SIDES_ON_A_GPU: dict[Quality, int] = {"fast": 64, "good": 96, "best": 128}
"""The same on a GPU."""
