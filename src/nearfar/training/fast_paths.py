"""What makes a device faster, found and measured in a second: threads, bf16, channels-last."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nearfar.installed import version_of
from nearfar.training.compiled import cpp_compiler
from nearfar.training.hardware import Hardware, waited_for
from nearfar.training.thread_choice import ThreadChoice

_REPEATS = 5
"""The fastest of so many is what the device can do; the others waited for somebody."""


@dataclass(frozen=True)
class FastPath:
    """Something that can make training faster.

    Attributes:
        name: What it is.
        by: What of this machine gives it; empty where nothing does.
        times: Speed with it over speed without, measured; None where nothing was measured.
        measured_on: What was measured, in words.
    """

    name: str
    by: str
    times: float | None = None
    measured_on: str = ""


@dataclass(frozen=True)
class Measured:
    """What a device does in a second of measuring.

    Attributes:
        threads: How many a run would begin to compute with.
        seconds: Of a step of a small convolutional network, by number of threads; empty where a
            run would not measure: the user has set a count, there is one, or it is on a GPU.
        paths: What can make training faster.
    """

    threads: int
    seconds: dict[int, float]
    paths: list[FastPath]


def measure(hardware: Hardware) -> Measured:
    """Measures threads as a run does, then each fast path with the threads that were fastest.

    Args:
        hardware: As a run would choose it.
    """
    with ThreadChoice(hardware.device, say=lambda _: None) as choice:
        seconds = choice.look(_step(hardware)) if choice.measured else {}
        return Measured(torch.get_num_threads(), seconds, _fast_paths(hardware))


def _fast_paths(hardware: Hardware) -> list[FastPath]:
    device = hardware.device
    by = "with bf16" if hardware.channels_last else ""
    return [
        FastPath("bf16", _bf16_units(device), _bf16_gain(device), "matrix products"),
        FastPath("channels-last", by, _order_gain(hardware), "a small network"),
        FastPath("compiler", cpp_compiler()),
        FastPath("Triton", _triton(device)),
    ]


def _bf16_units(device: torch.device) -> str:
    """What multiplies bf16 by itself here; empty where nothing does."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"compute capability {major}.{minor}" if (major, minor) >= (8, 0) else ""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "avx512_bf16" if torch.cpu._is_avx512_bf16_supported() else ""


def _bf16_gain(device: torch.device) -> float:
    """How many times as fast a product of matrices is in bf16 as in float32."""
    size = 4096 if device.type == "cuda" else 768
    left, right = torch.ones(2, size, size, device=device)
    low = left.bfloat16(), right.bfloat16()
    return _gain(lambda: left @ right, lambda: low[0] @ low[1], device)


def _order_gain(hardware: Hardware) -> float:
    """How many times as fast a convolution is with channels last, in the precision of a run."""
    first, last = (_step(hardware, order) for order in (False, True))
    return _gain(first, last, hardware.device)


def _step(hardware: Hardware, channels_last: bool | None = None) -> Callable[[], object]:
    """A step of a small convolutional network: forward, and backward to its weights.

    Args:
        hardware: Gives device, precision and order.
        channels_last: Another order.
    """
    last = hardware.channels_last if channels_last is None else channels_last
    order = torch.channels_last if last else torch.contiguous_format
    images = torch.ones(32, 3, 32, 32, device=hardware.device).to(memory_format=order)
    layers = [(3, 32), (32, 32), (32, 32)]
    network = nn.Sequential(
        *(
            layer
            for inside, out in layers
            for layer in (nn.Conv2d(inside, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())
        )
    ).to(hardware.device, memory_format=order)  # pyright: ignore[reportCallIssue]
    weights = list(network.parameters())

    def step() -> object:
        with hardware.autocast:
            made = network(images)
        return torch.autograd.grad(made.float().mean((2, 3)).square().sum(), weights)

    return step


def _gain(plain: Callable[[], object], fast: Callable[[], object], device: torch.device) -> float:
    """Seconds of the one over seconds of the other, in turn, the fastest of each."""
    took: tuple[list[float], list[float]] = ([], [])
    for repeat in range(_REPEATS + 1):
        for work, seconds in zip((plain, fast), took, strict=True):
            waited_for(device)
            begun = time.perf_counter()
            work()
            waited_for(device)
            if repeat:  # the first warms up
                seconds.append(time.perf_counter() - begun)
    return min(took[0]) / min(took[1])


def _triton(device: torch.device) -> str:
    """Triton's version where it can compile for a GPU that is here."""
    version = version_of("triton")
    return f"triton {version}, experimental" if version and device.type == "cuda" else ""
