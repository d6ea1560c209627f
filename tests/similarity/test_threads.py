"""Threads over tiles: the same bits for any number of them, and nothing left behind."""

import contextvars
import os
import threading
import time
import weakref

import pytest
import torch
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode

from nearfar.similarity import extremes, threads, tiles, top_k
from nearfar.similarity.computing import computing
from nearfar.similarity.extremes import hardest, semi_hard
from nearfar.similarity.logsumexp import logsumexp, row_and_column_logsumexp, split_logsumexp
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.softplus import softplus_sum
from nearfar.similarity.threads import (
    Turns,
    for_each,
    on_one_core,
    one_core_outside_jobs,
    results_of,
)
from nearfar.similarity.top_k import Bank
from nearfar.testing import run_on_ranks
from nearfar.testing.rank_processes import FORKS

CPU = torch.device("cpu")
COUNTS = (1, 2, 3, 4)


@pytest.fixture(autouse=True)
def _threads_of_before(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 32)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rows(count: int, *, length: float, dtype: torch.dtype, seed: int) -> torch.Tensor:
    drawn = torch.randn(count, 20, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return (length * normalize(drawn, dim=1)).requires_grad_()


PAIRS = {
    "not self": lambda n, m: Pairs(apart=(torch.arange(n), torch.arange(m))),
    # Rows in the order of their classes: most tiles are empty.
    "own class": lambda n, m: Pairs(together=(torch.arange(n) // 40, torch.arange(m) // 40)),
    "mask": lambda n, m: Pairs(
        mask=lambda queries, keys: (
            (torch.arange(n)[queries, None] + torch.arange(m)[None, keys]) % 3 > 0
        )
    ),
}


def sums_and_gradients(kind, *, symmetric, length, dtype, pairs) -> list[torch.Tensor]:
    """Everything that one kind of sum over 150 rows gives, of several whole tiles and cut ones."""
    n, m = 150, 150 if symmetric else 110
    queries = rows(n, length=length, dtype=dtype, seed=0)
    keys = queries if symmetric else rows(m, length=1.0, dtype=dtype, seed=1)
    taking_part = PAIRS[pairs](n, m)
    inputs = [queries] if symmetric else [queries, keys]
    if kind == "rows":
        found = (logsumexp(queries, keys, pairs=taking_part),)
    elif kind == "rows, biased":
        bias = torch.linspace(-1, 1, m, dtype=dtype).requires_grad_()
        inputs.append(bias)
        found = (logsumexp(queries, keys, bias=bias, pairs=taking_part),)
    elif kind == "rows and columns":
        found = row_and_column_logsumexp(queries, keys, pairs=taking_part)
    elif kind == "groups":
        groups = torch.arange(n) % 5, torch.arange(m) % 5
        found = split_logsumexp(queries, keys, groups=groups, pairs=taking_part)
    else:
        bias = torch.tensor(-0.5, dtype=dtype, requires_grad=True)
        inputs.append(bias)
        found = (softplus_sum(queries, keys, bias=bias, pairs=taking_part),)
    weights = [torch.linspace(-1, 2, len(each), dtype=dtype) for each in found]
    terms = (
        torch.where(each.isfinite(), each, 0.0) * weight
        for each, weight in zip(found, weights, strict=True)
    )
    total = torch.stack([term.sum() for term in terms]).sum()
    return [each.detach() for each in (*found, *torch.autograd.grad(total, inputs))]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize(
    ("dtype", "length"),
    [(torch.float32, 3.0), (torch.float64, 800.0)],  # the second needs a shift for every row
)
@pytest.mark.parametrize(
    "kind", ["rows", "rows, biased", "rows and columns", "groups", "sums of softplus"]
)
def test_sums_and_gradients_have_the_same_bits(kind, dtype, length, pairs, symmetric):
    def outcome(count: int) -> list[torch.Tensor]:
        torch.set_num_threads(count)
        return sums_and_gradients(
            kind, symmetric=symmetric, length=length, dtype=dtype, pairs=pairs
        )

    alone = outcome(1)
    assert all(each.isfinite().any() for each in alone)
    for count in COUNTS[1:]:
        for found, wanted in zip(outcome(count), alone, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("kind", ["rows, biased", "groups"])
def test_a_small_matrix_whose_exponentials_are_kept_has_the_same_bits(monkeypatch, kind, symmetric):
    monkeypatch.setattr(tiles, "TILE", 160)
    how = {"symmetric": symmetric, "length": 3.0, "dtype": torch.float32, "pairs": "not self"}
    computed = []
    again = tiles.TiledMatrix.similarities
    monkeypatch.setattr(
        tiles.TiledMatrix,
        "similarities",
        lambda matrix, tile: computed.append(tile) or again(matrix, tile),
    )
    torch.set_num_threads(1)
    alone = sums_and_gradients(kind, **how)
    # Four tiles of 80, or the three on and above the diagonal; a bias leaves nothing symmetric.
    assert len(computed) == (3 if symmetric and kind == "groups" else 4)
    for count in COUNTS[1:]:
        torch.set_num_threads(count)
        for found, wanted in zip(sums_and_gradients(kind, **how), alone, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("pairs", PAIRS)
def test_extremes_are_the_same_and_the_first_of_equals(monkeypatch, pairs, largest, symmetric):
    monkeypatch.setattr(tiles, "TILE", 16)
    generator = torch.Generator().manual_seed(0)
    queries = torch.randint(-2, 3, (150, 3), generator=generator).float()  # many are equal
    queries[[7, 90]] = torch.nan  # and some no numbers
    keys = queries if symmetric else torch.randint(-2, 3, (110, 3), generator=generator).float()
    taking_part = PAIRS[pairs](150, len(keys))

    def outcome(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        torch.set_num_threads(count)
        return hardest(queries, keys, pairs=taking_part, largest=largest)

    values, indices = outcome(1)
    for count in COUNTS[1:]:
        found, where = outcome(count)
        assert torch.equal(where, indices)
        torch.testing.assert_close(found, values, rtol=0, atol=0, equal_nan=True)


def test_semi_hard_triplets_are_the_same(monkeypatch):
    monkeypatch.setattr(extremes, "SORTED", 2000)  # blocks of 13 rows
    embeddings, labels = torch.randn(150, 20), torch.arange(150) % 7
    alone = semi_hard(embeddings, labels)
    for count in COUNTS[1:]:
        torch.set_num_threads(count)
        for found, wanted in zip(semi_hard(embeddings, labels), alone, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("numbers", ["bfloat16", "int8", None])
@pytest.mark.parametrize("spread", [1.0, 1e-4])  # at the second few bits cannot tell
def test_nearest_rows_have_the_same_bits(monkeypatch, numbers, spread):
    monkeypatch.setattr(top_k, "fast_few_bits", lambda device: numbers)
    monkeypatch.setattr(top_k, "QUERY_BLOCK", 8)
    monkeypatch.setattr(top_k, "SCREENED_BANK_BLOCK", 1000)
    centres = torch.randn(3, 24)
    bank = centres[torch.arange(1900) % 3] + spread * torch.randn(1900, 24)
    asked = centres[torch.arange(90) % 3] + spread * torch.randn(90, 24)

    def outcome(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        torch.set_num_threads(count)
        return Bank(bank).top_k(asked, 6)

    values, indices = outcome(1)
    for count in COUNTS[1:]:
        found, where = outcome(count)
        assert torch.equal(where, indices)
        assert torch.equal(found, values)


def test_tiles_are_really_shared_out(monkeypatch):
    at_once = threading.Barrier(3, timeout=30)
    seen = set()
    whole = tiles.TiledMatrix.similarities

    def met(matrix, tile):
        if len(seen) < 3:
            seen.add(threading.get_ident())
            at_once.wait()
        return whole(matrix, tile)

    monkeypatch.setattr(tiles.TiledMatrix, "similarities", met)
    torch.set_num_threads(3)
    queries = rows(150, length=1.0, dtype=torch.float32, seed=0)
    logsumexp(queries, queries).sum().backward()
    assert len(seen) == 3
    assert threading.get_ident() not in seen


def test_each_thread_has_one_core_and_the_caller_keeps_its_own():
    torch.set_num_threads(3)
    found = results_of(30, lambda number: torch.get_num_threads(), CPU)
    assert found == [1] * 30
    assert torch.get_num_threads() == 3
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [3]
    torch.set_num_threads(4)
    assert results_of(30, lambda number: torch.get_num_threads(), CPU) == [1] * 30


def test_results_come_in_order_and_one_job_stays_with_the_caller():
    torch.set_num_threads(3)
    assert results_of(50, lambda number: number**2, CPU) == [number**2 for number in range(50)]
    assert results_of(0, lambda number: number, CPU) == []
    here = threading.get_ident()
    assert results_of(1, lambda number: threading.get_ident(), CPU) == [here]
    assert here not in results_of(2, lambda number: threading.get_ident(), CPU)


def test_what_is_not_shared_out_has_one_core_too():
    torch.set_num_threads(3)
    assert on_one_core(torch.get_num_threads, CPU) == 1
    with pytest.raises(LookupError, match="inside"):
        on_one_core(lambda: {"nothing": 1}["inside"], CPU)
    torch.set_num_threads(1)
    assert on_one_core(threading.get_ident, CPU) == threading.get_ident()


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")
def test_within_one_core_outside_jobs_mkl_has_one_core_and_then_what_it_had():
    torch.set_num_threads(3)
    set_mkl_threads = threads._mkl_threads()
    with one_core_outside_jobs(CPU):
        assert set_mkl_threads(1) == 1
    assert set_mkl_threads(3) == 3
    set_mkl_threads(2)  # set by someone else
    with one_core_outside_jobs(CPU):
        pass
    assert set_mkl_threads(3) == 2


def test_within_one_core_outside_jobs_torch_has_one_core_and_jobs_have_their_threads():
    torch.set_num_threads(3)
    at_once = threading.Barrier(3, timeout=30)

    def met(number: int) -> tuple[threading.Thread, int]:
        at_once.wait()
        return threading.current_thread(), torch.get_num_threads()

    elsewhere = []
    with one_core_outside_jobs(CPU):
        assert torch.get_num_threads() == 1
        found = results_of(3, met, CPU)
        other = threading.Thread(target=lambda: elsewhere.append(torch.get_num_threads()))
        other.start()
        other.join()
    assert elsewhere == [3]  # neither one that is just starting nor …
    assert torch.get_num_threads() == 3  # … this one afterwards has anything of it
    assert {cores for _, cores in found} == {1}
    assert len({thread for thread, _ in found}) == 3
    with pytest.raises(LookupError), one_core_outside_jobs(CPU):
        raise LookupError
    assert torch.get_num_threads() == 3


def test_a_thread_that_comes_late_holds_nobody_up(monkeypatch):
    torch.set_num_threads(2)
    let_go, take = threading.Event(), threads._Jobs._take
    late = []

    def one_is_late(jobs):
        if not late:
            late.append(threading.current_thread())
            assert let_go.wait(timeout=30)
        take(jobs)

    monkeypatch.setattr(threads._Jobs, "_take", one_is_late)
    assert results_of(9, lambda number: number, CPU) == list(range(9))
    assert late
    assert not let_go.is_set()
    let_go.set()


def test_what_the_caller_has_set_for_itself_holds_in_its_threads():
    torch.set_num_threads(2)
    mine = contextvars.ContextVar("mine", default="nothing")
    mine.set("something")

    def seen(number: int):
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), mine.get()

    assert set(results_of(6, seen, CPU)) == {(True, False, "something")}
    with torch.no_grad():
        assert set(results_of(6, seen, CPU)) == {(False, False, "something")}
    with torch.inference_mode():
        assert set(results_of(6, seen, CPU)) == {(False, True, "something")}
        queries = rows(150, length=1.0, dtype=torch.float32, seed=0)
        assert logsumexp(queries, queries).isfinite().all()
    assert set(results_of(6, seen, CPU)) == {(True, False, "something")}


class LiveBytes:
    """Bytes of the tensors that jobs made and that are still held, and the most there ever were."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.RLock()

    def add(self, size: int) -> None:
        with self._lock:
            self.now += size
            self.most = max(self.most, self.now)

    def during(self, work):
        """`work`, whose tensors count."""

        class Counted(TorchDispatchMode):
            def __torch_dispatch__(mode, func, types, args=(), kwargs=None):  # noqa: N805
                result = func(*args, **(kwargs or {}))
                given = {
                    id(x.untyped_storage())
                    for x in (*args, *(kwargs or {}).values())
                    if isinstance(x, torch.Tensor)
                }
                if isinstance(result, torch.Tensor):
                    held = result.untyped_storage()
                    if id(held) not in given:
                        self.add(held.nbytes())
                        weakref.finalize(held, self.add, -held.nbytes())
                return result

        def counted(number: int) -> None:
            with Counted():
                work(number)

        return counted


@pytest.mark.parametrize("sums", [logsumexp, softplus_sum])
def test_memory_grows_with_the_threads_and_not_with_the_pairs(monkeypatch, sums):
    tile, addition = 4 * 32**2, 4 * 32 * 20  # bytes of one, and of what one adds to 32 rows

    def most(count: int, size: int) -> int:
        live = LiveBytes()
        monkeypatch.setattr(
            tiles, "for_each", lambda jobs, work, *rest: for_each(jobs, live.during(work), *rest)
        )
        torch.set_num_threads(count)
        queries = rows(size, length=1.0, dtype=torch.float32, seed=0)
        sums(queries, queries, pairs=PAIRS["not self"](size, size)).sum().backward()
        return live.most

    for count in (1, 3):
        for size in (150, 250):  # all pairs of the second would take 61 tiles
            assert tile <= most(count, size) <= count * 4 * tile + threads.AHEAD * addition


def test_an_error_in_a_thread_is_the_callers(monkeypatch):
    torch.set_num_threads(3)
    done = []

    def mask(queries: slice, keys: slice) -> torch.Tensor:
        done.append((queries, keys))
        if len(done) == 5:
            raise LookupError("the mask of tile five")
        return torch.ones(queries.stop - queries.start, keys.stop - keys.start, dtype=torch.bool)

    monkeypatch.setattr(tiles, "TILE", 8)
    queries = rows(150, length=1.0, dtype=torch.float32, seed=0)
    with pytest.raises(LookupError, match="the mask of tile five"):
        logsumexp(queries, queries, pairs=Pairs(mask=mask))
    assert len(done) < 5 + 3 * 3  # of 190: the others have stopped
    assert logsumexp(queries, queries).isfinite().all()


@pytest.mark.parametrize("ahead", [0, 1, 16])
def test_additions_are_made_in_the_order_of_the_list(monkeypatch, ahead):
    monkeypatch.setattr(threads, "AHEAD", ahead)
    torch.set_num_threads(4)
    places = [(number % 2, "all") for number in range(60)]
    turns, made = Turns(places), {0: [], 1: [], "all": []}

    def work(number: int) -> None:
        time.sleep(0.002 if number % 7 == 0 else 0.0)  # the seventh are slow
        turns.add(number, [lambda p=place: made[p].append(number) for place in places[number]])

    for_each(60, work, CPU, turns.stop)
    assert made == {0: list(range(0, 60, 2)), 1: list(range(1, 60, 2)), "all": list(range(60))}


def test_nobody_waits_for_the_turn_of_a_job_that_failed(monkeypatch):
    monkeypatch.setattr(threads, "AHEAD", 0)
    torch.set_num_threads(3)
    turns = Turns([("all",)] * 20)

    def work(number: int) -> None:
        if number == 0:
            time.sleep(0.02)
            raise KeyboardInterrupt
        turns.add(number, [lambda: None])

    with pytest.raises(KeyboardInterrupt):
        for_each(20, work, CPU, turns.stop)


def test_ctrl_c_while_waiting_ends_all_threads(monkeypatch):
    torch.set_num_threads(2)
    done = []

    def interrupted(jobs):
        if not stopped:
            assert begun.wait(timeout=10)
            stopped.append(True)
            raise KeyboardInterrupt
        return real(jobs)

    begun, stopped, real = threading.Event(), [], threads._Jobs._wait
    for_each(4, lambda number: None, CPU)  # its threads are there before
    monkeypatch.setattr(threads._Jobs, "_wait", interrupted)

    def work(number: int) -> None:
        begun.set()
        time.sleep(0.02)
        done.append(number)

    with pytest.raises(KeyboardInterrupt):
        for_each(1000, work, CPU)
    finished = len(done)
    assert 1 <= finished < 500
    time.sleep(0.05)
    assert len(done) == finished  # none goes on behind the caller's back


def test_a_call_within_a_thread_computes_there():
    torch.set_num_threads(2)

    def both(number: int) -> bool:
        here = threading.get_ident()
        return set(results_of(4, lambda inner: threading.get_ident(), CPU)) == {here}

    assert all(results_of(6, both, CPU))


def test_callers_of_several_threads_do_not_wait_for_each_other():
    meet = threading.Barrier(2, timeout=10)
    found = []

    def call() -> None:
        torch.get_num_threads()
        torch.set_num_threads(2)
        # All four must be at work at once, two of each caller.
        all_four = results_of(2, lambda number: every.wait() >= 0, CPU)
        meet.wait()
        found.append(all(all_four))

    every = threading.Barrier(4, timeout=10)
    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [True, True]


def test_threads_end_with_the_thread_that_called():
    def call() -> None:
        torch.get_num_threads()
        torch.set_num_threads(2)
        ours.extend(results_of(8, lambda number: threading.current_thread(), CPU))

    ours: list[threading.Thread] = []
    caller = threading.Thread(target=call)
    caller.start()
    caller.join()
    for each in set(ours):
        each.join(timeout=10)
        assert not each.is_alive()


def in_a_fork() -> bool:
    """Whether a child, forked after the parent has had threads, has threads too."""
    torch.set_num_threads(2)
    assert results_of(9, lambda number: number, CPU) == list(range(9))
    child = os.fork()
    if child == 0:
        os._exit(0 if results_of(9, lambda number: number, CPU) == list(range(9)) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_process_has_threads_of_its_own():
    # Torch's own threads hang in such a child, whatever it computes with them.
    with FORKS.Pool(1) as pool:
        assert pool.apply_async(in_a_fork).get(timeout=60)


def on_a_rank(rank: int, world: int) -> list[torch.Tensor]:
    tiles.TILE = 32
    queries = rows(150, length=3.0, dtype=torch.float64, seed=0)
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        with computing(group=torch.distributed.group.WORLD):
            sums = logsumexp(queries, queries, pairs=PAIRS["not self"](150, 150))
        found += [sums.detach(), *torch.autograd.grad(sums.square().sum(), queries)]
    return found


def test_ranks_share_tiles_whose_threads_share_them_again(tmp_path):
    queries = rows(150, length=3.0, dtype=torch.float64, seed=0)
    sums = logsumexp(queries, queries, pairs=PAIRS["not self"](150, 150))
    (gradient,) = torch.autograd.grad(sums.square().sum(), queries)
    for of_rank in run_on_ranks(2, on_a_rank, tmp_path / "ranks"):
        for found, wanted in zip(of_rank, (sums.detach(), gradient) * 3, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
        for found, alone in zip(of_rank[2:], of_rank[:2] * 2, strict=True):
            assert torch.equal(found, alone)
