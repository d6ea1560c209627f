"""A run folder at a glance: what its small files say, and the ends of its large one."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from nearfar.errors import NearfarError
from nearfar.run_folder import names
from nearfar.run_folder.lock import is_locked
from nearfar.run_folder.manifest import Manifest, read_file
from nearfar.run_folder.records import Config, Environment, check, check_line

State = Literal["running", "finished", "trained", "pruned", "diverged", "cut", "begun"]
"""Written in now; trained and judged; trained alone; ended early by the search that it is of;
stopped by a number that is not finite; can be gone on with; without a step on record."""

_TAILS = (2**14, 2**18, 2**22)
"""Bytes of `metrics.jsonl` that are read from its end: more where they hold no check."""


@dataclass(frozen=True)
class Glance:
    """What a run folder says of its run.

    Attributes:
        config: `config.json` as it is; empty where the run was cut before it was written.
        environment: `environment.json`, or empty.
        records: `evaluation.json`, or empty.
        last: The last line of `metrics.jsonl`, or empty.
        check: Its last kNN check, or empty.
        state: How far the run has come.
    """

    config: dict[str, Any]
    environment: dict[str, Any]
    records: list[Any]
    last: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)
    state: State = "begun"


def is_run(folder: Path) -> bool:
    """Whether a run was begun in a folder, and not only judged there."""
    if not (folder / names.MANIFEST).is_file():
        return False
    trained = (folder / names.ENVIRONMENT, folder / names.ENCODER_SETTINGS)
    return any(each.is_file() for each in trained) or not (folder / names.EVALUATION).is_file()


def glance(folder: Path) -> Glance:
    """Reads what a table of runs shows: kilobytes, however long the run was.

    Args:
        folder: Of a run.

    Raises:
        NearfarError: A file is damaged, or not as it was written.
    """
    manifest = Manifest(folder)
    files = manifest.state().files

    def read(name: str, empty: Any) -> Any:
        path = folder / name
        try:
            content = read_file(path)
            entry = files.get(name)
            if entry is None or not entry.fits(content):
                content = manifest.read(name)  # with the manifest of now: it may be written anew
        except FileNotFoundError:
            return empty
        try:
            found = json.loads(content)
        except ValueError as error:
            raise NearfarError(f"{path} is damaged: not JSON ({error})") from error
        if not isinstance(found, type(empty)):
            raise NearfarError(f"{path} is damaged: it holds something else")
        return found

    config, environment = read(names.CONFIG, {}), read(names.ENVIRONMENT, {})
    check(Environment, environment, folder / names.ENVIRONMENT)
    check(Config, config, folder / names.CONFIG)
    last, knn = last_lines(folder / names.METRICS)
    records = read(names.EVALUATION, [])
    return Glance(
        config, environment, records, last, knn, _state(folder, last, judged=bool(records))
    )


def _state(folder: Path, last: dict[str, Any], *, judged: bool) -> State:
    if is_locked(folder):
        return "running"
    if (folder / names.ENCODER_SETTINGS).is_file():
        return "finished" if judged else "trained"
    ends: dict[Any, State] = {"not_finite": "diverged", "pruned": "pruned"}
    return ends.get(last.get("kind"), "cut" if last else "begun")


def last_lines(metrics: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last whole line of `metrics.jsonl`, and its last kNN check; read from its end.

    Args:
        metrics: The file, which may be missing or growing.

    Returns:
        Empty where there is none.

    Raises:
        NearfarError: It cannot be read, or one of the two is no JSON object.
    """
    last: dict[str, Any] = {}
    for line in _from_the_end(metrics):
        if last and b'"knn"' not in line:
            continue  # thousands, of a long run without a check
        record = _object(line, metrics)
        last = last or record
        if record.get("kind") == "knn":
            return last, record
    return last, {}


def last_steps(metrics: Path, most: int) -> list[dict[str, Any]]:
    """The last whole lines of training steps, the last first.

    Args:
        metrics: The file, which may be missing or growing.
        most: How many; fewer where there are no more within the longest tail.

    Raises:
        NearfarError: The file cannot be read, or one of the lines is damaged.
    """
    records = (_object(line, metrics) for line in _from_the_end(metrics))
    return list(islice((each for each in records if each.get("kind") == "step"), most))


def last_epoch(metrics: Path) -> float:
    """Epochs that a run has come, by the last whole line of its `metrics.jsonl` alone."""
    line = next(_from_the_end(metrics), None)
    return 0.0 if line is None else float(_object(line, metrics)["epoch"])


def _from_the_end(metrics: Path) -> Iterator[bytes]:
    """Whole lines as far as the longest tail, the last first; no more is read than is asked for."""
    try:
        with metrics.open("rb") as file:
            size, told = file.seek(0, 2), 0
            for most in _TAILS:
                file.seek(max(0, size - most))
                # What follows the last newline is torn; of a tail, the first line is too.
                lines = file.read(min(size, most)).split(b"\n")[most < size : -1]
                yield from lines[::-1][told:]
                told = len(lines)
                if most >= size:
                    break
    except FileNotFoundError:
        pass
    except OSError as error:
        raise NearfarError(f"cannot read {metrics}: {error.strerror}") from error


def _object(line: bytes, path: Path) -> dict[str, Any]:
    record: dict[str, Any] = {}
    with suppress(ValueError):
        record = json.loads(line)
    check_line(record, path)
    return record
