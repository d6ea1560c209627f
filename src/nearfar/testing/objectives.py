"""What must hold for every objective: each property a function, all of them `check_objective`."""

import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError
from torch.utils._python_dispatch import TorchDispatchMode

from nearfar.errors import NearfarError
from nearfar.similarity import tiles
from nearfar.similarity.computing import computing
from nearfar.similarity.gathering import gather_rows
from nearfar.testing.drawn import views
from nearfar.testing.named_checks import require_all
from nearfar.testing.objective_case import Inputs, ObjectiveCase, cast
from nearfar.testing.rank_processes import run_on_ranks

RELATIVE, ABSOLUTE = 1e-9, 1e-10
"""Allowed errors of float64."""
COUNTS = (4, 3)
"""Examples on each of two ranks."""
BATCH, DIM = sum(COUNTS), 4
MANY = 2000
"""A batch whose square is far more than its rows."""


def check_objective(
    objective: Callable[..., Tensor],
    *,
    inputs: Callable[[int, int, int], Inputs] | None = None,
    settings: Mapping[str, Any] | None = None,
    slow: Callable[..., float] | None = None,
    common: tuple[int, ...] = (),
    constant: tuple[int, ...] = (),
    rotated: tuple[int, ...] = (),
    scaled: tuple[int, ...] = (),
    unbounded: tuple[int, ...] = (),
    smallest_batch: int = 2,
    linear_memory: bool = False,
    ranks: bool = True,
) -> None:
    """Check all that nearfar asks of an objective; quick but for the ranks, which take seconds.

    Without any argument, the objective takes two views' embeddings `(batch, dim)`, and compares
    each example with others. Inputs are spoken of by their positions, from 0.

    Args:
        objective: Tensors to the mean loss, a tensor of shape ().
        inputs: `(batch, dim, seed)` to what it takes (`views`, `rows`, `labelled`…); left out, two
            views of each example.
        settings: Given to the objective by name.
        slow: The equation as a loop over Python numbers, to compare with.
        common: Inputs that belong to no example, such as a queue or a learned scale.
        constant: Inputs that need no gradient.
        rotated: Inputs that may be rotated together without changing the value.
        scaled: Inputs whose rows may have any length.
        unbounded: Inputs in which infinity has a meaning, such as logits.
        smallest_batch: Smaller ones must be refused by `NearfarError` or `ValueError`.
        linear_memory: Check that memory grows with the batch and not with its square.
        ranks: Check it on two processes too; they must be able to import the objective.

    Raises:
        AssertionError: A property does not hold; the message names it and has the numbers.
    """
    name = getattr(objective, "__name__", type(objective).__name__)
    case = ObjectiveCase(
        name,
        objective,
        slow,
        views(2) if inputs is None else inputs,
        settings={} if settings is None else settings,
        common=common,
        constant=constant,
        rotated=rotated,
        scaled=scaled,
        unbounded=unbounded,
        smallest_batch=smallest_batch,
        too_small="",
        linear_memory=linear_memory,
    )
    checks = checks_of(case, ranks=ranks)
    require_all(name, ((words, partial(check, case)) for words, check in checks))


def checks_of(
    case: ObjectiveCase, *, ranks: bool
) -> Iterator[tuple[str, Callable[[ObjectiveCase], None]]]:
    """What `check_objective` checks of a case, in words, and how."""
    yield "it must give one number", gives_one_number
    if case.slow is not None:
        yield "it must be its equation", partial(equals_the_slow_loop, batch=BATCH)
    yield "its gradient must be the slope of its value", has_the_gradient_of_its_value
    yield "second derivatives must be right or refused", has_second_derivatives_or_says_so
    yield "the order of the examples must not matter", ignores_the_order
    if case.rotated:
        yield "rotation must not matter", ignores_rotation
    if case.scaled:
        yield "the length of a row must not matter", ignores_lengths
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        held = str(dtype).removeprefix("torch.")
        words = f"a row of zeros in {held} must leave value and gradient finite"
        yield words, partial(takes_a_row_of_zeros, dtype=dtype)
        words = f"equal rows in {held} must leave value and gradient finite"
        yield words, partial(takes_equal_rows, dtype=dtype)
    yield "a number that is not finite must show in the value", shows_bad_numbers
    words = f"a batch of {case.smallest_batch} must do, and a smaller one be refused"
    yield words, refuses_small_batches
    for dtype in (torch.bfloat16, torch.float16):
        words = f"{str(dtype).removeprefix('torch.')} must come near to float64"
        yield words, partial(keeps_precision, dtype=dtype, value_error=0.1, gradient_error=0.1)
    yield "tiles must give what the whole matrix gives", is_the_same_by_tiles
    if case.linear_memory:
        yield "memory must not grow with the square of the batch", has_linear_memory
    if ranks:
        yield "two ranks must give value and gradients of one process", is_the_same_on_ranks


