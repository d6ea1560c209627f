"""What a table of figures must name: the processor and the versions of what was run."""

import os
import platform
from importlib.metadata import version

import torch


def processor() -> str:
    """The processor as the system names it, and whether it multiplies bfloat16 in hardware."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
        name = names[0] if names else name
    units = "AMX" if torch.cpu._is_amx_tile_supported() else "no AMX"
    half = "avx512_bf16" if torch.cpu._is_avx512_bf16_supported() else "no avx512_bf16"
    return f"{name} ({units}, {half}), {os.cpu_count()} cores"


def versions(*packages: str) -> str:
    """Python's version and those of packages."""
    listed = [f"{package} {version(package)}" for package in packages]
    return ", ".join([f"Python {platform.python_version()}", *listed])


def made_on() -> str:
    """Versions and processor, as a table that was computed here by our own code names them."""
    return f"{versions('nearfar', 'torch', 'numpy', 'scipy')}; {processor()}"
