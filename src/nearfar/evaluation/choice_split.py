"""A part of the training data to choose by, without near-copies of what is learnt from."""

import torch
from jaxtyping import Float, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from nearfar.training.generators import OwnDraws

CHOICE_SHARE = 0.2
"""Share of the rows that chooses."""
COPY_DISTANCE = 0.3
"""Rows are copies below this share of the median distance between rows of one class."""
LARGEST_GROUP = 0.1
"""Share of the rows that a group of copies may have; where one has more, copies are nearer."""
_COORDINATES, _NEIGHBORS, _PAIRS = 64, 8, 2_000


def choice_split(
    features: Float[Tensor, "n dim"], labels: Int64[Tensor, " n"], *, limit: int, seed: int
) -> tuple[Int64[Tensor, " fitting"], Int64[Tensor, " choosing"]]:
    """Rows to fit on and rows to choose by: a fifth, drawn, with all near-copies on one side.

    A setting chosen on copies of what was learnt rewards learning by heart: pictures of one film,
    or one picture saved twice, would ask for the smallest penalty. So rows that lie nearer than 0.3
    of the median distance between rows of one class are linked (in their 64 leading axes), and what
    hangs together stays together. Only what lies so near in these features is seen as a copy.

    Args:
        features: Training features.
        labels: Their classes.
        limit: Rows of both together at most.
        seed: Seeds the draw.

    Returns:
        Row numbers; of one row or none, all are for fitting.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:limit]
    wanted = max(1, round(CHOICE_SHARE * len(order))) if len(order) > 1 else 0
    groups = copies(features[order], labels[order], seed=seed)
    choosing = torch.zeros(len(order), dtype=torch.bool)
    seen: set[int] = set()
    for group in groups.tolist():
        if int(choosing.sum()) >= wanted:
            break
        if group in seen:
            continue
        seen.add(group)
        members = groups == group
        if int(choosing.sum()) + int(members.sum()) <= 1.5 * wanted:
            choosing |= members
    if not bool(choosing.any()):
        choosing[:wanted] = True
    return order[~choosing], order[choosing]


def copies(
    features: Float[Tensor, "n dim"], labels: Int64[Tensor, " n"], *, seed: int
) -> Int64[Tensor, " n"]:
    """The number of the group of near-copies that each row belongs to.

    Args:
        features: Of any scale.
        labels: Their classes, from which the distance of what is no copy is measured.
        seed: Seeds the pairs that it is measured on.
    """
    count = len(labels)
    alone = torch.arange(count)
    if count < 3:
        return alone
    points = _leading(features)
    usual = _usual_distance(points, labels, seed)
    if usual == 0:
        return alone
    k = min(_NEIGHBORS + 1, count)
    found = [torch.cdist(some, points).topk(k, largest=False) for some in points.split(1024)]
    distances = torch.cat([each.values for each in found])
    neighbors = torch.cat([each.indices for each in found])
    near = COPY_DISTANCE * usual
    for _ in range(8):
        row, place = (distances < near).nonzero(as_tuple=True)
        links = coo_matrix(
            (torch.ones(len(row)).numpy(), (row.numpy(), neighbors[row, place].numpy())),
            shape=(count, count),
        )
        groups = torch.from_numpy(connected_components(links, directed=False)[1]).long()
        if int(torch.bincount(groups).max()) <= max(2, LARGEST_GROUP * count):
            return groups
        near /= 2
    return alone


def _leading(features: Float[Tensor, "n dim"]) -> Float[Tensor, "n c"]:
    """Coordinates in the leading axes, in which near-copies stay near."""
    rows = (features.double() - features.double().mean(dim=0)).float()
    if min(rows.shape) <= _COORDINATES:
        return rows
    with OwnDraws(0):
        _, _, axes = torch.svd_lowrank(rows, q=_COORDINATES, niter=2)
    return rows @ axes


def _usual_distance(points: Tensor, labels: Int64[Tensor, " n"], seed: int) -> float:
    """Median distance between two drawn rows of one class."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(labels), (_PAIRS,), generator=generator)
    # A drawn neighbour in the order of classes is of the same class, but for the ends.
    order = labels.argsort(stable=True)
    size = torch.bincount(labels)
    begin = size.cumsum(0) - size
    own = labels[first]
    drawn = (torch.rand(_PAIRS, generator=generator) * size[own]).long()
    second = order[begin[own] + drawn]
    apart = first != second
    if not bool(apart.any()):
        return 0.0
    return float((points[first[apart]] - points[second[apart]]).norm(dim=1).median())
