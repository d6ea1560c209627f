"""Ranks that hold different, uneven rows come to what one process with all rows comes to."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nearfar.errors import NearfarError
from nearfar.objectives import nt_xent
from nearfar.similarity import second_derivatives, tiles
from nearfar.similarity.computing import computing
from nearfar.similarity.gathering import gather_rows
from nearfar.similarity.logsumexp import logsumexp
from nearfar.testing import run_on_ranks

COUNTS = {2: (3, 5), 4: (3, 0, 4, 1)}
EXACT = {"rtol": 0, "atol": 1e-10}
KINDS = {
    "labels": torch.arange(8),
    "mask": torch.arange(8) % 3 == 0,
    "bytes": torch.arange(16, dtype=torch.uint8).view(8, 2),
    "bf16": torch.linspace(-3, 3, 24, dtype=torch.bfloat16).view(8, 3),
    "fp16": torch.linspace(-3, 3, 24, dtype=torch.float16).view(8, 3),
    "maps": torch.arange(96.0).view(8, 2, 2, 3),
    "not contiguous": torch.arange(40.0).view(5, 8).T,
    "rows of nothing": torch.zeros(8, 0),
    "nan and inf": torch.tensor([[torch.nan], [torch.inf], [-torch.inf], [-0.0]] * 2),
}


def images() -> torch.Tensor:
    return torch.randn(8, 2, 6, generator=torch.Generator().manual_seed(7)).double()


class Embedding(nn.Module):
    """An encoder, and a scale that is used after the gathering."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.inner = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 4)).double()
        self.scale = nn.Parameter(torch.tensor(1.3).double())
        with torch.no_grad():
            for parameter in self.inner.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)

    def forward(self, views):
        return self.inner(views), self.scale * 1.0


