"""What the sources claim, as differences between runs, and whether these seeds bear it out."""

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scipy.stats import t as student

from nearfar.recipes.recipe import Recipe
from tools.comparison.experiments import (
    BYOL_BATCHES,
    CONTRASTIVE,
    DEBIASED,
    FALSE_POSITIVES,
    NO_MOMENTUM,
    byol_of_batch,
    is_long_tailed,
    learns_from_labels,
    with_false_positives,
    without_false_negatives,
)
from tools.comparison.scores import FEW_LABELS, KNN, Protocol, Scores

CONFIDENCE = 0.95
CLEAR = 5.0
"""Points that a clear margin is at least."""
SAME = 1.0
"""Points within which accuracies count as the same."""
NEG, POS = DEBIASED

Figure = Callable[[Scores], dict[int, float]]
"""One accuracy of each seed, in percent."""


@dataclass(frozen=True)
class Verdict:
    """What a difference came out as.

    Attributes:
        seeds: Seeds that all its runs have.
        mean: Of the difference over the seeds, in points.
        sd: Its sample standard deviation; None of a single seed.
        interval: Of the mean, by Student's t at 95 %; None of a single seed.
        outcome: `holds`, `does not hold` or `not decided`.
    """

    seeds: int
    mean: float
    sd: float | None
    interval: tuple[float, float] | None
    outcome: str


@dataclass(frozen=True)
class Difference:
    """A weighted sum of accuracies that a claim is about, seed by seed.

    Attributes:
        words: What is compared: "kNN of `byol-fashion` over that of the untrained encoder".
        terms: Accuracies and their weights.
        above: The claim is that the difference is larger than this, in points.
        within: Instead: that it lies within plus and minus this.
    """

    words: str
    terms: tuple[tuple[float, Figure], ...]
    above: float = 0.0
    within: float | None = None

    def verdict(self, scores: Scores) -> Verdict | None:
        """The claim against the interval of the mean; None where no seed has all its runs."""
        found = [(weight, figure(scores)) for weight, figure in self.terms]
        seeds = sorted(set.intersection(*(set(by_seed) for _, by_seed in found)))
        if not seeds:
            return None
        values = [math.fsum(weight * by_seed[seed] for weight, by_seed in found) for seed in seeds]
        mean = statistics.mean(values)
        if len(values) == 1:
            return Verdict(1, mean, None, None, "not decided")
        sd = statistics.stdev(values)
        reach = float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * sd
        reach /= math.sqrt(len(values))
        interval = mean - reach, mean + reach
        return Verdict(len(values), mean, sd, interval, self._outcome(*interval))

    def row(self, scores: Scores) -> list[str]:
        """What is compared, what is claimed, what came out, of how many seeds, the outcome."""
        verdict = self.verdict(scores)
        claimed = f"above {self.above:g}" if self.within is None else f"within ±{self.within:g}"
        if verdict is None:
            return [self.words, claimed, "", "0", "", "not measured yet"]
        found = f"{verdict.mean:+.1f}"
        if verdict.interval is None:
            return [self.words, claimed, found, "1", "", verdict.outcome]
        low, high = verdict.interval
        return [
            self.words,
            claimed,
            f"{found} ± {verdict.sd:.1f}",
            str(verdict.seeds),
            f"{low:+.1f} to {high:+.1f}",
            verdict.outcome,
        ]

    def _outcome(self, low: float, high: float) -> str:
        """The whole interval on one side of the claim's bound decides."""
        if self.within is not None:
            if -self.within <= low and high <= self.within:
                return "holds"
            outside = low > self.within or high < -self.within
            return "does not hold" if outside else "not decided"
        if low > self.above:
            return "holds"
        return "does not hold" if high <= self.above else "not decided"


@dataclass(frozen=True)
class Claim:
    """What a source says, and the differences that show it.

    Attributes:
        title: The claim in a sentence.
        source: Whose it is.
        differences: All must hold for the claim to hold.
    """

    title: str
    source: str
    differences: tuple[Difference, ...]


def knn(experiment: str) -> Figure:
    """KNN accuracy of an experiment's encoder."""
    return lambda scores: scores.top1(experiment, KNN)


def untrained(experiment: str, protocol: Protocol) -> Figure:
    """Accuracy of an experiment's encoder as it was before training.

    The shared one is judged once a seed, because a seed gives it the same weights in every run.
    """
    return lambda scores: (
        scores.top1(experiment, protocol, "untrained")
        or scores.top1(CONTRASTIVE, protocol, "untrained")
    )


def few_shot(experiment: str) -> Figure:
    """Accuracy over the smallest third of the classes, by the method's own decision."""
    return lambda scores: scores.of_third(experiment, scores.judged_by(experiment), "few")


def few_shot_neighbors(experiment: str) -> Figure:
    """Accuracy over the smallest third of the classes, by kNN of the features."""
    return lambda scores: scores.of_third(experiment, KNN, "few")


