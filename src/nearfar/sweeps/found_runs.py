"""The runs below a folder, each as one row of figures, read from small files alone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.errors import NearfarError
from nearfar.outside_text import printable
from nearfar.run_folder.glance import Glance, glance, is_run
from nearfar.spec import flat_settings


@dataclass(frozen=True)
class FoundRun:
    """One run; what it has not come to is None.

    Attributes:
        name: Its folder, from the one that was looked through.
        recipe: That it began from.
        method: Its name.
        data: The source's name.
        seed: Of the run.
        done: Epochs done.
        epochs: Of how many.
        state: As `nearfar.run_folder.glance.State` has it.
        check: Its last check during training, in per cent.
        asked: Whether the check's examples were held out of training or trained on.
        knn: Top-1 of the encoder on the test part by the first kNN vote of its evaluation, in per
            cent.
        seconds: Of training.
        started: When, as ISO 8601.
        settings: All settings by their dotted names.
    """

    name: str
    recipe: str | None
    method: str | None
    data: str | None
    seed: int | None
    done: int | None
    epochs: int | None
    state: str
    check: float | None
    asked: str | None
    knn: float | None
    seconds: float | None
    started: str | None
    settings: dict[str, Any]


def find_runs(folder: Path) -> tuple[list[FoundRun], list[str]]:
    """Every run below a folder, unfinished ones and those of sweeps too, by name.

    Args:
        folder: Any; it may be a run itself.

    Returns:
        The runs, and a line for each folder that cannot be read.

    Raises:
        NearfarError: There is no such folder.
    """
    if not folder.is_dir():
        raise NearfarError(f"no folder at {folder}: check the path")
    runs, broken = [], []
    for path in run_folders(folder, broken):
        try:
            runs.append(read_row(name_below(path, folder), path))
        except NearfarError as error:
            broken.append(printable(str(error)))
    return runs, broken


def run_folders(folder: Path, broken: list[str]) -> Iterator[Path]:
    """Folders of runs in the order of their names; nothing inside a run is one.

    Args:
        folder: To look through; links to other folders are not followed.
        broken: Gets a line for each folder that cannot be looked into.
    """

    def told(error: OSError) -> None:
        broken.append(printable(f"cannot read {error.filename}: {error.strerror}"))

    for place, inner, _ in os.walk(folder, onerror=told):
        path = Path(place)
        if is_run(path):
            inner.clear()
            yield path
        inner.sort(key=_in_order)


def name_below(path: Path, folder: Path) -> str:
    """What a run is called: its folder from the one that was looked through."""
    return str(path.relative_to(folder)) if path != folder else path.resolve().name


def read_row(name: str, path: Path) -> FoundRun:
    """One run as a row.

    Args:
        name: What it is called.
        path: Its folder.

    Raises:
        NearfarError: A file is damaged, or not as it was written.
    """
    return _row(name, glance(path))


def _in_order(name: str) -> list[tuple[int, str]]:
    """Numbers inside a name count as numbers: run-2 stands before run-10."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for letter in f"{name}\0":
        if letter.isascii() and letter.isdigit():
            digits += letter
            continue
        if digits:
            parts.append((int(digits[:18]), digits))
            digits = ""
        parts.append((-1, letter))
    return parts


def _row(name: str, seen: Glance) -> FoundRun:
    config, training = seen.config, seen.config.get("training", {})
    epochs = training.get("epochs")
    done = epochs if seen.state in ("finished", "trained") else int(seen.last.get("epoch", 0))
    return FoundRun(
        name=name,
        recipe=config.get("recipe"),
        method=config.get("method", {}).get("name"),
        data=config.get("data", {}).get("name"),
        seed=config.get("seed"),
        done=done if config else None,
        epochs=epochs,
        state=seen.state,
        check=_percent(seen.check.get("top1")),
        # A check that does not say so is of a version that held nothing out.
        asked=str(seen.check.get("asked", "trained on")) if seen.check else None,
        knn=_knn(seen.records),
        seconds=seen.environment.get("seconds"),
        started=seen.environment.get("started"),
        settings=flat_settings(config),
    )


def _knn(records: list[Any]) -> float | None:
    """The encoder's accuracy over all classes by the first vote of neighbours."""
    wanted = {"protocol": "knn", "features": "encoder", "metric": "top1"}
    for record in records:
        if not isinstance(record, dict) or "shots" in (record.get("parameters") or {}):
            continue
        value = record.get("value")
        if all(record.get(key) == asked for key, asked in wanted.items()) and isinstance(
            value, int | float
        ):
            return _percent(value)
    return None


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 3)
