"""Measured times as cells of a table: nearfar's own, and others' beside it."""

NEARFAR, FLOOR = "nearfar", "floor"


def told(seconds: float) -> str:
    """Seconds, or milliseconds below one."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def beside_ours(name: str, seconds: float, ours: float) -> str:
    """A contender's time, and how many times nearfar's it is; of the floor, the share of its rate.

    Args:
        name: Of the contender.
        seconds: It took.
        ours: nearfar took.
    """
    if name == NEARFAR:
        return told(seconds)
    ratio = f"{seconds / ours:.0%}" if name == FLOOR else f"{seconds / ours:.1f}×"
    return f"{told(seconds)} ({ratio})"
