"""While a CPU trains, what is freed is used again; afterwards the system gets it back."""

import os
import resource
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.peak_memory import in_a_fresh_process
from tiny_run import TINY, train_tiny

from nearfar.training.kept_memory import _SET_BY_USER, _glibc, kept_memory

pytestmark = pytest.mark.skipif(_glibc() is None, reason="the C library is not glibc")
_BLOCKS, _BYTES = 10, 48 * 2**20


def _resident() -> int:
    """Bytes that the process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _pages_of_a_step() -> int:
    """Pages the system hands out while blocks are filled and freed, which were so before."""
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [torch.ones(_BYTES, dtype=torch.uint8) for _ in range(_BLOCKS)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _pages_and_rest(device: str) -> tuple[int, int]:
    """Pages of a step inside, and bytes that are still held afterwards."""
    before = _resident()
    with kept_memory(torch.device(device)):
        pages = _pages_of_a_step()
    return pages, _resident() - before


_ALL = _BLOCKS * _BYTES


def test_pages_are_used_again_and_given_back() -> None:
    pages, rest = in_a_fresh_process(_pages_and_rest, "cpu")
    assert pages * resource.getpagesize() < 0.3 * _ALL  # a block may lie elsewhere
    assert rest < 0.1 * _ALL


def test_of_a_gpu_nothing_is_changed() -> None:
    pages, _ = in_a_fresh_process(_pages_and_rest, "cuda")
    assert pages > 100  # huge pages are few


def _pages_with_a_setting() -> int:
    os.environ["MALLOC_TRIM_THRESHOLD_"] = "131072"
    return _pages_and_rest("cpu")[0]


def test_what_the_environment_says_is_left() -> None:
    assert in_a_fresh_process(_pages_with_a_setting) > 100


class _Library:
    """Stands in for glibc, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, *tuple[int, ...]]] = []

    def mallopt(self, setting: int, value: int) -> None:
        self.told.append(("mallopt", setting, value))

    def malloc_trim(self, rest: int) -> None:
        self.told.append(("malloc_trim", rest))


@pytest.mark.parametrize("fails", [False, True])
def test_a_training_keeps_memory_until_it_ends(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = _Library()
    monkeypatch.setattr("nearfar.training.kept_memory._glibc", lambda: library)
    for name in _SET_BY_USER:
        monkeypatch.delenv(name, raising=False)
    keeps = [("mallopt", -3, 2**30), ("mallopt", -1, -1)]
    trained = []

    def knn(_: torch.nn.Module) -> dict[str, float]:
        trained.append(library.told == keeps)
        if fails:
            raise RuntimeError("a fault of the check")
        return {"top1": 1.0}

    with pytest.raises(RuntimeError, match="of the check") if fails else nullcontext():
        train_tiny(tmp_path, replace(TINY, epochs=2), knn=knn)
    assert trained == [True]
    gives_back = [("mallopt", -3, 2**25), ("mallopt", -1, 2**26), ("malloc_trim", 0)]
    assert library.told == keeps + gives_back
