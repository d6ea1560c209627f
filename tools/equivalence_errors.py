"""How far each objective is from its equation, however it is computed and in every precision.

`python -m tools.equivalence` writes these errors down, and a test holds them to bounds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from cases.objectives import CASES
from torch import Tensor, nn

from nearfar.methods.method import Method
from nearfar.similarity.computing import Implementation, computing
from nearfar.similarity.gathering import gather_rows
from nearfar.testing import ObjectiveCase, run_on_ranks
from nearfar.testing.objective_case import Inputs, cast
from nearfar.testing.objectives import tiles_of
from nearfar.training.gradient_caching import cached_gradients

EXAMPLES, DIM, SEED = 20, 12, 3
TILE = 7
"""So few rows that whole tiles and cut ones take part in 20 rows and in 40."""
PART = 8
"""Most examples embedded at a time where gradients are cached: parts of 7, 7 and 6."""
ROWS_OF_RANKS = (13, 7)

IMPLEMENTATIONS = ("dense", "tiles", "cached", "2 ranks")
PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
LOW_TEMPERATURE = [case.at_low_temperature() for case in CASES if case.sharp is not None]

Key = tuple[str, str, str]
"""A case's name, an implementation, a precision."""


class Errors(NamedTuple):
    """Relative errors of the value and of the gradient (see `gradient_error`)."""

    value: float
    gradient: float


class Reference(NamedTuple):
    """What the equation gives in float64 for inputs that were rounded to a precision."""

    inputs: Inputs
    value: float
    gradients: Inputs


def rounded_inputs(case: ObjectiveCase, precision: str) -> Inputs:
    """A case's inputs in a precision."""
    return cast(case.inputs(EXAMPLES, DIM, SEED), PRECISIONS[precision])


def reference(case: ObjectiveCase, precision: str) -> Reference:
    """The slow loop's value, and the gradient that the dense matrix has in float64."""
    inputs = rounded_inputs(case, precision)
    exact = cast(inputs, torch.float64)
    with computing(implementation="dense"):
        _, gradients = case.value_and_gradients(exact)
    return Reference(inputs, case.reference(*exact), gradients)


def all_errors(folder: Path) -> dict[Key, Errors]:
    """The errors of every case, also at a low temperature, in every cell of the matrix.

    Args:
        folder: Empty; the ranks meet here.
    """
    ranks = run_on_ranks(len(ROWS_OF_RANKS), _on_a_rank, folder)
    found = {}
    for case in (*CASES, *LOW_TEMPERATURE):
        for precision in PRECISIONS:
            exact = reference(case, precision)
            results = [result[case.name, precision] for result in ranks]
            with tiles_of(TILE):
                errors = (
                    _of_one_process(case, exact, "dense"),
                    _of_one_process(case, exact, "tiles"),
                    _cached(case, exact),
                    _of_ranks(case, exact, results),
                )
            for implementation, cell in zip(IMPLEMENTATIONS, errors, strict=True):
                found[case.name, implementation, precision] = cell
    return found


