"""How similarities are computed: by what, how precisely, and by which ranks together.

Objectives never ask. Whoever calls them says it once, around the call:

    with computing(products="bfloat16"):
        loss = nt_xent(first, second)

and the backward pass computes as the forward pass did, wherever it is called from.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch import distributed as dist

Implementation = Literal["tiles", "dense", "triton"]
Products = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class Computing:
    """What is in force.

    Attributes:
        implementation: `tiles`, `triton` (GPU kernels, experimental: they have not run on a GPU
            yet), or `dense`, which holds the whole matrix; None takes the tiles, on any device,
            until the kernels have been run on one.
        products: Precision in which float32 operands are multiplied; sums stay in float32.
            float64 operands are always multiplied in float64.
        group: Ranks that hold the same rows and share the work, or None.
    """

    implementation: Implementation | None = None
    products: Products = "float32"
    group: dist.ProcessGroup | None = None

    @property
    def ranks(self) -> int:
        """How many share the work."""
        return 1 if self.group is None else dist.get_world_size(self.group)

    @property
    def rank(self) -> int:
        """Which of them this process is."""
        return 0 if self.group is None else dist.get_rank(self.group)

    def add_up(self, *shares: Tensor) -> None:
        """Replace each rank's share by the sum of all shares, in place."""
        if self.group is not None:
            for share in shares:
                dist.all_reduce(share, dist.ReduceOp.SUM, self.group)

    def take_largest(self, share: Tensor) -> None:
        """Replace each rank's numbers by the largest of any rank, in place."""
        if self.group is not None:
            dist.all_reduce(share, dist.ReduceOp.MAX, self.group)

    @contextmanager
    def precision(self) -> Iterator[None]:
        """The processor's products of float32 matrices are made as `products` says."""
        if self.products == "float32":
            yield
            return
        matmul = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
        before = matmul.fp32_precision
        matmul.fp32_precision = {"tf32": "tf32", "bfloat16": "bf16"}[self.products]
        try:
            yield
        finally:
            matmul.fp32_precision = before


_DEFAULT = Computing()
_in_force: ContextVar[Computing] = ContextVar("computing", default=_DEFAULT)


def computing_now() -> Computing:
    """What is in force here."""
    return _in_force.get()


@contextmanager
def computing(
    *,
    implementation: Implementation | None = None,
    products: Products | None = None,
    group: dist.ProcessGroup | None = None,
) -> Iterator[None]:
    """Within this context, similarities are computed as said; what is left out stays as it was.

    Args:
        implementation: `tiles`, `dense`, or the experimental `triton`, which falls back to the
            tiles with a warning that says why, where the kernels do not serve.
        products: `bfloat16` is faster than any float32 product where the processor multiplies
            bfloat16 in hardware; similarities are then good to about 3 digits. `tf32` likewise on
            GPUs that have it; to about 4 digits.
        group: Ranks that share the work. All of them must hold the same rows, in the same order
            (`nearfar.similarity.gathering.gather_rows` brings them together), and call the same
            objectives in the same order; each then computes its share of the tiles, and the sums
            and the gradients are added up over the group.
    """
    given = {"implementation": implementation, "products": products, "group": group}
    changes = {name: value for name, value in given.items() if value is not None}
    token = _in_force.set(replace(_in_force.get(), **changes))
    try:
        yield
    finally:
        _in_force.reset(token)
