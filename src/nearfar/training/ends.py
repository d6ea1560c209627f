"""Ends of a training that are no end of its epochs."""

from nearfar.errors import NearfarError


class Diverged(NearfarError):  # noqa: N818  (it is an end, as `Interrupted` is)
    """The loss or a gradient is not finite; the same run would come to the same."""


class EndedEarly(NearfarError):  # noqa: N818
    """Who asked for the run has seen enough of it; a checkpoint holds all of it."""