def loss_of(embedded: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Of all rows: NT-Xent, and a term whose scale is learned."""
    first, second = embedded.unbind(1)
    learned = logsumexp(first, second, scale=scale).mean()
    return nt_xent(first, second, temperature=0.2) + 0.1 * learned


def gradients(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters()]


def hessian_product(module: Embedding, embedded: torch.Tensor, scale: torch.Tensor) -> list:
    """The Hessian of the loss with respect to the parameters, times a vector."""
    parameters = list(module.parameters())
    first = torch.autograd.grad(loss_of(embedded, scale), parameters, create_graph=True)
    along = [torch.linspace(-1, 2, g.numel()).view_as(g).double() for g in first]
    turned = sum((g * v).sum() for g, v in zip(first, along, strict=True))
    return list(torch.autograd.grad(turned, parameters))


def rows_of(rank: int, counts: tuple[int, ...], tensor: torch.Tensor) -> torch.Tensor:
    return tensor.split(counts)[rank]


def refusals(rank: int, world: int) -> dict[str, str]:
    """What each rank is told when the last one differs."""
    last = rank == world - 1
    told = {}
    for name, tensor in {
        "width": torch.zeros(2, 4 if last else 3),
        "dimensions": torch.zeros((2, 3, 1) if last else (2, 3)),
        "type": torch.zeros(2, 3, dtype=torch.float64 if last else torch.float32),
        "scalar": torch.zeros(()),
        "nine dimensions": torch.zeros((1,) * 9),
    }.items():
        with pytest.raises(NearfarError) as caught:
            gather_rows(tensor)
        told[name] = str(caught.value)
    return told


def on_a_rank(rank: int, world: int) -> dict:
    counts = COUNTS[world]
    found: dict = {"refusals": refusals(rank, world)}
    found["kinds"] = {
        name: gather_rows(rows_of(rank, counts, tensor)) for name, tensor in KINDS.items()
    }
    found["no rows at all"] = gather_rows(torch.zeros(0, 3))
    even = gather_rows(torch.full((2, 3), float(rank)))
    found["even"] = even

    own = rows_of(rank, counts, images())
    leaf = own.clone().requires_grad_()
    loss_of(gather_rows(leaf), torch.tensor(1.3).double()).backward()
    found["leaf"] = leaf.grad

    for name, wrap in {"raw": lambda module: module, "ddp": DistributedDataParallel}.items():
        module = wrap(Embedding())
        embedded, scale = module(own)
        loss = loss_of(gather_rows(embedded), scale)
        loss.backward()
        found[name] = (loss.detach(), gradients(module))

    tiles.TILE, second_derivatives.PAIRS_AT_ONCE = 2, 16
    for name, group in {"each alone": None, "work shared": dist.group.WORLD}.items():
        module = Embedding()
        embedded, scale = module(own)
        with computing(group=group):
            found[name] = hessian_product(module, gather_rows(embedded), scale)

    # A rank without a gradient takes part all the same: its keys are constants.
    module = Embedding()
    with torch.set_grad_enabled(rank != 0):
        embedded, scale = module(own)
    gathered = gather_rows(embedded)
    found["needs gradient"] = gathered.requires_grad
    if gathered.requires_grad:
        loss_of(gathered, torch.tensor(1.3).double()).backward()

    pair = dist.new_group([0, 1])
    if rank < 2:
        part = torch.full((1 + rank, 2), float(rank), requires_grad=True)
        found["in a group"] = gather_rows(part, pair)
        found["in a group"].sum().backward()
        found["in a group, gradient"] = part.grad
        found["in a group"] = found["in a group"].detach()
    else:
        with pytest.raises(NearfarError, match="not in the group"):
            gather_rows(torch.zeros(1, 2), pair)
    alone = [dist.new_group([member]) for member in range(world)][rank]
    found["alone"] = gather_rows(own, alone) is own
    return found


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request, tmp_path_factory):
    world = request.param
    return run_on_ranks(world, on_a_rank, tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def one_process():
    module = Embedding()
    embedded, scale = module(images())
    loss = loss_of(embedded, scale)
    loss.backward()
    return loss.detach(), gradients(module)


@pytest.mark.parametrize("name", KINDS)
def test_every_rank_gets_all_rows_in_order_bit_for_bit(ranks, name):
    for found in ranks:
        rows = found["kinds"][name]
        assert rows.dtype == KINDS[name].dtype
        assert rows.shape == KINDS[name].shape
        assert (
            rows.contiguous()
            .view(-1)
            .view(torch.uint8)
            .equal(KINDS[name].contiguous().view(-1).view(torch.uint8))
        )


def test_ranks_may_hold_as_many_rows_each_or_none(ranks):
    for found in ranks:
        assert found["no rows at all"].shape == (0, 3)
        assert found["even"].tolist() == [[float(r)] * 3 for r in range(len(ranks)) for _ in "ab"]


def test_a_rank_gets_the_gradient_of_its_own_rows_times_the_number_of_ranks(ranks):
    whole = images().requires_grad_()
    loss_of(whole, torch.tensor(1.3).double()).backward()
    assert whole.grad is not None
    for rank, found in enumerate(ranks):
        expected = rows_of(rank, COUNTS[len(ranks)], whole.grad) * len(ranks)
        torch.testing.assert_close(found["leaf"], expected, **EXACT)


def test_the_average_over_ranks_is_the_gradient_of_the_global_batch(ranks, one_process):
    loss, expected = one_process
    for found in ranks:
        torch.testing.assert_close(found["raw"][0], loss, **EXACT)
    for index, gradient in enumerate(expected):
        average = torch.stack([found["raw"][1][index] for found in ranks]).mean(0)
        torch.testing.assert_close(average, gradient, **EXACT)


def test_distributed_data_parallel_leaves_it_on_every_rank(ranks, one_process):
    loss, expected = one_process
    for found in ranks:
        torch.testing.assert_close(found["ddp"][0], loss, **EXACT)
        torch.testing.assert_close(found["ddp"][1], expected, **EXACT)


@pytest.mark.parametrize("how", ["each alone", "work shared"])
def test_the_average_over_ranks_is_the_second_derivative_of_the_global_batch(ranks, how):
    module = Embedding()
    for index, wanted in enumerate(hessian_product(module, *module(images()))):
        average = torch.stack([found[how][index] for found in ranks]).mean(0)
        torch.testing.assert_close(average, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("differing", "first", "last"),
    [
        ("width", "(2, 3) float32", "(2, 4) float32"),
        ("dimensions", "(2, 3) float32", "(2, 3, 1) float32"),
        ("type", "(2, 3) float32", "(2, 3) float64"),
        ("scalar", "() float32", "() float32"),
        ("nine dimensions", "1) float32", "1) float32"),
    ],
)
def test_rows_that_do_not_fit_are_refused_on_every_rank_alike(ranks, differing, first, last):
    told = {found["refusals"][differing] for found in ranks}
    assert len(told) == 1
    message = told.pop()
    assert message.startswith("gather_rows needs tensors of 1 to 8 dimensions")
    assert f"{first}, rank 1" in message
    assert message.endswith(last)


def test_a_rank_may_hold_constants(ranks):
    assert [found["needs gradient"] for found in ranks] == [False] + [True] * (len(ranks) - 1)


def test_a_group_may_be_some_of_the_ranks_or_one(ranks):
    for rank, found in enumerate(ranks[:2]):
        assert found["in a group"].tolist() == [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
        assert found["in a group, gradient"].tolist() == [[2.0, 2.0]] * (1 + rank)
    assert all(found["alone"] for found in ranks)


def test_without_ranks_rows_are_what_they_were():
    rows = torch.randn(3, 2)
    assert gather_rows(rows) is rows
