"""Checkpoints on disk: tensors in safetensors, the rest in JSON beside them, both checksummed.

The tensors are written first and the JSON, which holds their checksum, last: a checkpoint exists
from the moment its JSON does. Nothing goes through pickle, and nothing read is executed.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from nearfar.durable_files import remove_leftovers, sync_folder, write_durably, writing
from nearfar.errors import NearfarError
from nearfar.run_folder import names
from nearfar.run_folder.manifest import FileEntry, Manifest, json_checksum

_FORMAT = 2

_NAME = re.compile(r"step-(?P<step>[0-9]{8,})\.(json|safetensors)")


@dataclass(frozen=True)
class Checkpoint:
    """What is saved of a run, whatever its method.

    Attributes:
        step: Steps taken so far.
        tensors: Everything that is a tensor, by name.
        scalars: Everything else, as JSON knows it.
    """

    step: int
    tensors: Mapping[str, Tensor]
    scalars: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The file name without its ending."""
        return f"step-{self.step:08d}"


@dataclass(frozen=True)
class Loaded:
    """The newest whole checkpoint of a folder.

    Attributes:
        checkpoint: Its content, tensors on the CPU.
        path: Its tensor file.
        damaged: Newer ones that were passed over, each with what is wrong with it.
    """

    checkpoint: Checkpoint
    path: Path
    damaged: tuple[str, ...]


def save(
    folder: Path,
    checkpoint: Checkpoint,
    *,
    keep: int,
    metrics: FileEntry | None = None,
) -> Path:
    """Write a checkpoint, then remove those that are no longer wanted.

    Args:
        folder: The run's checkpoints; made where it does not exist.
        checkpoint: What to save. Tied tensors are saved once for each name.
        keep: Newest checkpoints that stay, this one included.
        metrics: What `metrics.jsonl` holds by now, for the run's manifest.

    Returns:
        The tensor file.

    Raises:
        NearfarError: The disk is full or refuses; earlier checkpoints are untouched.
    """
    with writing(folder):
        folder.mkdir(exist_ok=True)
    path = folder / f"{checkpoint.name}.safetensors"
    content = safetensors.torch.save(
        {  # copies: safetensors refuses tied weights and knows no other memory order
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in checkpoint.tensors.items()
        }
    )
    described = {
        "format": _FORMAT,
        "step": checkpoint.step,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        "scalars": checkpoint.scalars,
    }
    described["sha256"] = json_checksum(described)
    files = {
        path.name: content,
        f"{checkpoint.name}.json": json.dumps(described, indent=1).encode(),
    }
    run = Manifest(folder.parent)
    if run.exists():
        run.write(
            {f"{folder.name}/{name}": held for name, held in files.items()},
            grown={} if metrics is None else {names.METRICS: metrics},
        )
    else:
        for name, held in files.items():
            write_durably(folder / name, held)
    _prune(folder, newest=checkpoint.step, keep=keep)
    return path


def holds_checkpoints(folder: Path) -> bool:
    """Whether a run has left checkpoints in a folder, whole or not."""
    return bool(_files(folder))


def can_be_gone_on_from(folder: Path) -> bool:
    """Whether `load_newest` has a checkpoint to read: a kill may leave tensors without JSON."""
    return any(path.suffix == ".json" for path in _files(folder))


def load_newest(folder: Path) -> Loaded | None:
    """The newest checkpoint that is whole, passing over damaged ones.

    Returns:
        The checkpoint, or None where the folder holds none.

    Raises:
        NearfarError: There are checkpoints, and every one of them is damaged.
    """
    damaged = []
    files = _files(folder)
    run = Manifest(folder.parent)
    entries = None
    if run.exists():
        entries = {Path(name).name: entry for name, entry in run.state().files.items()}
    for described in sorted(files, key=lambda path: files[path], reverse=True):
        if described.suffix != ".json":
            continue
        path = described.with_suffix(".safetensors")
        try:
            return Loaded(_read(described, path, entries), path, tuple(damaged))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            damaged.append(f"{path} ({_reason(error)})")
    if damaged:
        raise NearfarError("every checkpoint is damaged: " + "; ".join(damaged))
    return None


def keep_newest(folder: Path) -> int:
    """Remove all checkpoints but the newest.

    Returns:
        Bytes of its files; 0 where there is none.

    Raises:
        NearfarError: The disk refuses.
    """
    files = _files(folder)
    newest = max((step for path, step in files.items() if path.suffix == ".json"), default=None)
    if newest is None:
        return 0
    _prune(folder, newest=newest, keep=1)
    return sum(path.stat().st_size for path in _files(folder))


def _read(described: Path, path: Path, entries: Mapping[str, FileEntry] | None) -> Checkpoint:
    """One checkpoint, with its checksums checked; raises where anything is amiss."""
    text = described.read_bytes()
    record = json.loads(text)
    claimed = record.pop("sha256")
    if claimed != json_checksum(record):
        raise ValueError(f"checksum of {described.name} does not match")
    if record["format"] != _FORMAT:
        raise ValueError(f"format {record['format']} is not known to this version of nearfar")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != record["tensors_sha256"]:
        raise ValueError(f"checksum of {path.name} does not match")
    if entries is not None:  # a whole checkpoint, but maybe of another run
        entry, tensors = entries.get(described.name), entries.get(path.name)
        if entry is None or tensors is None or not (entry.fits(text) and tensors.fits(content)):
            raise ValueError("it is not the one that this run wrote")
    return Checkpoint(record["step"], safetensors.torch.load(content), record["scalars"])


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "its tensor file is missing"
    if isinstance(error, json.JSONDecodeError):
        return "its JSON is cut short or changed"
    if isinstance(error, KeyError):
        return f"it holds no {error.args[0]}"
    return str(error)


def _files(folder: Path) -> dict[Path, int]:
    """The files of checkpoints with their steps, known by their names."""
    named = ((path, _NAME.fullmatch(path.name)) for path in folder.glob("step-*"))
    return {path: int(match["step"]) for path, match in named if match and path.is_file()}


def _prune(folder: Path, *, newest: int, keep: int) -> None:
    """Remove older checkpoints, later ones that a resumed run left behind, and unfinished files."""
    files = _files(folder)
    steps = {step for path, step in files.items() if path.suffix == ".json"}
    kept = sorted(step for step in steps if step <= newest)[-keep:]
    with writing(folder):
        for path, step in files.items():
            if step not in kept:
                path.unlink(missing_ok=True)
        sync_folder(folder)
    remove_leftovers(folder)
