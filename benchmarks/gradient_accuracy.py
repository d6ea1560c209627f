"""How far float32, bfloat16 and autocast gradients are from float64's: nearfar and its peers."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from lightly.loss import NTXentLoss
from pytorch_metric_learning.losses import NTXentLoss as PairNTXentLoss
from pytorch_metric_learning.losses import SupConLoss
from tools.machine import processor, versions
from torch import Tensor

from nearfar.objectives import nt_xent
from nearfar.objectives.supcon import supcon

EXAMPLES, DIM, CLASSES, SEEDS = 128, 128, 16, 3
TEMPERATURES = (0.5, 0.1, 0.05, 0.02, 0.01)
PRECISIONS = ("float32", "bfloat16", "autocast")

Loss = Callable[[Tensor, Tensor, float], Tensor]


def main() -> str:
    torch.set_num_threads(1)
    head = " | ".join(f"T={temperature:g}" for temperature in TEMPERATURES)
    rule = "---|" * 3 + "---:|" * len(TEMPERATURES)
    section = (
        "## Accuracy of gradients\n\n"
        "Norm of the error of the gradient with respect to the embeddings, divided by the norm of "
        "the gradient that the equation has in float64 at the same (rounded) embeddings; median of "
        f"{SEEDS} draws of {EXAMPLES} examples, two views each, in {DIM} dimensions. (In float64 "
        "too the equation is written so that nothing cancels: as it is "
        "usually written, float64 is wrong by a third at cosine 0.9 and T=0.01.) *Random*: "
        "views have nothing in common. *Aligned*: two views of an example are at cosine 0.9, or, "
        f"for SupCon, all rows of one of {CLASSES} classes at cosine 0.9 to their centre. "
        "*float32*: embeddings in float32. *bfloat16*: embeddings, and so the returned gradient, "
        "in bfloat16, whose rounding alone is 1.6e-3. *autocast*: float32 embeddings under "
        "bfloat16 autocast. 'NaN': not a number. A figure of 1 or more means that the gradient has "
        "no direction left. Plain torch is the usual code: all similarities, the diagonal masked, "
        "cross-entropy (for SupCon, log-softmax averaged over the positives). "
        f"{versions('torch', 'lightly', 'pytorch-metric-learning')}; {processor()}.\n\n"
        f"| objective, pairs | precision | implementation | {head} |\n|{rule}\n"
        + "\n".join(_lines())
        + "\n"
    )
    print(section)
    return section


def _lines() -> list[str]:
    labels = torch.arange(EXAMPLES).repeat(2)
    classes = (torch.arange(EXAMPLES) % CLASSES).repeat(2)
    pair_nt_xent: dict[str, Loss] = {
        "nearfar": lambda a, b, t: nt_xent(a, b, temperature=t),
        "lightly": lambda a, b, t: NTXentLoss(temperature=t)(a, b),
        "pytorch-metric-learning": lambda a, b, t: PairNTXentLoss(t)(torch.cat((a, b)), labels),
        "plain torch": _plain_nt_xent,
    }
    class_supcon: dict[str, Loss] = {
        "nearfar": lambda a, b, t: supcon(torch.cat((a, b)), classes, temperature=t),
        "pytorch-metric-learning": lambda a, b, t: SupConLoss(t)(torch.cat((a, b)), classes),
        "plain torch": lambda a, b, t: _plain_supcon(a, b, t, classes),
    }
    lines = []
    for name, losses, exact, aligned in (
        ("NT-Xent", pair_nt_xent, _exact(labels), _aligned_pairs),
        ("SupCon", class_supcon, _exact(classes), _aligned_classes),
    ):
        for kind, draw in (("random", _random_pairs), ("aligned", aligned)):
            for precision in PRECISIONS:
                for implementation, loss in losses.items():
                    cells = [_cell(loss, exact, draw, precision, t)
                             for t in TEMPERATURES]  # fmt: skip
                    lines.append(
                        f"| {name}, {kind} | {precision} | {implementation} | {' | '.join(cells)} |"
                    )
    return lines


def _cell(
    loss: Loss,
    exact: Loss,
    draw: Callable[[int], tuple[Tensor, Tensor]],
    precision: str,
    t: float,
) -> str:
    """Median relative error over the draws."""
    errors = [gradient_error(loss, exact, draw(seed), precision, t) for seed in range(SEEDS)]
    median = sorted(errors, key=lambda error: (error != error, error))[SEEDS // 2]
    return "NaN" if median != median else f"{median:.1e}"


def gradient_error(
    loss: Loss, exact: Loss, views: tuple[Tensor, Tensor], precision: str, temperature: float
) -> float:
    """Relative error of a loss's gradient against the exact one in float64."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    low = [view.to(dtype).requires_grad_() for view in views]
    same = [view.detach().double().requires_grad_() for view in low]
    under = torch.autocast("cpu", torch.bfloat16) if precision == "autocast" else nullcontext()
    with under:
        value = loss(low[0], low[1], temperature)
    found = torch.cat(torch.autograd.grad(value.float(), low)).double()
    wanted = torch.cat(torch.autograd.grad(exact(same[0], same[1], temperature), same))
    return float((found - wanted).norm() / wanted.norm())


