"""Contrastive, DebiasedNeg and DebiasedPos: as they are, and as labels change their candidates."""

from dataclasses import replace

from papers.debiased_positives.curves import drawing
from papers.debiased_positives.setup import NAMES, OURS, SEEDS, SOURCE, VOTE, setups
from papers.reproductions.contrast import Contrast
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import HELD_OUT, SOURCES_KNN, Yardstick

EARLY = replace(HELD_OUT, title=f"held-out check after epoch 2, k={VOTE[0]}, T={VOTE[1]}", epoch=2)


def over(
    better: str, worse: str, published: float | None, yardstick: Yardstick = SOURCES_KNN
) -> Contrast:
    """One loss over another. Half a point is the least that would matter."""
    words = f"{NAMES[better]} over {NAMES[worse]}"
    return Contrast(words, ((1, better), (-1, worse)), yardstick, published, interest=0.5)


BASE = Reproduction(
    name="debiased_losses",
    title="Are debiased losses better than the contrastive one?",
    source=SOURCE,
    published="CIFAR-10, ResNet-18, 50 epochs of 512, kNN with k = 200 at T = 0.5, read off its "
    "curves: contrastive 74.3, DebiasedNeg 75.6, DebiasedPos 76.8; ahead from the first epochs on.",
    ours=OURS,
    setups=setups,
    seeds=SEEDS,
    contrasts=(
        over("debiased-pos", "contrastive", 2.5),
        over("debiased-neg", "contrastive", 1.3),
        over("debiased-pos", "debiased-neg", 1.2),
        over("debiased-pos", "contrastive", None, EARLY),
    ),
    draw=drawing(NAMES, "three losses, ten digits of fonts"),
    minutes=3.0,
    pilot=("debiased-pos", "contrastive"),
)


NO_FALSE_NEGATIVES = Reproduction(
    name="debiased_losses_no_false_negatives",
    title="Are debiased losses better where labels drop the false negatives?",
    source=SOURCE,
    published="The same set-up without negatives of the anchor's class: contrastive 82.8, "
    "DebiasedNeg 85.0, DebiasedPos 85.2.",
    ours=OURS,
    setups=lambda: setups(drop_false_negatives="yes"),
    seeds=SEEDS,
    contrasts=(
        over("debiased-pos", "contrastive", 2.4),
        over("debiased-neg", "contrastive", 2.2),
    ),
    draw=drawing(NAMES, "without false negatives"),
    minutes=3.0,
    pilot=("debiased-pos", "contrastive"),
)


FALSE_POSITIVES = Reproduction(
    name="debiased_losses_false_positives",
    title="Are debiased losses better where three of ten positives are false?",
    source=SOURCE,
    published="The same set-up where the second view is of another class with p = 0.3: contrastive "
    "68.9, DebiasedNeg 71.0, DebiasedPos 73.2.",
    ours=OURS,
    setups=lambda: setups(false_positives=0.3),
    seeds=SEEDS,
    contrasts=(
        over("debiased-pos", "contrastive", 4.3),
        over("debiased-neg", "contrastive", 2.1),
        over("debiased-pos", "debiased-neg", 2.2),
    ),
    draw=drawing(NAMES, "three of ten positives are false"),
    minutes=3.0,
    pilot=("debiased-pos", "contrastive"),
)


MANY_FALSE_POSITIVES = Reproduction(
    name="debiased_losses_many_false_positives",
    title="Are debiased losses better where six of ten positives are false?",
    source=SOURCE,
    published="It draws curves for p = 0.6 as well; no numbers were read off them, so the question "
    "is only whether there is a difference.",
    ours=OURS,
    setups=lambda: setups(false_positives=0.6),
    seeds=SEEDS,
    contrasts=(
        over("debiased-pos", "contrastive", None),
        over("debiased-neg", "contrastive", None),
        over("debiased-pos", "debiased-neg", None),
    ),
    draw=drawing(NAMES, "six of ten positives are false"),
    minutes=3.0,
    pilot=("debiased-pos", "contrastive"),
)