def gradient_error(case: ObjectiveCase, ours: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """Norm of the error of the gradient, relative to the norm of the exact gradient.

    The largest of: that of all rows of the batch together, and that of each input that is common
    to all ranks, such as a scale, which would be lost beside them.
    """
    rows, errors = [], []
    positions = case.differentiable(case.inputs(EXAMPLES, DIM, SEED))
    for i, found, wanted in zip(positions, ours, exact, strict=True):
        pair = found.double().flatten(), wanted.double().flatten()
        if i in case.common:
            errors.append(_relative(*pair))
        else:
            rows.append(pair)
    found, wanted = (torch.cat(parts) for parts in zip(*rows, strict=True))
    return max(_relative(found, wanted), *errors) if errors else _relative(found, wanted)


def _relative(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _value_error(value: Tensor, exact: Reference) -> float:
    return abs(value.item() - exact.value) / abs(exact.value)


def _of_one_process(
    case: ObjectiveCase, exact: Reference, implementation: Implementation
) -> Errors:
    """An implementation of similarities by itself."""
    with computing(implementation=implementation):
        value, gradients = case.value_and_gradients(exact.inputs)
    return Errors(_value_error(value, exact), gradient_error(case, gradients, exact.gradients))


class _Embedded(Method):
    """A case as a method: its rows come from linear layers, what is common belongs to the loss.

    The layers start as the identity, so that embeddings are the case's inputs to the last bit, and
    keep full precision for themselves, as in training.
    """

    def __init__(self, case: ObjectiveCase, inputs: Inputs) -> None:
        super().__init__()
        self.case, self.inputs = case, inputs
        self.rows = nn.ParameterDict()
        for i in case.differentiable(inputs):
            rows = inputs[i]
            if i not in case.common:
                wide = torch.promote_types(rows.dtype, torch.float32)
                rows = torch.eye(rows.shape[-1] if rows.ndim > 1 else 1, dtype=wide)
            self.rows[str(i)] = nn.Parameter(rows.clone())

    def embed(self, views: Inputs) -> Inputs:
        """The examples' rows."""
        examples, _ = views
        return tuple(
            self._layer(i, rows[examples])
            for i, rows in enumerate(self.inputs)
            if i not in self.case.common
        )

    def loss(self, embedded: Inputs, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The case's objective."""
        rows = iter(embedded)
        common = self.case.common
        inputs = [
            self.rows.get(str(i), x) if i in common else next(rows)
            for i, x in enumerate(self.inputs)
        ]
        return self.case(*inputs)

    def _layer(self, i: int, rows: Tensor) -> Tensor:
        """Rows of an input through its layer, if it has one."""
        if str(i) not in self.rows:
            return rows
        weight = self.rows[str(i)]
        columns = rows.to(weight.dtype).view(*rows.shape[:1], -1, len(weight))
        return (columns @ weight.T).view_as(rows).to(rows.dtype)


def _cached(case: ObjectiveCase, exact: Reference) -> Errors:
    """Gradient caching: parameters' gradients against those of the whole batch in float64."""
    examples = torch.arange(EXAMPLES)
    in_parts = _Embedded(case, exact.inputs)
    value = cached_gradients(in_parts, (examples, examples), None, PART)
    whole = _Embedded(case, cast(exact.inputs, torch.float64))
    with computing(implementation="dense"):
        whole((examples, examples)).backward()
    ours, expected = (_gradients(m) for m in (in_parts, whole))
    return Errors(_value_error(value, exact), gradient_error(case, ours, expected))


def _gradients(module: nn.Module) -> list[Tensor]:
    """Those of all parameters, which must have one."""
    found = [parameter.grad for parameter in module.parameters()]
    return [gradient for gradient in found if gradient is not None]


def _on_a_rank(
    rank: int,
    count: int,  # noqa: ARG001  of the ranks
) -> dict[tuple[str, str], tuple[Tensor, Inputs]]:
    """Value and gradients of each case from a rank's own rows; tiles are shared."""
    found = {}
    for case in (*CASES, *LOW_TEMPERATURE):
        for precision in PRECISIONS:
            inputs = rounded_inputs(case, precision)
            own = [
                x if i in case.common else x.split(ROWS_OF_RANKS)[rank].clone()
                for i, x in enumerate(inputs)
            ]
            leaves = [own[i].requires_grad_() for i in case.differentiable(inputs)]
            gathered = [x if i in case.common else gather_rows(x) for i, x in enumerate(own)]
            with tiles_of(TILE):
                with computing(implementation="tiles", group=dist.group.WORLD):
                    value = case(*gathered)
                found[case.name, precision] = value.detach(), torch.autograd.grad(value, leaves)
    return found


def _of_ranks(
    case: ObjectiveCase, exact: Reference, results: list[tuple[Tensor, Inputs]]
) -> Errors:
    """The largest errors of any rank: of all ranks' rows put together, and of what is its own."""
    by_input = list(zip(*(gradients for _, gradients in results), strict=True))
    errors = []
    for rank, (value, _) in enumerate(results):
        # Rows come back multiplied by the number of ranks, for averaging over them.
        whole = [
            of_ranks[rank] if i in case.common else torch.cat(of_ranks) / len(of_ranks)
            for i, of_ranks in zip(case.differentiable(exact.inputs), by_input, strict=True)
        ]
        error = gradient_error(case, whole, exact.gradients)
        errors.append(Errors(_value_error(value, exact), error))
    return Errors(*(max(kind) for kind in zip(*errors, strict=True)))
