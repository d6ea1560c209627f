"""Every method by name: whose it is, what it does, what it needs. Imports nothing heavy."""

from dataclasses import dataclass

from nearfar.methods.config import (
    BalancedSoftmaxConfig,
    BYOLConfig,
    CPCConfig,
    CrossEntropyConfig,
    MethodConfig,
    MoCoConfig,
    PaCoConfig,
    SimCLRConfig,
    SupConConfig,
)


@dataclass(frozen=True)
class MethodInfo:
    """What there is to know of a method before it is built.

    Attributes:
        title: Its name as its authors write it.
        config: The class of its settings.
        summary: What it does, in one line.
        source: Authors and year.
        needs_labels: Whether it learns from labels, and refuses data without.
        two_views: Whether it compares two views of each example, and refuses more.
        one_view: Whether one view of each example is enough.
        needs_steps: Whether it asks for a vector for each step, which few encoders give.
    """

    title: str
    config: type[MethodConfig]
    summary: str
    source: str
    needs_labels: bool = False
    two_views: bool = False
    one_view: bool = False
    needs_steps: bool = False


METHODS: dict[str, MethodInfo] = {
    "simclr": MethodInfo(
        "SimCLR",
        SimCLRConfig,
        "two views of an example near, all other examples of the batch far",
        "Chen et al. 2020",
    ),
    "moco": MethodInfo(
        "MoCo",
        MoCoConfig,
        "a view near what a slow copy of the encoder says of the other, far from a queue of such",
        "He et al. 2020, Chen et al. 2020",
        two_views=True,
    ),
    "byol": MethodInfo(
        "BYOL",
        BYOLConfig,
        "predict what a slow copy of the encoder says of the other view; no negatives",
        "Grill et al. 2020",
        two_views=True,
    ),
    "supcon": MethodInfo(
        "SupCon",
        SupConConfig,
        "all views of all examples of a class near, those of other classes far",
        "Khosla et al. 2020",
        needs_labels=True,
    ),
    "cross-entropy": MethodInfo(
        "cross-entropy",
        CrossEntropyConfig,
        "a linear classifier trained with its encoder: the supervised baseline",
        "the usual practice",
        needs_labels=True,
        one_view=True,
    ),
    "balanced-softmax": MethodInfo(
        "balanced softmax",
        BalancedSoftmaxConfig,
        "cross-entropy whose softmax knows how often each class occurs, for long tails",
        "Ren et al. 2020",
        needs_labels=True,
        one_view=True,
    ),
    "paco": MethodInfo(
        "PaCo",
        PaCoConfig,
        "supervised contrast with a queue, and a learned centre for every class",
        "Cui et al. 2021",
        needs_labels=True,
        two_views=True,
    ),
    "cpc": MethodInfo(
        "CPC",
        CPCConfig,
        "predict later steps of a series, or lower rows of an image, apart from other examples'",
        "van den Oord et al. 2018",
        one_view=True,
        needs_steps=True,
    ),
}
"""Method by the name in its settings."""
