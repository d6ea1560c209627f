"""`nearfar doctor`: what nearfar finds on this machine, how fast that is, and what is missing."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearfar.cli.arguments import parse
from nearfar.cli.listing import Grid, show_grid
from nearfar.errors import NearfarError
from nearfar.installed import extras, install_command, needed, unmet, version_of
from nearfar.machine_memory import free_memory, whole_memory
from nearfar.outside_text import first_line
from nearfar.plugins import load_plugins

_TOLD = ("nearfar", "torch", "torchvision", "timm", "numpy", "scikit-learn")
"""The versions that a person is told; --json has them all."""


@dataclass(frozen=True)
class DoctorArguments:
    """Tell what nearfar finds on this machine: versions, devices, threads, fast paths, extras.

    It measures for about a second, and ends with 1 where something that nearfar needs is broken.
    """

    json: bool = False
    """Print one JSON object, for programs, and nothing else."""


def run(words: Sequence[str]) -> int:
    """Runs `nearfar doctor` with the words after it."""
    arguments = parse(DoctorArguments, "doctor", words)

    from nearfar.terminal import Terminal

    console = Terminal(highlight=False)
    found = examine()
    if arguments.json:
        console.out(json.dumps(found, indent=2))
    else:
        for grid in _grids(found):
            show_grid(console, grid)
        console.say("broken", found["broken"])
        if not found["broken"]:
            console.print("All that nearfar needs is here and works.")
    return 1 if found["broken"] else 0


def examine() -> dict[str, Any]:
    """All that is found, in JSON's own types; `broken` holds a line for each thing that is."""
    broken = [
        f"{each.package} {each.version or 'is missing'}: {each.by} needs {each.requirement}: "
        f"{install_command(each.requirement)}"
        for each in unmet()
    ]
    try:
        plugins = list(load_plugins())
    except NearfarError as error:
        plugins, broken = [], [*broken, str(error)]
    try:
        computes = _computes()
    except Exception as error:
        # Whatever keeps torch from computing, the rest is still told.
        computes = None
        mend = install_command("torch", "torchvision")
        broken.append(f"torch does not compute: {first_line(error)}: {mend}")
    return {
        "broken": broken,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "versions": {
            "nearfar": version_of("nearfar"),
            **{each.package: each.version for each in needed()},
        },
        "plugins": plugins,
        "computes": computes,
        "extras": [_extra(name) for name in extras()],
        "memory": {"total": whole_memory(), "free": free_memory()},
        "disk": _disk(),
    }


def _computes() -> dict[str, Any]:
    """Devices, and what a run here would choose and gain."""
    import torch

    from nearfar.training.fast_paths import measure
    from nearfar.training.hardware import choose_hardware, cpu_name

    hardware = choose_hardware("auto", "auto")
    measured = measure(hardware)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = [torch.cuda.get_device_properties(each) for each in range(torch.cuda.device_count())]
    set_by = [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(name)]
    return {
        "device": str(hardware.device),
        "precision": hardware.precision,
        "channels_last": hardware.channels_last,
        "cpu": {"name": cpu_name(), "cores": os.cpu_count(), "usable": usable},
        "gpus": [{"name": each.name, "memory": each.total_memory} for each in gpus],
        "threads": {
            "chosen": measured.threads,
            "set_by": set_by,
            "seconds": {str(count): took for count, took in measured.seconds.items()},
        },
        "fast_paths": [asdict(each) for each in measured.paths],
    }


def _extra(name: str) -> dict[str, Any]:
    packages = needed(name)
    return {
        "name": name,
        "packages": {each.package: each.version for each in packages},
        "installed": all(each.fits for each in packages),
        "install": install_command(f"nearfar[{name}]"),
    }


def _disk() -> dict[str, Any]:
    """Bytes of the disk that runs go to from here."""
    here = Path.cwd()
    usage = shutil.disk_usage(here)
    return {"folder": str(here), "total": usage.total, "free": usage.free}


def _grids(found: dict[str, Any]) -> list[Grid]:
    """The same as tables for a person."""
    python, versions = found["python"], found["versions"]
    rows = [("python", f"{python['version']} ({python['executable']})")]
    rows += [(name, versions[name] or "missing") for name in _TOLD]
    rows += [("plug-ins", ", ".join(found["plugins"]))] if found["plugins"] else []
    grids = [Grid((), rows, title="Versions")]
    if found["computes"]:
        grids += [
            Grid((), _device_rows(found["computes"]), title="What a run here computes with"),
            Grid((), _path_rows(found["computes"]), title="What makes it faster"),
        ]
    grids.append(Grid((), [*map(_extra_row, found["extras"])], title="Extras"))
    memory, disk = found["memory"], found["disk"]
    free = "" if memory["free"] is None else f"{_gib(memory['free'])} free of "
    room = [
        ("memory", f"{free}{_gib(memory['total'])}"),
        ("disk", f"{_gib(disk['free'])} free of {_gib(disk['total'])} at {disk['folder']}"),
    ]
    return [*grids, Grid((), room, title="Room")]


def _device_rows(computes: dict[str, Any]) -> list[tuple[str, str]]:
    from nearfar.training.hardware import threads_in_words

    cpu, threads = computes["cpu"], computes["threads"]
    cores = f"{cpu['usable']} of {cpu['cores']} cores"
    rows = [("device", computes["device"]), ("CPU", f"{cpu['name']}, {cores}")]
    rows += [("GPU", f"{each['name']}, {_gib(each['memory'])}") for each in computes["gpus"]]
    took = [
        f"{threads_in_words(int(count))} {1000 * each:.1f} ms a step"
        for count, each in threads["seconds"].items()
    ]
    why = "; ".join([*(f"set by {each}" for each in threads["set_by"]), *took])
    rows.append(("threads", f"{threads['chosen']}{f' ({why})' if why else ''}"))
    order = ", channels-last" if computes["channels_last"] else ""
    return [*rows, ("precision", f"{computes['precision']}{order}")]


def _path_rows(computes: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for path in computes["fast_paths"]:
        told = f"yes, {path['by']}" if path["by"] else "no"
        if path["times"] is not None:
            told += f"; {path['measured_on']} at {path['times']:.1f} times the speed"
        rows.append((path["name"], told))
    return rows


def _extra_row(extra: dict[str, Any]) -> tuple[str, str]:
    if not extra["installed"]:
        return extra["name"], f"missing: {extra['install']}"
    return extra["name"], ", ".join(f"{name} {at}" for name, at in extra["packages"].items())


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
