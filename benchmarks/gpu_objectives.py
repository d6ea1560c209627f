"""NT-Xent and CLIP's loss, value and gradient, on a GPU: kernels, tiles, plain torch and open_clip.

Without a GPU it says so and leaves its section of docs/benchmarks_gpu.md as it is.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from tools.machine import versions
from torch import Tensor

from benchmarks._timing import ROUNDS, timed
from nearfar.objectives import clip, nt_xent
from nearfar.similarity.computing import Implementation, Products, computing
from nearfar.similarity.pairs import Pairs, Sums
from nearfar.similarity.triton_logsumexp import why_not_triton

ROWS = (16384, 65536, 262144)
DIM, TEMPERATURE = 128, 0.1
PRODUCTS: tuple[Products, ...] = ("float32", "tf32", "bfloat16")
# Products of the whole matrix that value and gradient take; two where it is symmetric.
WHOLE_PRODUCTS = {"nt_xent": 2, "clip": 4}
# Similarities, their gradient and what a loss keeps between: what plain torch holds of a pair.
PLAIN_BYTES = 5 * 4

Loss = Callable[[Tensor], Tensor]


def main() -> str:
    if not torch.cuda.is_available():
        print("gpu_objectives needs a CUDA GPU: its section stays as it is")
        return ""
    lines = [line for rows in ROWS for line in measured(rows, torch.device("cuda"))]
    packages = ["torch", "triton", *(["open_clip_torch"] if find_spec("open_clip") else [])]
    section = (
        "## Objectives\n\n"
        f"Value and gradient of M rows of {DIM} values, T = {TEMPERATURE}: median of {ROUNDS} "
        "rounds by the GPU's clock, extra peak memory, and the floor: the products that cannot be "
        "saved, at the rate of a large one by torch in the same precision. Of NT-Xent's symmetric "
        "matrix half is enough: two products of the whole; CLIP, of one half of the rows to the "
        "other, takes four. Plain torch and open_clip's `ClipLoss` hold the matrix, and are left "
        f"out where it does not fit. {versions(*packages)}; {torch.cuda.get_device_name()}.\n\n"
        "| objective | M | by | milliseconds | floor | times the floor | memory |\n"
        "|---|---:|---|---:|---:|---:|---:|\n" + "\n".join(lines) + "\n"
    )
    print(section)
    return section


def measured(rows: int, device: torch.device) -> Iterator[str]:
    """A line of the table for each contender that has room for so many rows."""
    embeddings = torch.randn(rows, DIM, device=device, requires_grad=True)
    for objective, ours in (("nt_xent", _nt_xent), ("clip", _clip)):
        for implementation, products in _ways(embeddings):
            with computing(implementation=implementation, products=products):
                by = f"nearfar, {implementation}, {products}"
                yield _line(objective, by, products, ours, embeddings)
        if not _fits(objective, rows, device):
            continue
        for by, loss in _peers(objective):
            yield _line(objective, by, "tf32", loss, embeddings)


def _ways(rows: Tensor) -> Iterator[tuple[Implementation, Products]]:
    """Ours: the kernels, where this GPU has what they need, and the tiles."""
    if why_not_triton(rows, Sums(Pairs())) is None:
        for products in PRODUCTS:
            yield "triton", products
    yield "tiles", "tf32"


def _peers(objective: str) -> Iterator[tuple[str, Loss]]:
    """Those that hold the matrix, in tf32."""
    if objective == "nt_xent":
        yield "plain torch, tf32", plain_nt_xent
        return
    yield "plain torch, tf32", plain_clip
    if find_spec("open_clip"):
        yield "open_clip, tf32", open_clip_loss()


def _pairs(objective: str, rows: int) -> int:
    """Similarities: of all rows to all, or of one half to the other."""
    return rows**2 if objective == "nt_xent" else rows**2 // 4


def _fits(objective: str, rows: int, device: torch.device) -> bool:
    if device.type == "cpu":
        return True
    return torch.cuda.mem_get_info(device)[0] > PLAIN_BYTES * _pairs(objective, rows)


def _nt_xent(rows: Tensor) -> Tensor:
    return nt_xent(*rows.chunk(2), temperature=TEMPERATURE)


def _clip(rows: Tensor) -> Tensor:
    return clip(*rows.chunk(2), scale=1 / TEMPERATURE)


def plain_nt_xent(rows: Tensor) -> Tensor:
    """All similarities, the diagonal masked, cross-entropy."""
    units = F.normalize(rows, dim=1)
    logits = (units @ units.T / TEMPERATURE).fill_diagonal_(-1e9)
    targets = torch.arange(len(rows), device=rows.device).roll(len(rows) // 2)
    return F.cross_entropy(logits, targets)


def plain_clip(rows: Tensor) -> Tensor:
    """All similarities of one half to the other, cross-entropy in both directions."""
    first, second = F.normalize(rows, dim=1).chunk(2)
    logits = first @ second.T / TEMPERATURE
    positives = torch.arange(len(first), device=rows.device)
    return (F.cross_entropy(logits, positives) + F.cross_entropy(logits.T, positives)) / 2


def open_clip_loss() -> Loss:
    """open_clip's own, of one process."""
    from open_clip.loss import ClipLoss

    loss = ClipLoss(cache_labels=True)

    def of_rows(rows: Tensor) -> Tensor:
        first, second = F.normalize(rows, dim=1).chunk(2)
        return loss(first, second, logit_scale=1 / TEMPERATURE)

    return of_rows


def _line(objective: str, by: str, products: Products, loss: Loss, rows: Tensor) -> str:
    operations = 2 * DIM * _pairs(objective, len(rows)) * WHOLE_PRODUCTS[objective]
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "ieee" if products == "float32" else "tf32"
    try:
        floor = operations / _rate(products, rows.device) * 1e3
        milliseconds, memory = timed(lambda: torch.autograd.grad(loss(rows), rows), rows.device)
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    return (
        f"| {objective} | {len(rows):,} | {by} | {milliseconds:.2f} | {floor:.2f} "
        f"| {milliseconds / floor:.1f}× | {memory / 2**20:,.0f} MiB |"
    )


def _rate(products: Products, device: torch.device) -> float:
    """Operations a second of a large product in this precision."""
    kind = torch.bfloat16 if products == "bfloat16" else torch.float32
    side = 8192 if device.type == "cuda" else 256
    first, second = torch.randn(2, side, side, device=device, dtype=kind)
    milliseconds, _ = timed(lambda: torch.mm(first, second), device)
    return 2 * side**3 / (milliseconds / 1e3)


if __name__ == "__main__":
    main()
