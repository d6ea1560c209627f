"""While a CPU trains, what is freed is used again; afterwards the system gets it back."""

import os
import resource

import pytest
import torch
from tests.peak_memory import in_a_fresh_process

from nearfar.training.kept_memory import _glibc, kept_memory

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
