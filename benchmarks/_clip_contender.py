"""One contender of the bench of CLIP's loss, in a process of its own.

    python -m benchmarks._clip_contender nearfar 16384 1

prints, first, the extra memory (bytes) and the seconds of one value and gradient, then, for each
line it reads, the seconds of one more, the mean of as many as take a fifth of a second: process CPU
time with one thread, wall time with more.
"""

import sys
from collections.abc import Callable
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._contender import take_turns, take_turns_of_products
from benchmarks._times import FLOOR

DIM = 512
SCALE = 1 / 0.07

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def plain_clip(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """All similarities once, and cross-entropy over their rows and their columns."""
    logits = scale * F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
    own = torch.arange(len(first))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def contender(name: str) -> Loss:
    """The loss of embeddings of both kinds, not yet normalised, and a scale that is learnt."""
    if name.startswith("nearfar"):
        from nearfar.objectives import clip
        from nearfar.similarity.computing import computing

        def ours(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
            with computing(products="bfloat16" if "bfloat16" in name else "float32"):
                return clip(first, second, scale=scale)

        return ours
    if name == "open_clip":
        from open_clip.loss import ClipLoss

        loss = ClipLoss()
        return lambda first, second, scale: loss(
            F.normalize(first, dim=1), F.normalize(second, dim=1), scale
        )
    return plain_clip


def main() -> None:
    name, rows, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if name == FLOOR:
        take_turns_of_products(4 * 2 * rows**2 * DIM)  # four products of all pairs
        return
    loss = contender(name)

    def inputs(rows: int) -> tuple[Tensor, Tensor, Tensor]:
        first, second = (torch.randn(rows, DIM, requires_grad=True) for _ in range(2))
        return first, second, torch.tensor(log(SCALE), requires_grad=True)

    def value_and_gradient(first: Tensor, second: Tensor, log_scale: Tensor) -> None:
        torch.autograd.grad(loss(first, second, log_scale.exp()), (first, second, log_scale))

    # What a first call loads is not the loss's memory. A small batch loads it.
    value_and_gradient(*inputs(256))
    held = inputs(rows)
    take_turns(lambda: value_and_gradient(*held))


if __name__ == "__main__":
    main()
