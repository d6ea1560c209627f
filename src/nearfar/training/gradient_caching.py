"""Gradients of batches that are larger than memory (gradient caching; Gao et al. 2021).

A contrastive loss needs the embeddings of the whole batch, but not the activations behind them:

    dL/dθ = Σ_parts (∂embed(part; θ)/∂θ)ᵀ ∂L/∂embedded(part)

So the batch is embedded part by part without a graph, the loss of all embeddings gives each row's
gradient, and each part is embedded once more, now with a graph, to carry its rows' gradients to the
parameters. Activations of one part are held at a time; what it costs is one more forward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.errors import NearfarError, SettingError
from nearfar.methods.method import Method
from nearfar.training.generators import drawn_state, restore_drawn

LastPass = Callable[..., tuple[Tensor, ...]]
"""Is given the tensors that a step's last backward pass starts from, and gives them back."""


def _as_they_are(*starts: Tensor) -> tuple[Tensor, ...]:
    return starts


def cached_gradients(
    method: Method,
    views: tuple[Tensor, ...],
    labels: Tensor | None,
    micro_batch_size: int,
    last_pass: LastPass = _as_they_are,
    scale: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Add the gradients of `method(views, labels)` to the parameters, part by part.

    The batch is split as evenly as can be into the fewest parts of at most `micro_batch_size`
    examples. The last part keeps its graph from the first pass, so a batch of one part takes no
    second. Value and gradient are those of the whole batch, but for the order of sums, where each
    row of the embeddings depends on its own example alone. Beyond that:

    - Each part draws (dropout, stochastic depth) from torch's generators what it drew in the first
      pass: their state, on the CPU and on the views' GPU, is restored for the second.
    - Batch-norm sees one part at a time, in both passes: the result is that of training with batch
      statistics over parts ("ghost" batch-norm, Hoffer et al. 2017), exactly, and not that of the
      whole batch. Running statistics move once for each part.
    - Every buffer that `embed` changes holds for a part's second pass what it held for its first,
      and in the end what one pass over all parts leaves.
    - Autocast that is in force applies to both passes and to the loss, not to backward passes.

    Call it on every rank where the method's loss gathers rows; ranks may differ in their parts.

    Args:
        method: Its `embed` gives one row for each example, and keeps what it changes in buffers.
        views: Each `(batch, …)`.
        labels: For the loss.
        micro_batch_size: Most examples of a part, 1 or more.
        last_pass: Is told where the last of the backward passes starts: `StepAverage.last_pass`
            averages over ranks while it runs. Without a gradient to carry back it is not called.
        scale: What gradients are multiplied by; left out, 1.

    Returns:
        The loss of the whole batch, without a graph.

    Raises:
        SettingError: A part would be a single example, and the method trains batch-norm.
        NearfarError: `embed` gives something else than a row for each example.
    """
    device = views[0].device
    parts = _split(views, micro_batch_size, method)
    sizes = [len(part[0]) for part in parts]

    starts: list[_State] = []
    rows: list[tuple[Tensor, ...]] = []
    for part in parts[:-1]:
        starts.append(_State.now(method, device, before=starts[-1:]))
        with torch.no_grad():
            rows.append(_embed(method, part))
    last = _embed(method, parts[-1])
    rows.append(tuple(kind.detach() for kind in last))

    embedded = tuple(torch.cat(kind) for kind in zip(*rows, strict=True))
    for kind, graph in zip(embedded, last, strict=True):
        kind.requires_grad_(graph.requires_grad)
    loss = method.loss(embedded, labels)
    with torch.autocast(device.type, enabled=False):
        (loss if scale is None else loss * scale).backward()
    gradients = [
        [None] * len(parts) if kind.grad is None else kind.grad.split(sizes) for kind in embedded
    ]
    by_part = list(zip(*gradients, strict=True))

    _carry_back(last, by_part[-1], last_pass if len(parts) == 1 else _as_they_are)
    end = _State.now(method, device, before=starts[-1:])
    for place, start in enumerate(starts):
        start.restore(method, device)
        embedded = _embed(method, parts[place])
        is_last = place == len(starts) - 1
        _carry_back(embedded, by_part[place], last_pass if is_last else _as_they_are)
    end.restore(method, device)
    return loss.detach()


@dataclass(frozen=True)
class _State:
    """What a pass over a part depends on and changes: generators, the method's buffers."""

    drawn: dict[str, Tensor]
    buffers: dict[str, Tensor]

    @classmethod
    def now(cls, method: Method, device: torch.device, before: list["_State"]) -> "_State":
        """The state at this moment; a buffer that is as it was `before` is not copied again."""
        held = before[0].buffers if before else {}
        # Values are compared: batch-norm changes its statistics without telling their version.
        buffers = {
            name: held[name] if name in held and torch.equal(held[name], buffer) else buffer.clone()
            for name, buffer in method.named_buffers()
        }
        return cls(drawn_state(device), buffers)

    def restore(self, method: Method, device: torch.device) -> None:
        """Put generators and buffers back."""
        restore_drawn(self.drawn, device)
        for name, buffer in method.named_buffers():
            buffer.copy_(self.buffers[name])


def _split(
    views: tuple[Tensor, ...], micro_batch_size: int, module: nn.Module
) -> list[tuple[Tensor, ...]]:
    batch = len(views[0])
    count = -(-batch // micro_batch_size)
    trains_batch_norm = any(
        isinstance(layer, _BatchNorm) and layer.training for layer in module.modules()
    )
    if trains_batch_norm and count > 1 and batch // count < 2:
        raise SettingError(
            f"training.micro_batch_size is {micro_batch_size}: a batch of {batch} would be split "
            "into parts of a single example, which has no variance for batch-norm: choose 3 or more"
        )
    return list(zip(*(view.tensor_split(count) for view in views), strict=True))


def _embed(method: Method, part: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Embeddings of a part, one row for each example."""
    embedded = tuple(method.embed(part))
    for kind in embedded:
        if kind.ndim == 0 or len(kind) != len(part[0]):
            raise NearfarError(
                f"{type(method).__name__}.embed gave a tensor of shape {tuple(kind.shape)} for "
                f"{len(part[0])} examples: for gradient caching each must hold a row an example"
            )
    return embedded


def _carry_back(
    embedded: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...], last_pass: LastPass
) -> None:
    """Add a part's share to the parameters' gradients."""
    wanted = [
        (kind, gradient)
        for kind, gradient in zip(embedded, gradients, strict=True)
        if kind.requires_grad and gradient is not None
    ]
    if wanted:
        kinds, given = zip(*wanted, strict=True)
        with torch.autocast(kinds[0].device.type, enabled=False):
            torch.autograd.backward(last_pass(*kinds), given)
