"""PaCo, SupCon and classifiers on long tails and on classes of one size, by one yardstick."""

from dataclasses import replace
from functools import partial

from papers.paco.drawing import by_imbalance, by_shots
from papers.paco.setup import (
    BALANCED,
    KNN,
    METHODS,
    OURS,
    OWN,
    PILOT,
    PROBE,
    SOURCE,
    TAIL,
    TITLES,
    arm,
    setups,
)
from papers.reproductions.contrast import Contrast, over
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import Yardstick

EVERY = tuple(METHODS)
FEW = replace(PROBE, title="class-balanced probe, classes under 20", shots="few")
PUBLISHED = (
    "CIFAR-100, ResNet-32, 400 epochs, each method's own classifier, at imbalance factors 100, 50 "
    "and 10: PaCo 52.0, 56.0, 64.2; balanced softmax with the same views 50.8, 54.2, 63.0; "
    "cross-entropy 38.3, 43.9, 55.7."
)


def _over(
    better: str,
    worse: str,
    imbalance: int,
    published: float | None = None,
    yardstick: Yardstick = PROBE,
) -> Contrast:
    """One method over another at an imbalance."""
    names = {arm(each, imbalance): f"{TITLES[each]}, {imbalance}" for each in METHODS}
    first, second = arm(better, imbalance), arm(worse, imbalance)
    return over(first, second, published, names, yardstick=yardstick, interest=1.0)


LONG_TAIL = Reproduction(
    name="long_tail",
    title="Which method learns the best features of a long tail?",
    source=SOURCE,
    published=f"{PUBLISHED} It reports SupCon to fall behind cross-entropy on long tails. That "
    "PaCo's classifier is 13.7 points ahead of cross-entropy's is in large part its knowledge of "
    "the classes' sizes, which features need not show: no size is claimed of that difference here.",
    ours=OURS,
    setups=partial(setups, TAIL),
    seeds=5,
    contrasts=(
        _over("paco", "balanced-softmax", TAIL, 1.2),
        _over("paco", "cross-entropy", TAIL),
        _over("paco", "supcon-queue", TAIL),
        _over("cross-entropy", "supcon", TAIL),
        _over("cross-entropy", "supcon", TAIL, yardstick=KNN),
        _over("paco", "cross-entropy", TAIL, yardstick=FEW),
    ),
    draw=partial(by_shots, imbalance=TAIL, methods=EVERY),
    minutes=1.7,
    pilot=PILOT,
    beside=(OWN,),
)

_OF_BOTH = ("cross-entropy", "supcon", "supcon-queue", "paco")
BALANCED_CLASSES = Reproduction(
    name="balanced_classes",
    title="Does SupCon lose more to a long tail than cross-entropy does?",
    source=f"{SOURCE}; Khosla et al. 2020",
    published="On classes of one size SupCon is ahead of cross-entropy (CIFAR-100, ResNet-50: 76.5 "
    "against 75.3) and PaCo ahead of both; on long tails SupCon is said to lose the most, for its "
    "loss asks most of classes with many examples.",
    ours=f"{OURS} Classes of one size have 290 images each to learn from, which a run sees four "
    "times; balanced softmax is cross-entropy there.",
    setups=partial(setups, BALANCED, TAIL, methods=_OF_BOTH),
    seeds=4,
    contrasts=(
        Contrast(
            "what SupCon loses from 1 to 100 over what cross-entropy loses",
            (
                (1.0, arm("supcon", BALANCED)),
                (-1.0, arm("supcon", TAIL)),
                (-1.0, arm("cross-entropy", BALANCED)),
                (1.0, arm("cross-entropy", TAIL)),
            ),
            PROBE,
            published=None,
            interest=1.0,
        ),
        _over("supcon", "cross-entropy", BALANCED, 1.2),
        _over("paco", "cross-entropy", BALANCED),
        _over("paco", "supcon", BALANCED),
    ),
    draw=partial(by_imbalance, imbalances=(BALANCED, TAIL), methods=_OF_BOTH),
    minutes=2.0,
    pilot=PILOT,
    beside=(KNN, OWN),
)

_MILDER = (10, 50)
_THREE = ("cross-entropy", "balanced-softmax", "paco")
IMBALANCES = Reproduction(
    name="imbalance_factors",
    title="Is PaCo ahead at every imbalance?",
    source=SOURCE,
    published=PUBLISHED,
    ours=OURS,
    setups=partial(setups, *_MILDER, methods=_THREE),
    seeds=4,
    contrasts=(
        _over("paco", "balanced-softmax", 50, 1.8),
        _over("paco", "balanced-softmax", 10, 1.2),
        _over("paco", "cross-entropy", 50),
        _over("paco", "cross-entropy", 10),
    ),
    draw=partial(by_imbalance, imbalances=_MILDER, methods=_THREE),
    minutes=1.6,
    pilot=PILOT,
    beside=(KNN, OWN),
)
