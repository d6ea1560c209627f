"""Log-sum-exp by GPU kernels, with its gradient, in memory that grows with the rows.

The same sums as `tiled_logsumexp.py`. Imports Triton where it is called, which is not everywhere
installed. Experimental: not yet run on a GPU.
"""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.similarity.computing import Computing
from nearfar.similarity.pairs import Sums
from nearfar.similarity.second_derivatives import (
    differentiable_gradients,
)
from nearfar.similarity.tiled_logsumexp import weights_of_logsumexps
from nearfar.similarity.transformable import Transformable
from nearfar.similarity.triton_plan import Plan, plan_for

_LN_2 = 0.6931471805599453
_OLDEST = (8, 0)


def why_not_triton(queries: Float[Tensor, "n dim"], sums: Sums) -> str | None:
    """Why the kernels cannot compute these sums, as half a sentence; None where they can."""
    if find_spec("triton") is None:
        return "Triton is not installed"
    if queries.dtype != torch.float32:
        return f"the kernels do not multiply {str(queries.dtype).removeprefix('torch.')}"
    if sums.pairs.mask is not None:
        return "the kernels cannot call the function given as mask"
    if queries.device.type != "cuda" or torch.version.hip is not None:
        return f"the rows are on {queries.device}, not on an NVIDIA GPU"
    capability = torch.cuda.get_device_capability(queries.device)
    if capability < _OLDEST:
        return "the GPU's compute capability {}.{} is below {}.{}".format(*capability, *_OLDEST)
    return None


def triton_logsumexps(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    bias: Float[Tensor, " m"] | None,
    sums: Sums,
    computing: Computing,
    plan: Plan | None = None,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " count"] | None]:
    """The kernels' answer to `dense_logsumexps`: the same values and first gradients.

    The forward pass waits once for the GPU, to learn how far similarities can spread. A gradient
    that is to be differentiated again (`create_graph=True`) is computed by tiles.

    Arguments and returns as for `tiled_logsumexps`, of float32 rows to which `why_not_triton` has
    no objection; `plan` says how to cut the matrix, by default as suits the device.
    """
    symmetric = keys is queries and bias is None
    if plan is None:
        plan = plan_for(queries, computing.products)
    rows, second = _TritonLogSumExp.apply(  # pyright: ignore[reportGeneralTypeIssues]
        queries, None if symmetric else keys, bias, sums, computing, plan, _Found()
    )
    if sums.columns:
        return rows, rows if symmetric else second
    return rows, second if sums.groups is not None else None


class _TritonLogSumExp(Transformable):
    """Two log-sum-exps; the second is empty where it is not wanted, or is the first."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        queries: Tensor,
        keys: Tensor | None,
        bias: Tensor | None,
        sums: Sums,
        computing: Computing,
        plan: Plan,
        found: "_Found",
    ) -> tuple[Tensor, Tensor]:
        from nearfar.similarity.triton_matrix import learn_facts

        facts = learn_facts(queries, queries if keys is None else keys, bias, sums)
        matrix = _matrix(queries, keys, facts, computing, plan)
        rows, columns = matrix.logsumexps(columns=sums.columns)
        found.sums_of_rows, found.sums_of_columns, found.facts = rows, columns, facts
        if columns is not None:
            second = columns[0]
        elif sums.groups is not None:
            second = rows[1]
        else:
            second = rows.new_zeros(0)
        return rows[0] * _LN_2, second * _LN_2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        *operands, ctx.sums, ctx.computing, ctx.plan, found = inputs
        ctx.save_for_backward(*operands, *output)
        ctx.found = replace(found)

    @staticmethod
    def backward(ctx: Any, by_row: Tensor, by_second: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        queries, keys, bias, *logsumexps = ctx.saved_tensors
        if torch.is_grad_enabled():
            gradients = differentiable_gradients(
                weights_of_logsumexps(ctx.sums, ctx.computing),
                (queries, keys, bias),
                (by_row, by_second, *logsumexps),
                ctx.needs_input_grad[:3],
            )
            return *gradients, None, None, None, None

        rows, columns = ctx.found.sums_of_rows, ctx.found.sums_of_columns
        matrix = _matrix(queries, keys, ctx.found.facts, ctx.computing, ctx.plan)
        by = torch.stack((by_row, by_second)) if len(rows) == 2 else by_row[None]
        of_rows, of_columns = (by, rows), None
        if keys is None:
            of_columns = of_rows
        elif columns is not None:
            of_columns = by_second[None], columns
        to_queries, to_keys, to_bias = matrix.gradients(
            of_rows, of_columns, ctx.needs_input_grad[:3]
        )
        dim = queries.shape[1]
        to_queries, to_keys = (
            None if each is None else each[:, :dim] for each in (to_queries, to_keys)
        )
        return to_queries, to_keys, to_bias, None, None, None, None


def _matrix(
    queries: Tensor, keys: Tensor | None, facts: Any, computing: Computing, plan: Plan
) -> Any:
    from nearfar.similarity.triton_matrix import KernelMatrix

    columns = None if keys is None else plan.operand(keys)
    return KernelMatrix(plan.operand(queries), columns, facts, computing, plan)


@dataclass
class _Found:
    """What the forward pass leaves to the backward pass, in the kernels' own units."""

    sums_of_rows: Any = None
    sums_of_columns: Any = None
    facts: Any = None
