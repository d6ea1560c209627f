"""One contender of the bench of objectives, in a process of its own.

    python -m benchmarks._contender nt_xent nearfar 16384 1

prints, first, the extra memory (bytes) and the seconds of one value and gradient, then, for each
line it reads, the seconds of one more, the mean of as many as take a fifth of a second: process CPU
time with one thread, wall time with more.
"""

import ctypes
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._times import FLOOR

DIM, TEMPERATURE, CLASSES = 128, 0.1, 100
TURN_SECONDS = 0.2

Step = Callable[[Tensor], Tensor]


def plain_nt_xent(rows: Tensor) -> Tensor:
    """All similarities, the diagonal masked, cross-entropy."""
    rows = F.normalize(rows, dim=1)
    logits = rows @ rows.T / TEMPERATURE
    logits = logits.fill_diagonal_(-1e9)
    return F.cross_entropy(logits, torch.arange(len(rows), device=rows.device).roll(len(rows) // 2))


def plain_supcon(rows: Tensor, labels: Tensor) -> Tensor:
    """All similarities, log-softmax, mean over the positives."""
    rows = F.normalize(rows, dim=1)
    itself = torch.eye(len(rows), dtype=torch.bool)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    logits = (rows @ rows.T / TEMPERATURE).masked_fill(itself, -1e9)
    return -((logits.log_softmax(1) * positive).sum(1) / positive.sum(1)).mean()


def contender(objective: str, name: str, rows: int) -> Step:
    """The loss of `(rows, dim)` embeddings, the two views one below the other."""
    labels = torch.arange(rows) % CLASSES
    examples = torch.arange(rows // 2).repeat(2)
    if name.startswith("nearfar"):
        from nearfar.objectives import nt_xent, supcon
        from nearfar.similarity.computing import computing

        def ours(embeddings: Tensor) -> Tensor:
            with computing(products="bfloat16" if "bfloat16" in name else "float32"):
                if objective == "nt_xent":
                    first, second = embeddings.chunk(2)
                    return nt_xent(first, second, temperature=TEMPERATURE)
                return supcon(embeddings, labels, temperature=TEMPERATURE)

        return ours
    if name == "lightly":
        from lightly.loss import NTXentLoss

        loss = NTXentLoss(TEMPERATURE)
        return lambda embeddings: loss(*embeddings.chunk(2))
    if name == "pytorch-metric-learning":
        from pytorch_metric_learning import losses

        if objective == "nt_xent":
            pair_loss = losses.NTXentLoss(TEMPERATURE)
            return lambda embeddings: pair_loss(embeddings, examples)
        class_loss = losses.SupConLoss(TEMPERATURE)
        return lambda embeddings: class_loss(embeddings, labels)
    if name == "torch fused":
        targets = torch.arange(rows).roll(rows // 2)
        options = torch.nn.LinearCrossEntropyOptions()  # pyright: ignore[reportAttributeAccessIssue]

        def fused(embeddings: Tensor) -> Tensor:
            units = F.normalize(embeddings, dim=1)
            return F.linear_cross_entropy(  # pyright: ignore[reportAttributeAccessIssue]
                units / TEMPERATURE, units, targets, options=options
            )

        return fused
    plain: Step = plain_nt_xent if objective == "nt_xent" else lambda e: plain_supcon(e, labels)
    return torch.compile(plain) if name == "torch.compile" else plain


def seconds_of_products(operations: float) -> float:
    """Seconds that so many multiplications and additions take at the rate of a large product."""
    first, second = torch.randn(2048, 2048), torch.randn(2048, 2048)
    held = torch.empty(2048, 2048)
    clock = clock_of_threads()
    start = clock()
    torch.mm(first, second, out=held)
    return operations * (clock() - start) / (2 * 2048**3)


def status(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main() -> None:
    objective, name, rows, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    embeddings = torch.randn(rows, DIM, requires_grad=True)

    if name == FLOOR:
        take_turns_of_products(4 * rows**2 * DIM)
        return
    step = contender(objective, name, rows)

    def value_and_gradient() -> None:
        torch.autograd.grad(step(embeddings), embeddings)

    # What a first call loads is not the objective's memory. A small batch loads it.
    few = torch.randn(256, DIM, requires_grad=True)
    torch.autograd.grad(contender(objective, name, 256)(few), few)
    if name == "torch.compile":
        value_and_gradient()
    take_turns(value_and_gradient)


def take_turns(call: Callable[[], None]) -> None:
    """Print extra memory and seconds of one call; for each line read, the seconds of one more."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before, clock = status("VmRSS"), clock_of_threads()
    start = clock()
    call()
    first = clock() - start
    print(status("VmHWM") - before, first, flush=True)
    for _ in sys.stdin:
        print(seconds_a_call(call, clock), flush=True)


def take_turns_of_products(operations: float) -> None:
    """Take turns as the floor: what so many multiplications and additions take at best."""
    print(0, seconds_of_products(operations), flush=True)
    for _ in sys.stdin:
        print(seconds_of_products(operations), flush=True)


def clock_of_threads() -> Callable[[], float]:
    """Processor time with one thread, wall time with more."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def seconds_a_call(call: Callable[[], None], clock: Callable[[], float]) -> float:
    """Mean over as many calls as take a fifth of a second, one at least.

    One call of a millisecond after a pause would time cold caches, not the objective. How many it
    takes is found out here and not from the first call ever, which is slower for some contenders
    than for others.
    """
    start, calls = clock(), 0
    while not calls or clock() - start < TURN_SECONDS:
        call()
        calls += 1
    return (clock() - start) / calls


if __name__ == "__main__":
    main()