def gives_one_number(case: ObjectiveCase) -> None:
    """The value of float64 inputs has shape (), is finite, and has a gradient."""
    value = case(*_with_gradients(case, case.inputs(BATCH, DIM, 0)))
    assert value.shape == (), f"its shape is {tuple(value.shape)}"
    assert value.dtype == torch.float64, f"given float64, its type is {value.dtype}"
    assert torch.isfinite(value), f"it is {value.item()}"
    assert value.requires_grad, "it has no gradient"


def equals_the_slow_loop(case: ObjectiveCase, *, batch: int, dim: int = DIM, seed: int = 0) -> None:
    """The value is that of the loop."""
    inputs = case.inputs(batch, dim, seed)
    _assert_close(case(*inputs), case.reference(*inputs))


def has_the_gradient_of_its_value(case: ObjectiveCase) -> None:
    """Each entry of each gradient is the slope that central differences find."""
    inputs = case.inputs(5, 3, 1)
    _, gradients = case.value_and_gradients(inputs)
    for i, gradient in zip(case.differentiable(inputs), gradients, strict=True):
        slope = torch.empty_like(gradient)
        for entry in product(*map(range, gradient.shape)):
            values = []
            for step in (1e-6, -1e-6):
                moved = inputs[i].clone()
                moved[entry] += step
                values.append(case(*inputs[:i], moved, *inputs[i + 1 :]).item())
            slope[entry] = (values[0] - values[1]) / 2e-6
        worst = ((gradient - slope).abs() - 1e-3 * slope.abs()).argmax()
        assert torch.allclose(gradient, slope, rtol=1e-3, atol=1e-5), (
            f"input {i}, entry {[int(n) for n in torch.unravel_index(worst, slope.shape)]}: "
            f"gradient {gradient.view(-1)[worst]:.6g}, slope {slope.view(-1)[worst]:.6g}"
        )


def has_second_derivatives_or_says_so(case: ObjectiveCase) -> None:
    """Gradients of gradients are those of finite differences, or are refused by an error."""
    inputs = _with_gradients(case, case.inputs(5, 3, 1))
    try:
        torch.autograd.gradgradcheck(case, inputs, fast_mode=True)
    except GradcheckError as error:
        told, _, _ = str(error).partition("\n\n")
        raise AssertionError(told) from None
    except (NearfarError, NotImplementedError, RuntimeError):
        pass  # it says that it has none


def ignores_the_order(case: ObjectiveCase, seed: int = 0) -> None:
    """Examples in another order have the same value."""
    inputs = case.inputs(BATCH, DIM, seed)
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(seed))
    moved = [x if i in case.common else x[order] for i, x in enumerate(inputs)]
    _assert_close(case(*moved), case(*inputs))


