"""Every objective on ranks that hold different, uneven rows: one process's value and gradients."""

import pytest
import torch
import torch.distributed as dist
from cases.objectives import CASES

from nearfar.similarity import tiles
from nearfar.similarity.computing import computing
from nearfar.similarity.gathering import gather_rows
from nearfar.testing import run_on_ranks

BATCH, DIM, SEED = 11, 4, 2
COUNTS = {2: (7, 4), 4: (5, 0, 4, 2)}
SMALL_TILE = 4  # so that these few rows make many tiles, and every rank has some


def whole_inputs(case):
    return case.inputs(BATCH, DIM, SEED)


def rows_of(case, rank, world):
    """A rank's rows of each input; all of what is common."""
    return [
        tensor if i in case.common else tensor.split(COUNTS[world])[rank]
        for i, tensor in enumerate(whole_inputs(case))
    ]


def on_a_rank(rank, world):
    """Value, gradients and number of tiles of each case, shared or not."""
    tiles.TILE = SMALL_TILE
    computed = [0]
    add_up = tiles.TiledMatrix.add_up

    def counted(matrix, work):  # sums are shared; every rank finds the hardest rows by itself
        computed[0] += sum(1 for _ in matrix.tiles())
        return add_up(matrix, work)

    tiles.TiledMatrix.add_up = counted
    found = {}
    for case in CASES:
        for shared in (False, True):
            own = [tensor.clone() for tensor in rows_of(case, rank, world)]
            leaves = [own[i].requires_grad_() for i in case.differentiable(whole_inputs(case))]
            gathered = [x if i in case.common else gather_rows(x) for i, x in enumerate(own)]
            computed[0] = 0
            with computing(implementation="tiles", group=dist.group.WORLD if shared else None):
                value = case(*gathered)
            # Outside: the backward pass must be shared as the forward pass was.
            gradients = torch.autograd.grad(value, leaves)
            found[case.name, shared] = (value.detach(), gradients, computed[0])
    return found


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request, tmp_path_factory):
    return run_on_ranks(request.param, on_a_rank, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("shared", [False, True], ids=["each alone", "work shared"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ranks_come_to_the_value_and_gradients_of_one_process(ranks, case, shared):
    world = len(ranks)
    inputs = whole_inputs(case)
    value, gradients = case.value_and_gradients(inputs)
    exact = {"rtol": 1e-10, "atol": 1e-10}
    for rank, results in enumerate(ranks):
        its_value, its_gradients, _ = results[case.name, shared]
        torch.testing.assert_close(its_value, value, **exact)
        for i, expected, found in zip(
            case.differentiable(inputs), gradients, its_gradients, strict=True
        ):
            if i not in case.common:
                # For averaging over ranks: each rank's own slice, times their number.
                expected = expected.split(COUNTS[world])[rank] * world
            torch.testing.assert_close(found, expected, **exact)


def test_shared_work_is_done_once_among_the_ranks(ranks):
    streaming = 0
    for case in CASES:
        alone = ranks[0][case.name, False][2]
        together = [results[case.name, True][2] for results in ranks]
        assert sum(together) == alone, case.name
        if alone:
            streaming += 1
            assert max(together) < alone, case.name
    assert streaming >= 10
