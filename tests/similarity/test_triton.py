"""The GPU kernels against the dense reference in float64: on a GPU, or by Triton's interpreter."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nearfar.similarity.computing import Computing
from nearfar.similarity.logsumexp import dense_logsumexps
from nearfar.similarity.pairs import Pairs, Sums
from nearfar.similarity.triton_logsumexp import triton_logsumexps, why_not_triton
from nearfar.similarity.triton_plan import Cut, Plan, plan_for
from nearfar.testing import run_on_ranks

pytest.importorskip("triton", reason="Triton is not installed")
GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
pytestmark = [
    pytest.mark.skipif(
        not GPU and os.environ.get("TRITON_INTERPRET") != "1",
        reason="without a GPU the kernels run by TRITON_INTERPRET=1 alone",
    ),
    # The interpreter's arrays warn of infinities, which kernels mean or do not store.
    pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter"),
]
needs_gpu = pytest.mark.skipif(not GPU, reason="needs a CUDA GPU")

# Tiles so small that small matrices have several, whole and cut, in several splits and slabs.
HELD = Plan("float32", True, Cut(32, 16, 4, 2), Cut(16, 16, 4, 2), 4, column_parts=100)
WIDE = replace(HELD, held=False, dim=16, slab=32)


def rows(count: int, dim: int = 5, *, length: float = 1.0, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    unit = torch.nn.functional.normalize(drawn, dim=1)
    return (length * unit).to(DEVICE).requires_grad_()


def numbers(count: int, classes: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(classes, (count,), generator=generator).to(DEVICE)


def pairs_of(kind: str, n: int, m: int, *, symmetric: bool) -> Pairs:
    labels = numbers(n, 3, 1)
    others = labels if symmetric else numbers(m, 3, 2)
    ids = torch.arange(n, device=DEVICE), torch.arange(m, device=DEVICE)
    return {
        "all": Pairs(),
        "not self": Pairs(apart=ids),
        "other labels": Pairs(apart=(labels, others)),
        "same label": Pairs(together=(labels, others)),
        "same label, not self": Pairs(together=(labels, others), apart=ids),
        "long numbers": Pairs(apart=(labels * 2**40, others * 2**40)),
    }[kind]


def sums_of(kind: str, pairs: Pairs, n: int, m: int, *, symmetric: bool) -> Sums:
    groups = numbers(n, 4, 5)
    others = groups if symmetric else numbers(m, 4, 6)
    return {
        "rows": Sums(pairs),
        "columns": Sums(pairs, columns=True),
        "groups": Sums(pairs, groups=(groups, others)),
    }[kind]


def outcome(function, queries, keys, bias, *, dtype=None):
    """Values and gradients of a scalar that weighs every finite output differently."""
    queries = queries.detach().to(dtype).requires_grad_()
    keys = None if keys is None else keys.detach().to(dtype).requires_grad_()
    bias = None if bias is None else bias.detach().to(dtype).requires_grad_()
    outputs = [
        x for x in function(queries, queries if keys is None else keys, bias) if x is not None
    ]
    total = torch.zeros((), dtype=dtype, device=DEVICE)
    for seed, output in enumerate(outputs):
        weight = torch.randn(len(output), generator=torch.Generator().manual_seed(seed))
        total = total + (torch.where(output.isfinite(), output, 0.0) * weight.to(output)).sum()
    inputs = [x for x in (queries, keys, bias) if x is not None]
    return [x.detach() for x in outputs], torch.autograd.grad(total, inputs)


def compare(queries, keys, bias, sums, plan, *, value=1e-6, gradient=1e-6, computing=None):
    """The kernels come to what the reference comes to in float64, to a rounding."""
    computing = Computing() if computing is None else computing
    found, gradients = outcome(
        lambda *x: triton_logsumexps(*x, sums, computing, plan),
        queries, keys, bias, dtype=torch.float32,
    )  # fmt: skip
    wanted, wanted_gradients = outcome(
        lambda *x: dense_logsumexps(*x, sums), queries, keys, bias, dtype=torch.float64
    )
    for output, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(output.double(), expected, rtol=1e-6, atol=value)
    for output, expected in zip(gradients, wanted_gradients, strict=True):
        assert output.dtype == torch.float32
        assert output.shape == expected.shape
        size = max(1e-3, float(expected.abs().max()))
        assert float((output.double() - expected).abs().max()) < gradient * size


@pytest.mark.parametrize("plan", [HELD, WIDE], ids=["held", "wide"])
@pytest.mark.parametrize("length", [1.5, 30.0], ids=["one shift", "own shifts"])
@pytest.mark.parametrize("kind", ["rows", "columns", "groups"])
@pytest.mark.parametrize("shape", ["symmetric", "rectangle", "biased"])
def test_value_and_gradient_are_the_references(shape, kind, length, plan):
    symmetric = shape == "symmetric"
    n, m = (37, 37) if symmetric else (37, 50)
    queries = rows(n, 20, length=length)
    keys = None if symmetric else rows(m, 20, length=length, seed=1)
    bias = torch.linspace(-2, 3, m, device=DEVICE) if shape == "biased" else None
    pairs = pairs_of("not self", n, m, symmetric=symmetric)
    sums = sums_of(kind, pairs, n, m, symmetric=symmetric)
    # An exponent is as exact as its largest similarity, length², in float32.
    rounding = 4e-7 * (1 + length**2)
    compare(queries, keys, bias, sums, plan, value=rounding, gradient=2 * rounding)


@pytest.mark.parametrize("kind", ["rows", "columns", "groups", "biased rows"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_second_derivatives_are_the_references(symmetric, kind):
    n, m = 21, 21 if symmetric else 35
    pairs = pairs_of("not self", n, m, symmetric=symmetric)
    sums = sums_of(kind.removeprefix("biased "), pairs, n, m, symmetric=symmetric)
    bias = torch.linspace(-2, 3, m, device=DEVICE) if kind == "biased rows" else None

    def products(function, dtype):
        leaves = [
            None if x is None else x.detach().to(dtype).requires_grad_()
            for x in (rows(n), None if symmetric else rows(m, seed=1), bias)
        ]
        queries, keys, added = leaves
        found = function(queries, queries if keys is None else keys, added)
        total = sum(x.sin().sum() for x in found if x is not None)
        leaves = [x for x in leaves if x is not None]
        first = torch.autograd.grad(total, leaves, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    found = products(lambda *x: triton_logsumexps(*x, sums, Computing(), HELD), torch.float32)
    wanted = products(lambda *x: dense_logsumexps(*x, sums), torch.float64)
    for output, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    "kind", ["all", "other labels", "same label", "same label, not self", "long numbers"]
)
def test_only_pairs_that_take_part_count(kind, symmetric):
    n, m = 21, 21 if symmetric else 35
    pairs = pairs_of(kind, n, m, symmetric=symmetric)
    sums = sums_of("columns", pairs, n, m, symmetric=symmetric)
    compare(rows(n), None if symmetric else rows(m, seed=1), None, sums, HELD)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (16, 32), (3, 70), (70, 3)])
def test_any_number_of_rows(n, m):
    compare(rows(n), rows(m, seed=1), None, Sums(Pairs(), columns=True), HELD)


@pytest.mark.parametrize("dim", [1, 3, 64, 129, 300])
def test_any_width(dim):
    plan = HELD if dim < 256 else replace(WIDE, dim=64)
    compare(rows(35, dim, length=3.0), None, None, Sums(Pairs()), plan, value=1e-5, gradient=1e-5)
    sums = Sums(Pairs(), columns=True)
    compare(rows(18, dim), rows(35, dim, seed=1), None, sums, plan)


@pytest.mark.parametrize("products", ["float32", "tf32", "bfloat16"])
def test_the_plan_for_a_large_gpu_computes_the_same(products):
    """Its tiles are larger than these matrices; only what is inside counts."""
    queries, keys = rows(70, 40), rows(33, 40, seed=1)
    sums = Sums(Pairs(), columns=True)
    near = {"float32": 1e-6, "tf32": 2e-3, "bfloat16": 1e-2}[products]
    compare(
        queries, keys, None, sums, plan_for(queries, products), value=near, gradient=near,
        computing=Computing(products=products),
    )  # fmt: skip


@pytest.mark.parametrize("plan", [HELD, WIDE], ids=["held", "wide"])
def test_bfloat16_rounds_the_operands_and_nothing_else(plan):
    """Of operands that bfloat16 holds, sums are as good as in float32."""
    queries = rows(37, 20, length=2.0).detach().bfloat16().float()
    keys = rows(20, 20, seed=1).detach().bfloat16().float()
    computing, plan = Computing(products="bfloat16"), replace(plan, products="bfloat16")
    found, gradients = outcome(
        lambda *x: triton_logsumexps(*x, Sums(Pairs()), computing, plan),
        queries, keys, None, dtype=torch.float32,
    )  # fmt: skip
    wanted, wanted_gradients = outcome(
        lambda *x: dense_logsumexps(*x, Sums(Pairs())), queries, keys, None, dtype=torch.float64
    )
    torch.testing.assert_close(found[0].double(), wanted[0], rtol=1e-6, atol=1e-6)
    for gradient, expected in zip(gradients, wanted_gradients, strict=True):
        # Weights too are multiplied in bfloat16: 8 bits.
        assert (gradient - expected).norm() < 2**-8 * expected.norm()


@pytest.mark.parametrize("plan", [HELD, WIDE], ids=["held", "wide"])
def test_temperature_of_a_hundredth_does_not_overflow(plan):
    first = rows(20, 8).detach()
    aligned = torch.nn.functional.normalize(first + 0.02 * rows(20, 8, seed=2).detach(), dim=1)
    both = torch.cat((first, aligned)) * 10.0  # the root of 1 / temperature on either side
    ids = torch.arange(20, device=DEVICE).repeat(2)
    for pairs in (Pairs(), Pairs(apart=(ids, ids))):
        compare(both, None, None, Sums(pairs), plan, value=4e-5, gradient=4e-5)


@pytest.mark.parametrize("plan", [HELD, WIDE], ids=["held", "wide"])
@pytest.mark.parametrize("length", [1.0, 30.0])
def test_a_row_with_nothing_left_is_minus_infinity_without_gradient(length, plan):
    queries, keys = rows(20, length=length), rows(18, length=length, seed=1)
    nobody = torch.arange(20, device=DEVICE), torch.arange(18, device=DEVICE) + 2
    outputs = triton_logsumexps(
        queries, keys, None, Sums(Pairs(together=nobody), columns=True), Computing(), plan
    )
    by_row, by_column = outputs
    assert by_column is not None
    assert by_row[:2].tolist() == [-torch.inf] * 2
    assert by_row[2:].isfinite().all()
    assert by_column.isfinite().sum() == 18
    gradient, _ = torch.autograd.grad(
        by_row[2:].sum() + torch.logaddexp(by_row[:2], torch.zeros(2, device=DEVICE)).sum(),
        (queries, keys),
    )
    assert torch.equal(gradient[:2], torch.zeros_like(gradient[:2]))
    assert gradient[2:].isfinite().all()


@pytest.mark.parametrize(("n", "m"), [(0, 4), (4, 0), (0, 0)])
def test_no_rows_or_no_keys(n, m):
    queries, keys = rows(n), rows(m, seed=1)
    by_row, by_column = triton_logsumexps(
        queries, keys, None, Sums(Pairs(), columns=True), Computing(), HELD
    )
    assert by_column is not None
    assert by_row.tolist() == [-torch.inf] * n
    assert by_column.tolist() == [-torch.inf] * m
    gradients = torch.autograd.grad(by_row.sum() + by_column.sum(), (queries, keys))
    assert [g.shape for g in gradients] == [queries.shape, keys.shape]
    assert not any(g.any() for g in gradients)


@pytest.mark.parametrize("length", [1.0, 30.0])
def test_what_is_not_finite_shows(length):
    queries, keys = rows(20, length=length).detach(), rows(35, length=length, seed=1).detach()
    queries[17, 0] = torch.nan
    by_row, by_column = triton_logsumexps(
        queries, keys, None, Sums(Pairs(), columns=True), Computing(), HELD
    )
    assert by_column is not None
    assert by_row.isnan().nonzero().flatten().tolist() == [17]
    assert by_column.isnan().all()
    assert (
        triton_logsumexps(queries, queries, None, Sums(Pairs()), Computing(), HELD)[0].isnan().all()
    )


class LargestTensor(TorchDispatchMode):
    """Notes the most bytes that any operation within it gave."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(given):
            if isinstance(tensor, torch.Tensor):
                self.size = max(self.size, tensor.untyped_storage().nbytes())
        return given