def ignores_rotation(case: ObjectiveCase, seed: int = 0) -> None:
    """Rotating what may be rotated leaves the value."""
    inputs, generator = case.inputs(BATCH, DIM, seed), torch.Generator().manual_seed(seed)
    drawn = torch.randn(DIM, DIM, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(drawn).Q
    turned = [x @ rotation if i in case.rotated else x for i, x in enumerate(inputs)]
    _assert_close(case(*turned), case(*inputs))


def ignores_lengths(case: ObjectiveCase, seed: int = 0) -> None:
    """Rows of other lengths have the same value, where lengths are said not to matter."""
    inputs, generator = case.inputs(BATCH, DIM, seed), torch.Generator().manual_seed(seed)
    longer = [
        x * (4 * torch.randn(*x.shape[:-1], 1, generator=generator)).exp().double()
        if i in case.scaled
        else x
        for i, x in enumerate(inputs)
    ]
    _assert_close(case(*longer), case(*inputs))


def takes_a_row_of_zeros(case: ObjectiveCase, dtype: torch.dtype) -> None:
    """An example whose rows are zeros has finite gradients: zeros where lengths do not matter."""
    inputs = cast(case.inputs(8, DIM, 6), dtype)
    spoilt = tuple(
        _with_a_row_of_zeros(x) if i in case.scaled or _is_rows(case, i, x) else x
        for i, x in enumerate(inputs)
    )
    _, gradients = _finite(case, spoilt)
    for i, gradient in zip(case.differentiable(spoilt), gradients, strict=True):
        if i in case.scaled:
            assert not gradient[2].any(), f"the gradient of the row is {gradient[2].tolist()}"


def takes_equal_rows(case: ObjectiveCase, dtype: torch.dtype = torch.float64) -> None:
    """Embeddings that are all equal have a finite value (the loop's) and gradient."""
    inputs = tuple(
        torch.ones_like(x) if i not in case.common and x.is_floating_point() else x
        for i, x in enumerate(cast(case.inputs(6, DIM, 0), dtype))
    )
    value, _ = _finite(case, inputs)
    if case.slow is not None and dtype in (torch.float64, torch.float32):
        error = 1e-9 if dtype == torch.float64 else 1e-5
        _assert_close(value, case.reference(*cast(inputs, torch.float64)), error)


def shows_bad_numbers(case: ObjectiveCase) -> None:
    """NaN or infinity in an input makes the value NaN, so that a run stops in place of learning."""
    inputs = case.inputs(5, 3, 0)
    for bad in (math.nan, math.inf, -math.inf):
        for i, tensor in enumerate(inputs):
            if not tensor.is_floating_point() or (i in case.unbounded and not math.isnan(bad)):
                continue
            spoilt = tensor.clone()
            spoilt.view(-1)[tensor.numel() // 2] = bad
            value = case(*inputs[:i], spoilt, *inputs[i + 1 :]).item()
            # An infinite scale or bias may give an infinite loss, which shows as well.
            shows = math.isnan(value) or (tensor.ndim == 0 and math.isinf(value))
            assert shows, f"{bad} in input {i} gives {value}"


def refuses_small_batches(case: ObjectiveCase) -> None:
    """The smallest batch has a finite value and gradient, and a smaller one is refused."""
    inputs = case.inputs(case.smallest_batch, 3, 0)
    value, _ = _finite(case, inputs)
    if case.slow is not None:
        _assert_close(value, case.reference(*inputs))
    if case.smallest_batch == 1:
        return
    fewer = case.smallest_batch - 1
    smaller = [x if i in case.common else x[:fewer] for i, x in enumerate(inputs)]
    try:
        value = case(*smaller)
    except (NearfarError, ValueError) as error:
        told = str(error)
    else:
        raise AssertionError(f"a batch of {fewer} gives {value.item()}")
    assert re.search(case.too_small, told), f"a batch of {fewer} is refused with {told!r}"


def keeps_precision(
    case: ObjectiveCase, dtype: torch.dtype, value_error: float, gradient_error: float
) -> None:
    """Value and gradients of inputs of a type are those of the same numbers in float64.

    Args:
        case: What is checked.
        dtype: Of the inputs.
        value_error: Allowed, relative to the value, or to 1 where that is more.
        gradient_error: Allowed, relative to the largest entry of an input's gradient.
    """
    inputs = cast(case.inputs(32, 16, 3), dtype)
    value, gradients = _finite(case, inputs)
    expected, exact = case.value_and_gradients(cast(inputs, torch.float64))
    _assert_close(value, expected.item(), value_error)
    # float16 has no number between 0 and 6e-8.
    granule = 6e-8 if dtype == torch.float16 else 1e-12
    for i, ours, theirs in zip(case.differentiable(inputs), gradients, exact, strict=True):
        assert ours.dtype == dtype, f"the gradient of input {i} is {ours.dtype}"
        worst, largest = (ours.double() - theirs).abs().max(), theirs.abs().max()
        assert worst <= gradient_error * largest + granule, (
            f"the gradient of input {i} is off by {worst:.2g}, and its largest entry {largest:.2g}"
        )


def is_the_same_by_tiles(case: ObjectiveCase) -> None:
    """Sums of `nearfar.similarity` over tiles give what the whole matrix gives."""
    inputs = case.inputs(BATCH, DIM, 2)
    with computing(implementation="dense"):
        expected = case.value_and_gradients(inputs)
    with tiles_of(4), computing(implementation="tiles"):
        found = case.value_and_gradients(inputs)
        torch.testing.assert_close(found, expected, rtol=RELATIVE, atol=ABSOLUTE)


def has_linear_memory(case: ObjectiveCase) -> None:
    """No tensor has nearly as many numbers as the square of the batch."""
    inputs = cast(case.inputs(MANY, DIM, 0), torch.float32)
    with LargestTensor() as largest:
        case.value_and_gradients(inputs)
    most = MANY**2 // 4
    assert 0 < largest.elements < most, (
        f"a batch of {MANY} makes a tensor of {largest.elements} numbers, {most} or more"
    )


def is_the_same_on_ranks(case: ObjectiveCase) -> None:
    """Two ranks that gather their rows come to the value and gradients of one process."""
    inputs = case.inputs(BATCH, DIM, 2)
    value, gradients = case.value_and_gradients(inputs)
    called = partial(case.objective, **case.settings)
    with tempfile.TemporaryDirectory() as folder:
        found = run_on_ranks(
            len(COUNTS), _on_a_rank, Path(folder), called, inputs, case.common,
            case.differentiable(inputs),
        )  # fmt: skip
    for rank, (its_value, its_gradients) in enumerate(found):
        _assert_close(its_value, value.item())
        for i, expected, ours in zip(
            case.differentiable(inputs), gradients, its_gradients, strict=True
        ):
            if i not in case.common:
                # For averaging over ranks: each rank's own slice, times their number.
                expected = expected.split(COUNTS)[rank] * len(COUNTS)
            torch.testing.assert_close(
                ours,
                expected,
                rtol=RELATIVE,
                atol=ABSOLUTE,
                msg=partial("rank {}, input {}: {}".format, rank, i),
            )


def _on_a_rank(
    rank: int,
    count: int,  # noqa: ARG001  of the ranks
    called: Callable[..., Tensor],
    inputs: Inputs,
    common: Sequence[int],
    wanted: Sequence[int],
) -> tuple[Tensor, Inputs]:
    """Value and gradients from a rank's own rows; the work is shared."""
    own = [x if i in common else x.split(COUNTS)[rank].clone() for i, x in enumerate(inputs)]
    leaves = [own[i].requires_grad_() for i in wanted]
    gathered = [x if i in common else gather_rows(x) for i, x in enumerate(own)]
    with tiles_of(4):
        with computing(implementation="tiles", group=dist.group.WORLD):
            value = called(*gathered)
        return value.detach(), torch.autograd.grad(value, leaves)


@contextmanager
def tiles_of(rows: int) -> Iterator[None]:
    """Within this context a few rows make many tiles of similarities.

    Args:
        rows: Of a tile.
    """
    before = tiles.TILE
    tiles.TILE = rows
    try:
        yield
    finally:
        tiles.TILE = before


class LargestTensor(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple) else (result,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


def _with_gradients(case: ObjectiveCase, inputs: Inputs) -> Inputs:
    for i in case.differentiable(inputs):
        inputs[i].requires_grad_()
    return inputs


def _is_rows(case: ObjectiveCase, i: int, tensor: Tensor) -> bool:
    """Whether an input is embeddings, a row for each example."""
    return tensor.is_floating_point() and tensor.ndim > 1 and i not in case.common


def _with_a_row_of_zeros(rows: Tensor) -> Tensor:
    rows = rows.clone()
    rows[2] = 0
    return rows


def _finite(case: ObjectiveCase, inputs: Inputs) -> tuple[Tensor, Inputs]:
    """Value and gradients, which must be finite."""
    value, gradients = case.value_and_gradients(inputs)
    assert torch.isfinite(value), f"the value is {value.item()}"
    for i, gradient in zip(case.differentiable(inputs), gradients, strict=True):
        bad = gradient[~torch.isfinite(gradient)]
        assert not len(bad), f"the gradient of input {i} holds {bad[0].item()}"
    return value, gradients


def _assert_close(value: Tensor, expected: Tensor | float, error: float | None = None) -> None:
    """Two values agree, to nine digits or within an error that is relative or absolute."""
    relative, absolute = (RELATIVE, ABSOLUTE) if error is None else (error, error)
    torch.testing.assert_close(value.item(), float(expected), rtol=relative, atol=absolute)
