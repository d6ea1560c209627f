"""Every method by name: whose it is, what it does, what it needs. Imports nothing heavy."""

from dataclasses import dataclass

from nearfar.methods.config import MethodConfig, SimCLRConfig


@dataclass(frozen=True)
class MethodInfo:
    """What there is to know of a method before it is built.

    Attributes:
        title: Its name as its authors write it.
        config: The class of its settings.
        summary: What it does, in one line.
        source: Authors and year.
        needs_labels: Whether it learns from labels, and refuses data without.
    """

    title: str
    config: type[MethodConfig]
    summary: str
    source: str
    needs_labels: bool = False


METHODS: dict[str, MethodInfo] = {
    "simclr": MethodInfo(
        "SimCLR",
        SimCLRConfig,
        "two views of an example near, all other examples of the batch far",
        "Chen et al. 2020",
    ),
}
"""Method by the name in its settings."""
