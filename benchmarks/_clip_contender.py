"""One contender of the bench of CLIP's loss, in a process of its own.

    python -m benchmarks._clip_contender nearfar 16384 1

prints, first, the extra memory (bytes) and the seconds of one value and gradient, then, for each
line it reads, the seconds of one more, the mean of as many as take a fifth of a second: process CPU
time with one thread, wall time with more.
"""

import ctypes
import sys
import time
from collections.abc import Callable
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._contender import seconds_a_call, status

DIM = 512
SCALE = 1 / 0.07
FLOOR = "floor"

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


def floor(rows: int) -> float:
    """Seconds that four products of all pairs take at the rate of a large product."""
    first, second = torch.randn(2048, 2048), torch.randn(2048, 2048)
    held = torch.empty(2048, 2048)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    torch.mm(first, second, out=held)
    rate = 2 * 2048**3 / (clock() - start)
    return 4 * 2 * rows**2 * DIM / rate


def main() -> None:
    name, rows, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if name == FLOOR:
        print(0, floor(rows), flush=True)
        for _ in sys.stdin:
            print(floor(rows), flush=True)
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
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before = status("VmRSS")
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    value_and_gradient(*held)
    first = clock() - start
    print(status("VmHWM") - before, first, flush=True)
    for _ in sys.stdin:
        print(seconds_a_call(lambda: value_and_gradient(*held), clock), flush=True)


if __name__ == "__main__":
    main()
