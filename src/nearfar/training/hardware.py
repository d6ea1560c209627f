"""Where a run computes, and in which precision and memory order that place is fastest."""

import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from nearfar.errors import SettingError
from nearfar.launch import launched


@dataclass(frozen=True)
class Hardware:
    """What `choose_hardware` decided.

    Attributes:
        device: Where the model, the images and the views live.
        bf16: Whether the forward pass runs under bf16 autocast; weights stay float32.
        channels_last: Whether images and convolution weights lie channel by channel at each pixel.
        name: What a person calls the device.
    """

    device: torch.device
    bf16: bool
    channels_last: bool
    name: str

    @property
    def summary(self) -> str:
        """The choice in words, with the threads that compute now."""
        parts = [self.name]
        if self.device.type == "cpu":
            parts.append(threads_in_words(torch.get_num_threads()))
        parts.append("bf16 autocast" if self.bf16 else "fp32")
        if self.channels_last:
            parts.append("channels-last")
        return ", ".join(parts)


def threads_in_words(count: int) -> str:
    """`1 thread`, `2 threads`."""
    return f"{count} thread" + ("s" if count > 1 else "")


def choose_hardware(device: str, precision: str) -> Hardware:
    """Settle the device, the precision and the memory order of a run.

    Args:
        device: `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda` or `cuda:N`. Of
            several ranks, each takes the GPU of its own number on its machine.
        precision: `auto` (bf16 where the hardware multiplies it faster than fp32), `fp32`, `bf16`.

    Raises:
        SettingError: The device is not on this machine, or cannot compute in bf16.
    """
    chosen = _find_device(device)
    fast = _is_fast_at_bf16(chosen)
    if precision == "bf16" and chosen.type == "cuda" and not fast:
        raise SettingError(
            f"training.precision is bf16, but {_device_name(chosen)} has no bf16 units: use fp32"
        )
    bf16 = fast if precision == "auto" else precision == "bf16"
    # Both or neither: convolutions in bf16 are fast in this order alone.
    return Hardware(chosen, bf16, bf16, _device_name(chosen))


def _find_device(name: str) -> torch.device:
    launch = launched()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"unknown device {name!r}: choose auto, cpu, cuda or cuda:N") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise SettingError(f"device {name!r} is not supported: choose auto, cpu, cuda or cuda:N")
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


def _is_fast_at_bf16(device: torch.device) -> bool:
    """Whether bf16 products have units of their own: AMX or avx512_bf16, CUDA from Ampere on."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return f"CPU ({cpu_name()})"


def cpu_name() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
