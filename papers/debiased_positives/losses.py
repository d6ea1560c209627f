"""Contrastive, DebiasedNeg and DebiasedPos: as they are, and as labels change their candidates."""

from dataclasses import replace
from typing import Any

from papers.debiased_positives.setup import NAMES, OURS, PILOT, SEEDS, SOURCE, VOTE, setups
from papers.reproductions.contrast import Contrast, over
from papers.reproductions.curves import drawing
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import HELD_OUT

CONTRASTIVE, NEG, POS = NAMES
EARLY = replace(HELD_OUT, title=f"held-out check after epoch 2, k={VOTE[0]}, T={VOTE[1]}", epoch=2)


def _study(
    suffix: str,
    title: str,
    published: str,
    drawn: str,
    *contrasts: Contrast,
    seeds: int = SEEDS,
    **changes: Any,
) -> Reproduction:
    """The three losses with something changed in all of them.

    Args:
        suffix: Of the name.
        title: The question.
        published: What the source found.
        drawn: Title of the figure.
        contrasts: What decides.
        seeds: Of each loss.
        changes: As for `setups`.
    """
    return Reproduction(
        name=f"debiased_losses{suffix}",
        title=title,
        source=SOURCE,
        published=published,
        ours=OURS,
        setups=lambda: setups(**changes),
        seeds=seeds,
        contrasts=contrasts,
        draw=drawing(NAMES, drawn),
        minutes=2.0,
        pilot=PILOT,
    )


BASE = _study(
    "",
    "Are debiased losses better than the contrastive one?",
    "CIFAR-10, ResNet-18, 50 epochs of 512, kNN with k = 200 at T = 0.5, read off its curves: "
    "contrastive 74.3, DebiasedNeg 75.6, DebiasedPos 76.8; ahead from the first epochs on.",
    "three losses, ten digits of fonts",
    over(POS, CONTRASTIVE, 2.5, NAMES),
    over(NEG, CONTRASTIVE, 1.3, NAMES),
    over(POS, NEG, 1.2, NAMES),
    over(POS, CONTRASTIVE, None, NAMES, yardstick=EARLY),
)
NO_FALSE_NEGATIVES = _study(
    "_no_false_negatives",
    "Are debiased losses better where labels drop the false negatives?",
    "The same set-up without negatives of the anchor's class: contrastive 82.8, DebiasedNeg 85.0, "
    "DebiasedPos 85.2.",
    "without false negatives",
    over(POS, CONTRASTIVE, 2.4, NAMES),
    over(NEG, CONTRASTIVE, 2.2, NAMES),
    drop_false_negatives="yes",
)
FALSE_POSITIVES = _study(
    "_false_positives",
    "Are debiased losses better where three of ten positives are false?",
    "The same set-up where the second view is of another class with p = 0.3: contrastive 68.9, "
    "DebiasedNeg 71.0, DebiasedPos 73.2.",
    "three of ten positives are false",
    over(POS, CONTRASTIVE, 4.3, NAMES),
    over(NEG, CONTRASTIVE, 2.1, NAMES),
    over(POS, NEG, 2.2, NAMES),
    false_positives=0.3,
)
MANY_FALSE_POSITIVES = _study(
    "_many_false_positives",
    "Are debiased losses better where six of ten positives are false?",
    "It draws curves for p = 0.6 as well; no numbers were read off them, so the question is only "
    "whether there is a difference.",
    "six of ten positives are false",
    over(POS, CONTRASTIVE, None, NAMES),
    over(NEG, CONTRASTIVE, None, NAMES),
    over(POS, NEG, None, NAMES),
    false_positives=0.6,
)
LOW_TEMPERATURE = replace(
    _study(
        "_low_temperature",
        "Are debiased losses better at a lower temperature, too?",
        "All its figures are at T = 0.5. A loss may be ahead only because that temperature suits "
        "it: most who train by the contrastive loss take a lower one.",
        "T = 0.2",
        over(POS, CONTRASTIVE, None, NAMES),
        over(NEG, CONTRASTIVE, None, NAMES),
        over(POS, NEG, None, NAMES),
        seeds=6,
        temperature=0.2,
    ),
    ours=f"{OURS} In these runs T is 0.2 in all three losses.",
)
