"""The kNN check during training: how well neighbours agree in class, without the test part."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nearfar.data.source import Part, choose
from nearfar.evaluation.features import extract_features
from nearfar.evaluation.knn import KNNBank, top_accuracy
from nearfar.recipes.assembly import Assembly, as_saved
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.names import KEPT_EPOCH

MOST_BANK = 10_000
"""Examples of the bank at most."""
LEARNT_QUERIES, LEARNT_SHARE = 1_000, 0.2
"""Examples that ask where none is held out: a share of those in training, and this many at most."""

Classify = Callable[[Tensor], Tensor]
"""Features in, a share for every class out."""


def knn_check(assembly: Assembly) -> Callable[..., dict[str, float | str]] | None:
    """A function that judges an encoder quickly, or None where there are no labels.

    The labelled examples that are held out of training (`data.held_out`) are asked for their
    class, and others of the training part (at most 10 000, drawn once by the recipe's seed) answer
    with their true labels. The test part is not touched, so settings may be chosen by this figure.

    Where nothing is held out, a fifth of the training part (at most 1000) asks instead, and the
    method has learnt from these examples; one that reads labels, from their labels too. `asked`
    in what is given says which of the two it was: "held out" or "trained on". A linear classifier
    that learns beside the run is asked for the classes of the same examples.

    Args:
        assembly: The run.
    """
    labelled = assembly.source.train
    if labelled.labels is None or len(labelled) < 2:
        return None
    seed, bank = assembly.recipe.seed, assembly.taught.source.train
    queries = assembly.taught.held_out
    learnt_from = queries is None and assembly.recipe.data.learns_from != "unlabelled"
    asked = "trained on" if learnt_from else "held out"
    if queries is None:
        count = max(1, min(LEARNT_QUERIES, int(len(bank) * LEARNT_SHARE)))
        queries, bank = _cut(bank, count, seed, most=MOST_BANK)
    elif len(bank) > MOST_BANK:
        bank, _ = _cut(bank, MOST_BANK, seed, most=0)
    workers, device = assembly.recipe.data.readers, assembly.hardware.device
    k, temperature = assembly.recipe.training.knn_vote
    k = min(k, len(bank))
    # Of all labelled images: a small class may have been drawn for the queries alone.
    num_classes = int(labelled.labels.max()) + 1

    def judge(encoder: nn.Module, classify: Classify | None = None) -> dict[str, float | str]:
        seeing = as_saved(encoder, assembly.recipe, assembly.format).to(device)
        features, asking = (
            extract_features(seeing, part, device=device, workers=workers)
            for part in (bank, queries)
        )
        assert bank.labels is not None
        assert queries.labels is not None
        scores = KNNBank(features, bank.labels, num_classes=num_classes).predict(
            asking, k, temperature
        )
        found = {f"top{best}": top_accuracy(scores, queries.labels, best) for best in (1, 5)}
        if classify is not None:
            found["online_probe"] = top_accuracy(classify(asking), queries.labels, 1)
        return {**found, "asked": asked}

    return judge


def require_check(assembly: Assembly) -> None:
    """Refuse to choose an epoch by a check where no labelled example can be kept for it.

    Raises:
        SettingError: Saying why there is none.
    """
    training, data = assembly.recipe.training, assembly.recipe.data
    if training.keep_epoch == "last" or assembly.taught.held_out is not None:
        return
    if assembly.source.train.labels is None:
        raise training.no_check("these data have no labels")
    if data.learns_from != "unlabelled":
        raise training.no_check("every class has a single example, so that none is held out")


def kept_epoch(recipe: Recipe, run_folder: RunFolder) -> list[str]:
    """Whose epoch the encoder of a run is, where the best check chose it; else nothing.

    Args:
        recipe: The run's.
        run_folder: Where its training has ended.
    """
    if not run_folder.environment.is_file():
        return []
    kept = run_folder.read_environment().get(KEPT_EPOCH)
    if kept is None:
        return []
    return [
        f"the encoder is that of epoch {kept['epoch']} of {recipe.training.epochs}, kept for the "
        f"best kNN check on held-out training examples: {100 * kept['top1']:.1f} %, against "
        f"{100 * kept['last_top1']:.1f} % after the last epoch. The check chose it and so "
        "flatters it; the test part had no say"
    ]


def _cut(part: Part, count: int, seed: int, *, most: int) -> tuple[Part, Part]:
    """So many examples of a part, drawn, and at most `most` others."""
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    return choose(part, order[:count]), choose(part, order[count : count + most])
