"""The kNN check during training: how well neighbours agree in class, on training images alone."""

from collections.abc import Callable

import torch
from torch import nn

from nearfar.data.choosing import choose
from nearfar.data.source import Part
from nearfar.evaluation.features import extract_features
from nearfar.evaluation.knn import KNNBank, top_accuracy
from nearfar.recipes.assembly import Assembly, as_saved

MOST_QUERIES = 1_000
MOST_BANK = 10_000
QUERY_SHARE = 0.2
NEIGHBORS = 20
TEMPERATURE = 0.07


def knn_check(assembly: Assembly) -> Callable[[nn.Module], dict[str, float]] | None:
    """A function that judges an encoder quickly, or None where there are no labels.

    A fifth of the labelled training images (at most 1000) are asked for their class, and others
    (at most 10 000) answer; both are drawn once, by the recipe's seed. The test part is not
    touched, so settings may be chosen by this figure. The encoder does learn from all of these
    images, without their labels.

    Args:
        assembly: The run.
    """
    labelled = assembly.source.train
    if labelled.labels is None or len(labelled) < 2:
        return None
    queries, bank = _draw(labelled, assembly.recipe.seed)
    workers, device = assembly.recipe.data.workers, assembly.hardware.device
    k = min(NEIGHBORS, len(bank))
    # Of all labelled images: a small class may have been drawn for the queries alone.
    num_classes = int(labelled.labels.max()) + 1

    def judge(encoder: nn.Module) -> dict[str, float]:
        seeing = as_saved(encoder, assembly.recipe, assembly.format).to(device)
        features, asked = (
            extract_features(seeing, part, device=device, workers=workers)
            for part in (bank, queries)
        )
        assert bank.labels is not None
        assert queries.labels is not None
        scores = KNNBank(features, bank.labels, num_classes=num_classes).predict(
            asked, k, TEMPERATURE
        )
        return {f"top{best}": top_accuracy(scores, queries.labels, best) for best in (1, 5)}

    return judge


def _draw(labelled: Part, seed: int) -> tuple[Part, Part]:
    """Images that ask and images that answer, none in both."""
    order = torch.randperm(len(labelled), generator=torch.Generator().manual_seed(seed))
    asked = max(1, min(MOST_QUERIES, int(len(labelled) * QUERY_SHARE)))
    return choose(labelled, order[:asked]), choose(labelled, order[asked : asked + MOST_BANK])
