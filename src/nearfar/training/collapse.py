"""Collapse noticed while it happens: different examples whose features, or embeddings, are one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.methods.batch_norm import SplitBatchNorm
from nearfar.methods.method import Method
from nearfar.modality import Modality
from nearfar.objectives.precision import unit_rows
from nearfar.training.generators import OwnDraws
from nearfar.training.hardware import Hardware
from nearfar.training.spectrum import effective_rank, spread

LOOK_EVERY = 10
"""Steps between looks; of a long run, so many of the steps that it records."""
MOST_ROWS = 64
"""Examples of a look, which costs a tenth of a step of a batch of 256."""
ONE_POINT = 0.003
"""Spread below which rows count as one."""
ONE_CORNER, FEW_DIRECTIONS = 0.05, 3.0
"""Spread and effective rank: where both are lower, rows count as one, too."""
LOOKS = 3
"""Looks in a row that must agree."""

_WHAT = {
    "features": ("feature_spread", "feature_rank"),
    "embeddings": ("embedding_spread", "embedding_rank"),
}


def rows(
    method: Method, views: tuple[Tensor, ...], hardware: Hardware, *, rank: int = 0
) -> list[Float[Tensor, "examples _"]]:
    """The features and the embeddings of some examples of a batch, as rows of length 1.

    Both are seen as the loss sees them, batch-norm normalising by these examples: the running
    statistics of an untrained network bring all its features together. Nothing of the method
    changes, and nothing is drawn from the run's own generators. Where there are ranks, all of them
    call this: what a method embeds may be exchanged.

    Args:
        method: Whose first output of `embed` is what its loss compares.
        views: Of the batch.
        hardware: Of the run.
        rank: Of this process.

    Returns:
        The features of first views, and what the loss compares, on the device.
    """
    some = tuple(view[: _count(method)] for view in views)
    device = hardware.device
    # `embed` may change buffers.
    buffers = [(buffer, buffer.clone()) for buffer in method.buffers()]
    with (
        OwnDraws(rank, device),
        torch.no_grad(),
        hardware.autocast,
    ):
        features, embedded = method.encoder(some[0]), method.embed(some)[0]
        for buffer, before in buffers:
            buffer.copy_(before)
    return [unit_rows(each.detach().flatten(1)) for each in (features, embedded)]


def measure(looked_at: Sequence[Float[Tensor, "examples _"]]) -> dict[str, float]:
    """How features and embeddings are spread.

    Args:
        looked_at: What `rows` gave, on the CPU.

    Returns:
        `feature_spread` and `feature_rank`, `embedding_spread` and `embedding_rank`; empty where
        they are not finite.
    """
    if not all(bool(torch.isfinite(each).all()) for each in looked_at):
        return {}
    figures: dict[str, float] = {}
    for each, (how_far, how_many) in zip(looked_at, _WHAT.values(), strict=True):
        figures |= {how_far: spread(each), how_many: effective_rank(each)}
    return figures


def _count(method: Method) -> int:
    """Examples of a look: enough for every part of batch-norm that is split."""
    splits = [layer.splits for layer in method.modules() if isinstance(layer, SplitBatchNorm)]
    return max([MOST_ROWS, *(2 * each for each in splits)])


class CollapseWatch:
    """Tells once when rows have become one, and once when they have not been for as long.

    Args:
        earlier: Lines of `metrics.jsonl` of a run that is gone on with.
        modality: What the examples are called.
    """

    def __init__(self, earlier: Iterable[Mapping[str, Any]], modality: Modality) -> None:
        self._modality = modality
        self._low = dict.fromkeys(_WHAT, 0)
        self._high = dict.fromkeys(_WHAT, 0)
        self.collapsed: list[str] = []
        for line in earlier:
            if line.get("kind") == "step":
                self._count(line)

    def see(self, figures: Mapping[str, float]) -> list[tuple[str, str]]:
        """What a look changes: kind of the line that says so, and the sentence; mostly nothing.

        Args:
            figures: From `look`.
        """
        before = list(self.collapsed)
        self._count(figures)
        begun = [what for what in self.collapsed if what not in before]
        ended = [what for what in before if what not in self.collapsed]
        told = []
        if begun:
            told.append(("collapsed", self._begun(begun, figures)))
        if ended:
            told.append(("recovered", f"the {' and the '.join(ended)} differ again"))
        return told

    def _count(self, figures: Mapping[str, Any]) -> None:
        for what, (how_far, how_many) in _WHAT.items():
            apart, directions = figures.get(how_far), figures.get(how_many)
            if apart is None or directions is None:
                continue
            low = apart < ONE_POINT or (apart < ONE_CORNER and directions < FEW_DIRECTIONS)
            self._low[what] = self._low[what] + 1 if low else 0
            self._high[what] = 0 if low else self._high[what] + 1
            if self._low[what] >= LOOKS and what not in self.collapsed:
                self.collapsed.append(what)
            if self._high[what] >= LOOKS and what in self.collapsed:
                self.collapsed.remove(what)

    def _begun(self, what: list[str], figures: Mapping[str, float]) -> str:
        values = ", ".join(
            f"spread {figures[_WHAT[each][0]]:.1g} of 1 in {figures[_WHAT[each][1]]:.1f} directions"
            for each in what
        )
        whose = {"features": "the encoder gives", "embeddings": "the loss compares"}
        return (
            f"collapse: the {' and '.join(what)} that {whose[what[-1]]} are nearly the same for "
            f"all {self._modality} ({values}, {LOOKS} looks in a row): the run learns little from "
            "here on; stop it, and try a lower training.optimizer.learning_rate, or look at the "
            "settings of the method and its objective"
        )
