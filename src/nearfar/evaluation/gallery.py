"""Examples beside the training examples that the encoder finds nearest."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.data.source import choose
from nearfar.evaluation.geometry_specs import GallerySpec
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.knn import KNNBank
from nearfar.evaluation.pictures import PICTURED, thumbnails

NEIGHBORS = 8
QUERIES = 16


def judge(_: GallerySpec, judged: Judged) -> Found:
    """Neighbours of the examples on show; where these are of the bank, none is its own."""
    bank, shown = judged.source.train, judged.shown
    bank_features, shown_features = judged.train, judged.test[judged.shown_rows]
    judged.say("nearest neighbours")
    rows_in_bank = judged.shown_rows if judged.source.test is None else None
    similarities, indices = _neighbors(bank_features, shown_features, rows_in_bank)
    right = None
    if judged.shown_answers is not None and shown.labels is not None:
        right = judged.shown_answers == shown.labels
    queries = gallery_queries(right, QUERIES, total=len(shown), seed=judged.seed)
    used = torch.unique(indices[queries])
    arrays = {
        "neighbor_indices": indices.numpy(),
        "neighbor_similarities": similarities.numpy(),
        "gallery_queries": queries.numpy(),
        "gallery_bank_indices": used.numpy(),
    }
    if shown.modality in PICTURED:
        arrays["gallery_images"] = thumbnails(choose(bank, used), judged.workers)
    if bank.labels is not None:
        arrays["neighbor_labels"] = bank.labels[indices].numpy()
    own = {f"{judged.prefix}{name}": array for name, array in arrays.items()}
    return Found(arrays=own | judged.shown_arrays)


def gallery_queries(
    right: Bool[Tensor, " n"] | None, count: int, *, total: int, seed: int = 0
) -> Int64[Tensor, " g"]:
    """A mixture of queries answered right and wrong: half of each as far as there are.

    What is shown is drawn, not picked: with the wrong ones over-represented, and so no measure of
    how often the encoder errs.

    Args:
        right: Whether each query's class was predicted; None without labels, then any are drawn.
        count: Queries wanted; fewer where there are fewer.
        total: Number of queries.
        seed: Seeds the draw.

    Returns:
        Row numbers, the wrong ones first.
    """
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    if right is None:
        return order[:count]
    wrong_ones, right_ones = order[~right[order]], order[right[order]]
    wrong_count = max(count // 2, count - len(right_ones))
    wrong_ones = wrong_ones[:wrong_count]
    return torch.cat([wrong_ones, right_ones[: count - len(wrong_ones)]])


def _neighbors(
    bank: Tensor, shown: Tensor, rows_in_bank: Tensor | None
) -> tuple[Float[Tensor, "s k"], Int64[Tensor, "s k"]]:
    """The nearest bank examples of each shown one; within the bank never itself."""
    if rows_in_bank is None:
        return KNNBank(bank).neighbors(shown, NEIGHBORS)
    similarities, indices = KNNBank(bank).neighbors(shown, NEIGHBORS + 1)
    others = indices != rows_in_bank.unsqueeze(1)
    # An example with many twins may not be among its own first neighbours: then the last one goes.
    others[others.all(dim=1), -1] = False
    kept = indices.shape[1] - 1
    return similarities[others].view(-1, kept), indices[others].view(-1, kept)