def _exact(labels: Tensor) -> Loss:
    """SupCon, which is NT-Xent where labels are pairs, in a form in which nothing cancels.

    The usual form loses all digits at cosine 0.9 and T=0.01 even in float64.
    """

    def loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
        rows = F.normalize(torch.cat((first, second)), dim=1)
        similarities = rows @ rows.T / temperature
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(len(rows), dtype=torch.bool)
        of_positives = similarities.masked_fill(~positive, -torch.inf).logsumexp(1)
        of_negatives = similarities.masked_fill(same, -torch.inf).logsumexp(1)
        mean = (similarities * positive).sum(1) / positive.sum(1)
        separation = torch.logaddexp(of_negatives - of_positives, torch.zeros_like(mean))
        # One positive has no spread, and adding 0 would round the small gradient away.
        spread = (of_positives - mean).where(positive.sum(1) > 1, 0.0)
        return (separation + spread).mean()

    return loss


def _plain_nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    rows = F.normalize(torch.cat((first, second)), dim=1)
    logits = rows @ rows.T / temperature
    logits = logits.masked_fill(torch.eye(len(rows), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(rows)).roll(len(first)))


def _plain_supcon(first: Tensor, second: Tensor, temperature: float, labels: Tensor) -> Tensor:
    rows = F.normalize(torch.cat((first, second)), dim=1)
    itself = torch.eye(len(rows), dtype=torch.bool)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    logits = (rows @ rows.T / temperature).masked_fill(itself, -1e9)
    log_shares = logits.log_softmax(dim=1)
    return -((log_shares * positive).sum(1) / positive.sum(1)).mean()


def _random_pairs(seed: int) -> tuple[Tensor, Tensor]:
    """Views that have nothing in common."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(2 * EXAMPLES, DIM, generator=generator, dtype=torch.float64)
    return rows[:EXAMPLES], rows[EXAMPLES:]


def _aligned_pairs(seed: int) -> tuple[Tensor, Tensor]:
    """Views of an example at cosine 0.9."""
    first, drawn = (F.normalize(view, dim=1) for view in _random_pairs(seed))
    across = F.normalize(drawn - (drawn * first).sum(1, keepdim=True) * first, dim=1)
    return first, 0.9 * first + (1 - 0.9**2) ** 0.5 * across


def _aligned_classes(seed: int) -> tuple[Tensor, Tensor]:
    """All rows of a class at cosine 0.9 to its centre."""
    first, second = _random_pairs(seed)
    drawn = F.normalize(torch.cat((first, second)), dim=1)
    generator = torch.Generator().manual_seed(1000 + seed)
    centres = torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64)
    centre = F.normalize(centres, dim=1)[(torch.arange(EXAMPLES) % CLASSES).repeat(2)]
    across = F.normalize(drawn - (drawn * centre).sum(1, keepdim=True) * centre, dim=1)
    rows = 0.9 * centre + (1 - 0.9**2) ** 0.5 * across
    return rows[:EXAMPLES], rows[EXAMPLES:]


if __name__ == "__main__":
    main()
