"""Labels that neighbours contradict, and how many of them are likely wrong."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.knn import vote
from nearfar.uses.neighbors import Searchable

K, TEMPERATURE = 20, 0.1
FOLDS = 5


@dataclass(frozen=True)
class Suspects:
    """Which labels are doubted, and the count of those that are wrong.

    Attributes:
        rows: Of the features, the most doubtful first.
        proposed: For each the class that its neighbours say.
        margins: For each the probability of its own class less that of the proposed one.
        probabilities: Of all labelled rows, from rows of other folds; zeros without a label.
        thresholds: Of each class, the mean probability that its own rows give it; NaN without rows.
        joint: `(classes, classes)` how many rows are labelled as the line and likely are of the
            column: the confident count, scaled to the sizes of the classes.
    """

    rows: Int64[Tensor, " s"]
    proposed: Int64[Tensor, " s"]
    margins: Float[Tensor, " s"]
    probabilities: Float[Tensor, "n classes"]
    thresholds: Float64[Tensor, " classes"]
    joint: Float64[Tensor, "classes classes"]

    @property
    def estimated(self) -> float:
        """How many labels are wrong, by the joint count."""
        return float(self.joint.sum() - self.joint.diagonal().sum())


def find_suspects(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    *,
    k: int = K,
    temperature: float = TEMPERATURE,
    seed: int = 0,
) -> Suspects:
    """Labels that are likely wrong, by confident learning over the votes of neighbours.

    Each row's probabilities are the vote of its k nearest rows of other folds, so no row and no
    copy that was put beside it on purpose speaks for itself alone. A row counts as being of class j
    where its probability of j is at least what rows labelled j have in the mean, and j is the most
    probable of such classes (the confident joint). Rows that count as another class than their
    label's are the suspects.

    Args:
        features: One row an example, any scale.
        labels: From 0; −1 where there is none, which are left out.
        k: Neighbours that vote.
        temperature: Of their vote.
        seed: Draws the folds.

    Raises:
        SettingError: There are fewer than two classes, or too few labels.
        NearfarError: A feature is not finite.

    Source:
        Northcutt, Jiang and Chuang 2021, Confident Learning, JAIR 70: equations 1 to 3.
    """
    known = (labels >= 0).nonzero().squeeze(1)
    present = torch.unique(labels[known])
    if len(present) < 2:
        raise SettingError("suspect labels need labels of two classes or more")
    if len(known) < 2 * FOLDS:
        raise SettingError(f"suspect labels need {2 * FOLDS} labels or more, not {len(known)}")
    classes = int(present.max()) + 1
    own = labels[known]
    probabilities = out_of_fold(features[known], own, classes, k, temperature, seed)
    thresholds, counts, confident = confident_joint(probabilities, own)
    doubted = ((confident >= 0) & (confident != own)).nonzero().squeeze(1)
    margins = probabilities[doubted, own[doubted]] - probabilities[doubted, confident[doubted]]
    order = torch.argsort(margins, stable=True)
    every = torch.zeros(len(labels), classes)
    every[known] = probabilities
    return Suspects(
        known[doubted[order]],
        confident[doubted[order]],
        margins[order],
        every,
        thresholds,
        calibrated(counts, torch.bincount(own, minlength=classes)),
    )


def out_of_fold(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    classes: int,
    k: int,
    temperature: float,
    seed: int,
) -> Float[Tensor, "n classes"]:
    """Each row's class probabilities by the vote of its nearest rows of the other folds.

    Args:
        features: One row an example.
        labels: From 0.
        classes: How many.
        k: Neighbours that vote.
        temperature: Of their vote.
        seed: Draws the folds, each with its share of every class.
    """
    folds = stratified_folds(labels, seed)
    found = torch.zeros(len(labels), classes)
    for fold in range(FOLDS):
        asked, bank = (folds == fold).nonzero().squeeze(1), (folds != fold).nonzero().squeeze(1)
        if not len(asked):
            continue
        near = Searchable(features[bank]).nearest(features[asked], k)
        found[asked] = vote(near.similarities, labels[bank][near.rows], temperature, classes)
    return found


def stratified_folds(labels: Int64[Tensor, " n"], seed: int) -> Int64[Tensor, " n"]:
    """A fold for each row, 0 to 4; the rows of each class are dealt out in turn.

    Args:
        labels: From 0.
        seed: Draws the order in which rows are dealt.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    dealt = order[torch.argsort(labels[order], stable=True)]
    folds = torch.empty_like(labels)
    folds[dealt] = torch.arange(len(labels)) % FOLDS
    return folds


def confident_joint(
    probabilities: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]
) -> tuple[Float64[Tensor, " classes"], Int64[Tensor, "classes classes"], Int64[Tensor, " n"]]:
    """Rows counted by their label and by the class that they count as.

    Args:
        probabilities: Of each row, from rows that are not itself.
        labels: From 0.

    Returns:
        The thresholds, the mean of p_j over rows labelled j, NaN without such rows; the counts;
        and for each row the class that it counts as, −1 where it is not sure of any.

    Raises:
        NearfarError: There are no rows.
    """
    if not len(labels):
        raise NearfarError("no row to count")
    probabilities = probabilities.double()
    classes = probabilities.shape[1]
    sizes = torch.bincount(labels, minlength=classes).double()
    sums = torch.zeros(classes, dtype=torch.float64)
    sums.index_add_(0, labels, probabilities.gather(1, labels[:, None]).squeeze(1))
    thresholds = sums / sizes
    # A comparison with NaN is false: no row counts as a class that no row is labelled as.
    sure = probabilities >= thresholds
    masked = torch.where(sure, probabilities, -1.0)
    best, confident = masked.max(dim=1)
    confident = torch.where(best >= 0, confident, -1)
    counted = confident >= 0
    cells = labels[counted] * classes + confident[counted]
    counts = torch.bincount(cells, minlength=classes**2).view(classes, classes)
    return thresholds, counts, confident


def calibrated(
    counts: Int64[Tensor, "classes classes"], sizes: Int64[Tensor, " classes"]
) -> Float64[Tensor, "classes classes"]:
    """The counts with each line scaled to the size of its class.

    Args:
        counts: By label and counted class; rows that are sure of no class are in none.
        sizes: Rows of each label.
    """
    lines = counts.sum(dim=1, keepdim=True).double()
    scaled = counts.double() / lines.clamp(min=1) * sizes[:, None]
    # A class of which no row is sure of anything says nothing against its labels.
    silent = (lines.squeeze(1) == 0).nonzero().squeeze(1)
    scaled[silent, silent] = sizes[silent].double()
    return scaled
