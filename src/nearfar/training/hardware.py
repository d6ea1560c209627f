"""Where a run computes, and in which precision and memory order that place is fastest."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from nearfar.errors import SettingError
from nearfar.launch import launched

Precision = Literal["fp32", "bf16", "fp16"]

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Hardware:
    """What `choose_hardware` decided.

    Attributes:
        device: Where the model, the images and the views live.
        precision: Of the forward pass, under autocast; weights stay float32.
        channels_last: Whether images and convolution weights lie channel by channel at each pixel.
        name: What a person calls the device.
    """

    device: torch.device
    precision: Precision
    channels_last: bool
    name: str

    @property
    def summary(self) -> str:
        """The choice in words, with the threads that compute now."""
        parts = [self.name]
        if self.device.type == "cpu":
            parts.append(threads_in_words(torch.get_num_threads()))
        parts.append(f"{self.precision} autocast" if self.precision in _HALF else "fp32")
        if self.channels_last:
            parts.append("channels-last")
        return ", ".join(parts)

    @property
    def autocast(self) -> torch.autocast:
        """The context in which forward passes are computed."""
        half = _HALF.get(self.precision)
        return torch.autocast(self.device.type, half, enabled=half is not None)


def threads_in_words(count: int) -> str:
    """`1 thread`, `2 threads`."""
    return f"{count} thread" + ("s" if count > 1 else "")


def choose_hardware(device: str, precision: Literal["auto"] | Precision) -> Hardware:
    """Settle the device, the precision and the memory order of a run.

    Args:
        device: `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
            Of several ranks, each takes the GPU of its own number on its machine.
        precision: `auto` (bf16 where the hardware multiplies it faster than fp32), `fp32`, `bf16`,
            or `fp16`, for which the loss is scaled.

    Raises:
        SettingError: The device is not on this machine, or cannot compute in bf16.
    """
    chosen = _find_device(device)
    fast = _is_fast_at_bf16(chosen)
    if precision == "bf16" and chosen.type == "cuda" and not fast:
        raise SettingError(
            f"training.precision is bf16, but {_device_name(chosen)} has no bf16 units: use fp16 "
            "or fp32"
        )
    if precision == "auto":
        precision = "bf16" if fast else "fp32"
    # Both or neither: convolutions in half precision are fast in this order alone, but on Metal.
    channels_last = precision in _HALF and chosen.type != "mps"
    return Hardware(chosen, precision, channels_last, _device_name(chosen))


def waited_for(device: torch.device) -> None:
    """Come back once a device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if device.type == "mps":
        torch.mps.synchronize()


def _find_device(name: str) -> torch.device:
    launch = launched()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(
            f"unknown device {name!r}: choose auto, cpu, cuda, cuda:N or mps"
        ) from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type == "mps":
        return _apple_gpu(launch.ranks)
    if device.type != "cuda":
        raise SettingError(
            f"device {name!r} is not supported: choose auto, cpu, cuda, cuda:N or mps"
        )
    if launch.local_ranks > 1 and device.index is not None:
        raise SettingError(
            f"training.device is {name} for {launch.local_ranks} ranks: each takes its own GPU, "
            "so say cuda"
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = launch.local_rank if device.index is None else device.index
    if 0 < count <= index and device.index is None:
        raise SettingError(
            f"{launch.local_ranks} ranks on a machine on which torch finds {count} CUDA "
            f"device{'s' if count > 1 else ''}: launch one for each, or use --training.device cpu"
        )
    if index >= count:
        found = f"{count} CUDA devices" if count else "no CUDA device"
        raise SettingError(f"device {name!r}: torch finds {found} here; use --training.device auto")
    return torch.device("cuda", index)


def _apple_gpu(ranks: int) -> torch.device:
    if not torch.backends.mps.is_available():
        raise SettingError(
            "device 'mps': torch finds no Apple GPU here; use --training.device auto"
        )
    if ranks > 1:
        raise SettingError(
            f"device 'mps' for {ranks} ranks: they could not exchange what is on it; use one "
            "process, or --training.device cpu"
        )
    return torch.device("mps")


def _is_fast_at_bf16(device: torch.device) -> bool:
    """Whether bf16 products have units of their own: AMX or avx512_bf16, CUDA from Ampere on."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "mps":
        return False  # not every Apple GPU has it, and torch does not tell which
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    if device.type == "mps":
        return f"GPU of {cpu_name()} (mps)"
    return f"CPU ({cpu_name()})"


def cpu_name() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