@pytest.mark.parametrize("plan", [HELD, WIDE], ids=["held", "wide"])
def test_no_tensor_grows_with_the_square_of_the_rows(plan):
    def largest(count: int) -> int:
        queries = rows(count)
        with LargestTensor() as noted:
            values, _ = triton_logsumexps(queries, queries, None, Sums(Pairs()), Computing(), plan)
            values.sum().backward()
        return noted.size

    assert largest(120) <= 2 * largest(60)


SHARED = [
    (kind, length, plan)
    for kind, length in (("groups", 2.0), ("columns", 9.0))
    for plan in (HELD, WIDE)
]


def shared_inputs(kind: str, length: float):
    """Of a symmetric matrix with groups, or of a rectangle with columns."""
    queries = rows(37, length=length)
    keys = None if kind == "groups" else rows(50, length=length, seed=1)
    m, symmetric = (37, True) if keys is None else (50, False)
    pairs = pairs_of("not self", 37, m, symmetric=symmetric)
    return queries, keys, sums_of(kind, pairs, 37, m, symmetric=symmetric)


def shares(rank, world):
    """Values and gradients on ranks that hold the same rows and share the work."""
    computing = Computing(group=dist.group.WORLD)
    found = []
    for kind, length, plan in SHARED:
        queries, keys, sums = shared_inputs(kind, length)

        def shared(queries, keys, bias, sums=sums, plan=plan):
            return triton_logsumexps(queries, keys, bias, sums, computing, plan)

        values, gradients = outcome(shared, queries, keys, None, dtype=torch.float32)
        found.append([*values, *gradients])
    return found


