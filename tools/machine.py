"""What a table of figures must name: the processor and the versions of what was run."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from nearfar.training.hardware import cpu_name


def processor() -> str:
    """The processor as the system names it, and whether it multiplies bfloat16 in hardware."""
    units = "AMX" if torch.cpu._is_amx_tile_supported() else "no AMX"
    half = "avx512_bf16" if torch.cpu._is_avx512_bf16_supported() else "no avx512_bf16"
    return f"{cpu_name()} ({units}, {half}), {os.cpu_count()} cores"


def versions(*packages: str) -> str:
    """Python's version and those of packages."""
    listed = [f"{package} {version(package)}" for package in packages]
    return ", ".join([f"Python {platform.python_version()}", *listed])


def versions_in(environment: Mapping[str, Any]) -> str:
    """Python's version and those of packages that a run's `environment.json` names."""
    named = {"Python": environment["python"], **environment["versions"]}
    return ", ".join(f"{name} {version}" for name, version in named.items())


def made_on() -> str:
    """Versions and processor, as a table that was computed here by our own code names them."""
    return f"{versions('nearfar', 'torch', 'numpy', 'scipy')}; {processor()}"