def claims(experiments: Mapping[str, Recipe], plain: Mapping[str, Recipe]) -> list[Claim]:
    """All claims that show at this size.

    Args:
        experiments: Every run.
        plain: Those of them that are recipes as they stand.
    """
    unlabelled = [
        name
        for name in plain
        if not is_long_tailed(experiments[name]) and not learns_from_labels(experiments[name])
    ]
    return [
        Claim(
            "Every method that learns without labels is clearly better than no training",
            "all",
            tuple(
                Difference(
                    f"{protocol.title}, `{name}` over its untrained encoder",
                    ((1, _top1(name, protocol)), (-1, untrained(name, protocol))),
                    above=CLEAR,
                )
                for name in unlabelled
                for protocol in (KNN, FEW_LABELS)
            ),
        ),
        Claim(
            "Where false negatives are frequent (one of ten, with ten classes), debiased losses "
            "are better than the contrastive one",
            "Chuang et al. 2020, Troshestova & Isachenko 2023",
            tuple(_over(name, CONTRASTIVE) for name in DEBIASED),
        ),
        Claim(
            "It is the false negatives that cost: without them the contrastive loss gains",
            "Troshestova & Isachenko 2023",
            (_over(without_false_negatives(CONTRASTIVE), CONTRASTIVE),),
        ),
        Claim(
            f"With false positives of probability {FALSE_POSITIVES:g}, debiased positives are "
            "better than the contrastive loss and lose less by them",
            "Troshestova & Isachenko 2023",
            (
                _over(with_false_positives(POS), with_false_positives(CONTRASTIVE)),
                _over(with_false_positives(POS), with_false_positives(NEG)),
                Difference(
                    f"what false positives take from `{CONTRASTIVE}` over what they take from "
                    f"`{POS}`",
                    (
                        (1, knn(CONTRASTIVE)),
                        (-1, knn(with_false_positives(CONTRASTIVE))),
                        (-1, knn(POS)),
                        (1, knn(with_false_positives(POS))),
                    ),
                ),
            ),
        ),
        Claim(
            "Two positives are better than one (M = 2 over M = 1)",
            "Troshestova & Isachenko 2023",
            (_over(f"{POS}-grouping", POS), _over(f"{POS}-combination", POS)),
        ),
        Claim(
            "Combining the losses of two positives is no worse than grouping them",
            "Troshestova & Isachenko 2023",
            (_over(f"{POS}-combination", f"{POS}-grouping", above=-SAME),),
        ),
        Claim(
            "MoCo fails with momentum 0 and works with 0.99",
            "He et al. 2020",
            (
                _over("moco2-fashion", NO_MOMENTUM, above=CLEAR),
                Difference(
                    f"kNN, the untrained encoder over `{NO_MOMENTUM}`",
                    (
                        (1, untrained(NO_MOMENTUM, KNN)),
                        (-1, knn(NO_MOMENTUM)),
                    ),
                    above=-CLEAR,
                ),
            ),
        ),
        Claim(
            "BYOL is as good with smaller batches",
            "Grill et al. 2020, Sáez Maldonado 2021",
            tuple(_over(byol_of_batch(size), "byol-fashion", within=SAME) for size in BYOL_BATCHES),
        ),
        Claim(
            "On few-shot classes under imbalance factor 100, the classifiers of PaCo and balanced "
            "softmax are better than cross-entropy's, and its features, by kNN, are better than "
            "SupCon's",
            "Cui et al. 2021",
            (
                *(
                    Difference(
                        f"smallest third of the classes, own classifier, `{better}` over "
                        "`cross-entropy-fashion-lt`",
                        ((1, few_shot(better)), (-1, few_shot("cross-entropy-fashion-lt"))),
                    )
                    for better in ("paco-fashion-lt", "balanced-softmax-fashion-lt")
                ),
                # SupCon has no classifier: a probe of it is balanced by its penalty as no
                # classifier is. One yardstick for both, which learns nothing: the neighbours.
                Difference(
                    "smallest third of the classes, kNN, `cross-entropy-fashion-lt` over "
                    "`supcon-fashion-lt`",
                    (
                        (1, few_shot_neighbors("cross-entropy-fashion-lt")),
                        (-1, few_shot_neighbors("supcon-fashion-lt")),
                    ),
                ),
            ),
        ),
    ]


def outcome(claim: Claim, scores: Scores) -> str:
    """Of the whole claim: it holds if all differences do, and does not if one does not."""
    verdicts = [difference.verdict(scores) for difference in claim.differences]
    outcomes = {"not measured yet" if each is None else each.outcome for each in verdicts}
    for worst in ("does not hold", "not decided", "not measured yet"):
        if worst in outcomes:
            return worst
    return "holds"


def _top1(experiment: str, protocol: Protocol) -> Figure:
    return lambda scores: scores.top1(experiment, protocol)


def _over(
    better: str, worse: str, *, above: float = 0.0, within: float | None = None
) -> Difference:
    """One experiment's kNN accuracy over another's."""
    words = f"kNN, `{better}` over `{worse}`"
    return Difference(words, ((1, knn(better)), (-1, knn(worse))), above, within)