@pytest.mark.skipif(GPU, reason="gloo ranks compute on the CPU")
def test_ranks_that_share_the_work_come_to_the_same(tmp_path):
    first, second = run_on_ranks(2, shares, tmp_path)
    for (kind, length, _), mine, yours in zip(SHARED, first, second, strict=True):
        queries, keys, sums = shared_inputs(kind, length)
        values, gradients = outcome(
            lambda *x, sums=sums: dense_logsumexps(*x, sums), queries, keys, None,
            dtype=torch.float64,
        )  # fmt: skip
        for a, b, wanted in zip(mine, yours, (*values, *gradients), strict=True):
            assert torch.equal(a, b)
            torch.testing.assert_close(a.double(), wanted, rtol=1e-4, atol=5e-5)


def test_the_compiler_takes_what_the_interpreter_takes(tmp_path):
    """For GPUs that need not be here; within the shared memory of their multiprocessors."""
    program = Path(__file__).with_name("compile_for_gpu.py")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, str(program)], env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-3000:]
    kernels = [line.split() for line in found.stdout.splitlines()]
    assert {name for name, *_ in kernels} == {
        "logsumexp_kernel",
        "gradient_kernel",
        "weights_kernel",
    }
    for name, capability, memory in kernels:
        limit = {"90": 227, "80": 163}[capability] * 1024
        assert int(memory) <= limit, f"{name} takes {memory} bytes"


