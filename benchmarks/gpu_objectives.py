"""NT-Xent and CLIP's loss, value and gradient, on a GPU: the kernels against the matrix products.

Without a GPU it says so and leaves its section of docs/benchmarks.md as it is.
"""

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from tools.machine import versions
from torch import Tensor

from nearfar.objectives import clip, nt_xent
from nearfar.similarity.computing import Products, computing

ROWS, DIM, TEMPERATURE, ROUNDS = 65536, 128, 0.1, 20
PRODUCTS: tuple[Products, ...] = ("float32", "tf32", "bfloat16")
# Similarities: of all rows to all, or of one half to the other.
PAIRS = {"nt_xent": ROWS**2, "clip": ROWS**2 // 4}
# Products of the whole matrix that value and gradient take; two where it is symmetric.
WHOLE_PRODUCTS = {"nt_xent": 2, "clip": 4}
# Similarities, their gradient and what a loss keeps between: what plain torch holds of a pair.
PLAIN_BYTES = 5 * 4

Step = Callable[[Tensor], Tensor]


def main() -> str:
    if not torch.cuda.is_available():
        print("gpu_objectives needs a CUDA GPU: its section stays as it is")
        return ""
    rows = torch.randn(ROWS, DIM, device="cuda", requires_grad=True)
    lines = []
    for name, ours, plain in (
        ("nt_xent", _nt_xent, _plain_nt_xent),
        ("clip", _clip, _plain_clip),
    ):
        for products in PRODUCTS:
            with computing(implementation="triton", products=products):
                lines.append(_line(name, f"nearfar, {products}", products, ours, rows))
        if torch.cuda.mem_get_info()[0] > PLAIN_BYTES * PAIRS[name]:
            lines.append(_line(name, "plain torch, tf32", "tf32", plain, rows))
    section = (
        "## Objectives on a GPU\n\n"
        f"Value and gradient of {ROWS:,} rows of {DIM} values, T = {TEMPERATURE}: median of "
        f"{ROUNDS} rounds by the GPU's clock, extra peak memory, and the floor: the products that "
        "cannot be saved, at the rate of a large one by torch in the same precision. Of NT-Xent's "
        "symmetric matrix half is enough: two products of the whole; CLIP, of one half of the rows "
        "to the other, takes four. Plain torch, which holds the matrix, only where it fits. "
        f"{versions('torch', 'triton')}; {torch.cuda.get_device_name()}.\n\n"
        "| objective | by | milliseconds | floor | times the floor | memory |\n"
        "|---|---|---:|---:|---:|---:|\n" + "\n".join(lines) + "\n"
    )
    print(section)
    return section


def _nt_xent(rows: Tensor) -> Tensor:
    return nt_xent(*rows.chunk(2), temperature=TEMPERATURE)


def _clip(rows: Tensor) -> Tensor:
    return clip(*rows.chunk(2), scale=1 / TEMPERATURE)


def _plain_nt_xent(rows: Tensor) -> Tensor:
    """All similarities, the diagonal masked, cross-entropy."""
    units = F.normalize(rows, dim=1)
    logits = (units @ units.T / TEMPERATURE).fill_diagonal_(-1e9)
    return F.cross_entropy(logits, torch.arange(ROWS, device="cuda").roll(ROWS // 2))


def _plain_clip(rows: Tensor) -> Tensor:
    """All similarities of one half to the other, cross-entropy in both directions."""
    first, second = F.normalize(rows, dim=1).chunk(2)
    logits = first @ second.T / TEMPERATURE
    positives = torch.arange(ROWS // 2, device="cuda")
    return (F.cross_entropy(logits, positives) + F.cross_entropy(logits.T, positives)) / 2


def _line(name: str, by: str, products: Products, loss: Step, rows: Tensor) -> str:
    operations = 2 * DIM * PAIRS[name] * WHOLE_PRODUCTS[name]
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "ieee" if products == "float32" else "tf32"
    try:
        floor = operations / _rate(products) * 1e3
        milliseconds, memory = _time(lambda: torch.autograd.grad(loss(rows), rows))
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    return (
        f"| {name} | {by} | {milliseconds:.2f} | {floor:.2f} | {milliseconds / floor:.1f}× "
        f"| {memory / 2**20:,.0f} MiB |"
    )


def _rate(products: Products) -> float:
    """Operations a second of a large product in this precision."""
    kind = torch.bfloat16 if products == "bfloat16" else torch.float32
    side = 8192
    first, second = torch.randn(2, side, side, device="cuda", dtype=kind)
    milliseconds, _ = _time(lambda: torch.mm(first, second))
    return 2 * side**3 / (milliseconds / 1e3)


def _time(run: Callable[[], object]) -> tuple[float, int]:
    """Median milliseconds of a run, and the memory that it takes beyond what is held."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    times = []
    for _ in range(ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times), torch.cuda.max_memory_allocated() - held


if __name__ == "__main__":
    main()
