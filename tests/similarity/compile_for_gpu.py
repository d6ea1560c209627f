"""Compiles for a GPU that is not there every kernel that a forward and a backward pass launch.

Triton's interpreter takes code that its compiler refuses, so a machine without a GPU needs both.
Run as a program, without TRITON_INTERPRET; prints each kernel's name, the GPU's
capability, and the shared memory it takes.
"""

import torch
import triton
from triton.backends.compiler import GPUTarget

from nearfar.similarity import triton_matrix
from nearfar.similarity.computing import Computing, Products
from nearfar.similarity.pairs import Pairs, Sums
from nearfar.similarity.triton_logsumexp import triton_logsumexps


class AbsentGPU:
    """As much of Triton's driver as compiling asks for; a device's number is its capability."""

    def __init__(self, capability: int):
        self.capability = capability

    def get_current_target(self):
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return self.capability

    def get_current_stream(self, device):
        return 0


def compile_only(kernel, grid, cut, *arguments, **constants):
    compiled = kernel.run(
        *arguments, **constants, grid=grid, warmup=True,
        num_warps=cut.warps, num_stages=cut.stages, enable_fp_fusion=True,
    )  # fmt: skip
    capability = triton.runtime.driver.active.get_current_device()
    print(compiled.metadata.name, capability, compiled.metadata.shared, flush=True)


def launch(capability: int, products: Products, dim: int, *, length: float, groups: bool) -> None:
    """A symmetric matrix, with groups or not; `length` decides whether one shift serves all."""
    triton.runtime.driver.set_active(AbsentGPU(capability))
    numbers = (torch.arange(300),) * 2
    rows = torch.full((300, dim), length / dim**0.5, requires_grad=True)
    sums = Sums(Pairs(apart=numbers, together=numbers), groups=numbers if groups else None)
    values, _ = triton_logsumexps(rows, rows, None, sums, Computing(products=products))
    values.sum().backward()


def launch_rectangle(capability: int, products: Products, dim: int) -> None:
    """Columns and a bias."""
    triton.runtime.driver.set_active(AbsentGPU(capability))
    queries, keys = (torch.ones(count, dim, requires_grad=True) for count in (300, 200))
    bias = torch.ones(200, requires_grad=True)
    sums = Sums(Pairs(), columns=True)
    values, _ = triton_logsumexps(queries, keys, bias, sums, Computing(products=products))
    values.sum().backward()


if __name__ == "__main__":
    triton_matrix._launch = compile_only
    launch(90, "bfloat16", 128, length=1.0, groups=False)
    launch(90, "tf32", 128, length=30.0, groups=True)
    launch(80, "bfloat16", 512, length=1.0, groups=False)
    launch_rectangle(80, "bfloat16", 256)