def test_what_the_kernels_cannot_do_is_said():
    plain = Sums(Pairs())
    assert "float64" in str(why_not_triton(rows(2).double(), plain))
    masked = Sums(Pairs(mask=lambda queries, keys: torch.ones(2, 2, dtype=torch.bool)))
    assert "mask" in str(why_not_triton(rows(2), masked))
    assert "cpu" in str(why_not_triton(rows(2).cpu(), plain))


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_is_taken():
    assert why_not_triton(rows(2), Sums(Pairs())) is None


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("products", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize("dim", [128, 256, 512])
@pytest.mark.parametrize("shape", ["symmetric", "columns", "groups", "biased"])
def test_on_a_gpu_value_and_gradient_are_the_references(shape, dim, products):
    n = 4096
    symmetric = shape == "symmetric"
    queries = rows(n, dim, length=3.0)
    keys = None if symmetric else rows(n - 100, dim, length=3.0, seed=1)
    m = n if keys is None else len(keys)
    bias = torch.linspace(-1, 1, m, device=DEVICE) if shape == "biased" else None
    kind = shape if shape in ("columns", "groups") else "rows"
    pairs = pairs_of("not self", n, m, symmetric=symmetric)
    sums = sums_of(kind, pairs, n, m, symmetric=symmetric)
    near = {"float32": 1e-5, "tf32": 5e-3, "bfloat16": 3e-2}[products]
    compare(
        queries, keys, bias, sums, None, value=near, gradient=near,
        computing=Computing(products=products),
    )  # fmt: skip


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("products", ["tf32", "bfloat16"])
def test_the_same_call_gives_the_same_bits(products):
    queries, keys = rows(5000, 128), rows(3000, 128, seed=1)
    computing, sums = Computing(products=products), Sums(Pairs(), columns=True)

    def once():
        return outcome(
            lambda *x: triton_logsumexps(*x, sums, computing), queries, keys, None,
            dtype=torch.float32,
        )  # fmt: skip

    (values, gradients), (again, gradients_again) = once(), once()
    for a, b in zip((*values, *gradients), (*again, *gradients_again), strict=True):
        assert torch.equal(a, b)


def extra_memory(queries: torch.Tensor, products: str) -> int:
    """Bytes that value and gradient take beside the rows themselves; checks that they are right."""
    ids = torch.arange(len(queries) // 2, device=DEVICE).repeat(2)
    sums = Sums(Pairs(apart=(ids, ids)))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    values, _ = triton_logsumexps(queries, queries, None, sums, Computing(products=products))
    (gradient,) = torch.autograd.grad(values.mean(), queries)
    memory = torch.cuda.max_memory_allocated() - before
    some = torch.arange(0, len(queries), len(queries) // 16, device=DEVICE)
    exact = queries.detach()[some].double() @ queries.detach().double().T
    exact = exact.masked_fill(ids[some, None] == ids[None, :], -torch.inf)
    torch.testing.assert_close(values[some].double(), exact.logsumexp(1), rtol=2e-3, atol=2e-2)
    assert gradient.isfinite().all()
    return memory


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("products", ["tf32", "bfloat16"])
def test_65536_rows_take_less_than_a_gibibyte(products):
    assert extra_memory(rows(65536, 128, length=2.0), products) < 2**30


@pytest.mark.gpu
@needs_gpu
def test_a_million_rows_run():
    assert extra_memory(rows(1_000_000, 128, length=2.0), "bfloat16") < 8 * 2**30
