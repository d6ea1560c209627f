"""A run folder: the one place that knows its file names, with a writer and a reader for each.

Nothing is ever half-written: a file is written aside, synced and renamed. The exception is
`metrics.jsonl`, which grows line by line; its readers forgive a torn last line. What is read is
held to the checksums of the run's manifest, `run.json`.
"""

import io
import json
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.durable_files import (
    UNFINISHED,
    append_line,
    make_folder,
    remove_leftovers,
    write_durably,
    writing,
)
from nearfar.errors import NearfarError
from nearfar.launch import launched
from nearfar.npy_headers import read_within
from nearfar.paths import user_path
from nearfar.run_folder import names, replacing
from nearfar.run_folder.held_files import HeldFiles, Json
from nearfar.run_folder.lock import locked
from nearfar.run_folder.manifest import FileEntry, read_file, sha256_of

_CHOICE = {"what", "value", "why", "option"}
CONFIG_FORMAT = 2
"""The form of `config.json` that is written today."""

MOST_EVALUATION_BYTES = 2**30
"""Of the arrays of an evaluation, unpacked: a few MB of zip can hold any size of zeros."""


class RunFolder(HeldFiles):
    """The folder that one run fills. Making the object touches nothing on disk."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(user_path(path))
        self.config = self.path / names.CONFIG
        self.choices = self.path / names.CHOICES
        self.environment = self.path / names.ENVIRONMENT
        self.metrics = self.path / names.METRICS
        self.checkpoints = self.path / names.CHECKPOINTS
        self.tensorboard = self.path / names.TENSORBOARD
        self.encoder_weights = self.path / names.ENCODER_WEIGHTS
        self.encoder_settings = self.path / names.ENCODER_SETTINGS
        self.evaluation = self.path / names.EVALUATION
        self.evaluation_arrays = self.path / names.EVALUATION_ARRAYS
        self.finished_work = self.path / names.FINISHED_WORK
        self.mutual_information = self.path / names.MUTUAL_INFORMATION
        self.unreadable = self.path / names.UNREADABLE
        self.report = self.path / names.REPORT
        self._metrics_named = False

    def __str__(self) -> str:
        return str(self.path)

    @property
    def resume_command(self) -> str:
        """The command that goes on with this run, on as many ranks as this process's run has."""
        return f"{launched().command}nearfar train --resume {shlex.quote(str(self.path))}"

    @classmethod
    def create(cls, path: str | Path) -> "RunFolder":
        """Make a new run folder.

        Args:
            path: The folder; an empty one may exist already.

        Raises:
            NearfarError: The folder holds something already, or cannot be made.
        """
        folder = cls(path)
        make_folder(folder.path)
        folder.check_free()
        if not folder.manifest.exists():  # as where another rank has just made it
            folder.manifest.begin()
        return folder

    @classmethod
    @contextmanager
    def begun(cls, path: str | Path, *, overwrite: bool = False) -> Iterator["RunFolder"]:
        """Begin a new run, and keep its folder locked.

        A run that is replaced is kept inside the folder until the new one has a checkpoint. Where
        the new one fails before that, it goes, and the old one is back.

        Args:
            path: The folder; an empty one may exist already.
            overwrite: Replace the run that it holds. What no run wrote stays.

        Raises:
            NearfarError: The folder is taken, or cannot be made or written in.
        """
        folder = cls(path)
        folder.check_free(overwrite=overwrite)
        make_folder(folder.path)
        with folder.held():
            folder.check_free(overwrite=overwrite)
            replaces = None
            if overwrite and folder.manifest.exists():
                if not folder._has_checkpoints():
                    replacing.take_back(folder.path)
                replacing.drop_replaced(folder.path)
                replaces = replacing.move_aside(folder.path)
            folder.manifest.begin(replaces=replaces)
            try:
                yield folder
            except BaseException as error:
                if not folder._has_checkpoints() and replacing.take_back(folder.path):
                    _add(error, f"the run that {path} held before is back")
                raise

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """The folder of an existing run.

        Raises:
            NearfarError: There is no such folder, or it holds no run.
        """
        folder = cls(path)
        if not folder.path.is_dir():
            raise NearfarError(f"no run folder at {path}: check the path")
        if replacing.is_unsettled(folder.path):
            with folder.held():
                pass
        if not folder.config.is_file():
            raise NearfarError(f"{path} is not a run folder: it holds no {folder.config.name}")
        folder.manifest.state()
        return folder

    def check_free(self, *, overwrite: bool = False) -> None:
        """Refuse a folder in which no new run may begin. Nothing is written.

        Args:
            overwrite: Whether a run may be there.

        Raises:
            NearfarError: It holds something already.
        """
        try:
            there = sorted(entry.name for entry in self.path.iterdir())
            left = [name for name in there if not name.endswith(UNFINISHED)]
        except FileNotFoundError:
            return
        except OSError as error:
            raise NearfarError(
                f"cannot make the run folder {self.path}: {error.strerror}"
            ) from error
        begun = {names.LOCK, self.manifest.path.name}
        if not set(left) - {names.LOCK} or (set(left) <= begun and not self.manifest.owned()):
            return
        if self.manifest.exists() or replacing.is_unsettled(self.path):
            if overwrite:
                if self.manifest.exists():
                    self.manifest.state()
                return
            raise NearfarError(
                f"the run folder {self.path} holds a run already: go on with "
                f"`{self.resume_command}`, pass --overwrite to start anew, or choose another --out"
            )
        if not overwrite:
            raise NearfarError(
                f"the run folder {self.path} is not empty ({left[0]} is there): choose another "
                "--out"
            )
        raise NearfarError(
            f"will not overwrite {self.path}: it holds {left[0]} but no run, which a "
            f"{self.manifest.path.name} would name; choose another --out"
        )

    @contextmanager
    def held(self, doing: str = "training") -> Iterator[None]:
        """Keep other processes from writing in this folder at the same time.

        What a killed process left half-written is removed, and what it left half-moved is put
        right.

        Args:
            doing: What a second process is told.

        Raises:
            NearfarError: Another process is at it.
        """
        with locked(self.path, doing) as taken:
            if taken:
                remove_leftovers(self.path)
                remove_leftovers(self.checkpoints)
                replacing.settle(self.path)
            yield

    def drop_replaced(self) -> None:
        """Remove the run that this one replaces: this one has a checkpoint."""
        replacing.drop_replaced(self.path)

    def _has_checkpoints(self) -> bool:
        return any(
            name.startswith(f"{names.CHECKPOINTS}/") and name.endswith(".json")
            for name in self.manifest.owned()
        )

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write `config.json`: the recipe as nested JSON, and the number of its form."""
        self._write_json(self.config, {"format": CONFIG_FORMAT, **config})

    def read_config(self) -> Json:
        """Read `config.json` as it is; `training.config_format` reads any form of it."""
        return self._read_object(self.config)

    def write_choices(self, choices: Sequence[Mapping[str, str]]) -> None:
        """Write `choices.json`: what was chosen for data of one's own, and why."""
        self._write_json(self.choices, list(choices))

    def read_choices(self) -> list[dict[str, str]]:
        """Read `choices.json`."""
        choices = self._read_json(self.choices)
        fit = isinstance(choices, list) and all(isinstance(each, dict) for each in choices)
        if not fit or any(set(each) != _CHOICE for each in choices):
            raise NearfarError(f"{self.choices} is damaged: it holds no list of choices")
        return [{key: str(value) for key, value in each.items()} for each in choices]

    def write_unreadable(self, faults: Sequence[tuple[str, str]]) -> None:
        """Write `unreadable.json`: name and fault of files that another stood in for."""
        self._write_json(self.unreadable, [{"file": name, "fault": why} for name, why in faults])

    def read_unreadable(self) -> list[tuple[str, str]]:
        """Read `unreadable.json`; empty where every file could be read so far."""
        held = self._read_json(self.unreadable) if self.unreadable.is_file() else []
        if not isinstance(held, list) or not all(
            isinstance(each, dict) and set(each) == {"file", "fault"} for each in held
        ):
            raise NearfarError(f"{self.unreadable} is damaged: it holds no list of files")
        return [(str(each["file"]), str(each["fault"])) for each in held]

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Write `environment.json`: versions, hardware, threads, command, times."""
        self._write_json(self.environment, environment)

    def read_environment(self) -> Json:
        """Read `environment.json`."""
        return self._read_object(self.environment)

    def start_of(self, tower: str) -> Path:
        """`start.json`, or `second_start.json` of the second encoder."""
        return self.path / names.STARTS[tower]

    def write_start(self, start: Mapping[str, Any], tower: str = "first") -> None:
        """Write `start.json`: which weights an encoder began with, and how they fitted."""
        self._write_json(self.start_of(tower), start)

    def read_start(self, tower: str = "first") -> Json:
        """Read `start.json`; empty where the encoder began with random weights."""
        file = self.start_of(tower)
        return self._read_object(file) if file.is_file() else {}

    def write_evaluation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write `evaluation.json`: a list of flat records."""
        self._write_json(self.evaluation, list(records))

    def read_evaluation(self) -> list[Json]:
        """Read `evaluation.json`."""
        records = self._read_json(self.evaluation)
        if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
            raise NearfarError(f"{self.evaluation} is not a list of records: evaluate the run anew")
        return records

    def write_evaluation_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write `evaluation.npz`. Arrays of objects are refused: they would need pickle."""
        for name, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise ValueError(f"array {name!r} holds objects")
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
        self._write(self.evaluation_arrays, buffer.getvalue())

    def read_evaluation_arrays(self) -> dict[str, np.ndarray]:
        """Read `evaluation.npz`, never through pickle."""
        content = self._read(self.evaluation_arrays)
        try:
            return read_within(content, MOST_EVALUATION_BYTES)
        except Exception as error:  # zipfile, zlib and numpy each have their own
            raise NearfarError(f"{self.evaluation_arrays} is damaged ({error})") from error

    def write_report(self, html: str) -> None:
        """Write `report.html`."""
        write_durably(self.report, html.encode())

    def append_metrics(self, record: Mapping[str, Any]) -> str:
        """Add one line to `metrics.jsonl`; numbers that are not finite are written as null.

        Returns:
            The line.
        """
        if not self._metrics_named:
            if self.manifest.entry(self.metrics.name) is None:
                self.manifest.grow(self.metrics.name, size=0, sha256=sha256_of(b""))
            self._metrics_named = True
        line = json.dumps(_finite(record), allow_nan=False)
        append_line(self.metrics, line)
        return line + "\n"

    def read_metrics(self) -> list[Json]:
        """Read `metrics.jsonl`; a last line that a kill cut short is left out.

        Raises:
            NearfarError: There is no such file, or a line before the last is damaged.
        """
        lines = self._read(self.metrics).split(b"\n")
        # What follows the last newline is torn.
        return [
            _metrics_record(self.metrics, line, number) for number, line in enumerate(lines[:-1], 1)
        ]

    def sync_metrics(self) -> None:
        """Make all that was appended to `metrics.jsonl` survive a power cut."""
        if self.metrics.exists():
            with writing(self.metrics), self.metrics.open("rb") as file:
                os.fsync(file.fileno())

    def whole_metrics(self, *, step: int, size: int, sha256: str) -> int:
        """How much of `metrics.jsonl` a resumed run keeps.

        Args:
            step: Steps taken at its checkpoint.
            size: Bytes of the file then.

        Raises:
            NearfarError: The file no longer begins so, and nobody has said that it may be used.
        """
        name = self.metrics.name
        content = read_file(self.metrics) if self.metrics.exists() else b""
        if FileEntry(size, sha256, grows=True).fits(content):
            return size
        entry = self.manifest.entry(name)
        if entry is None or not (entry.by_hand and entry.fits(content)):
            raise self.manifest.changed(name)
        kept = [
            line
            for line in content.split(b"\n")[:-1]
            if _steps_of(_metrics_record(self.metrics, line)) <= step
        ]
        content = b"".join(line + b"\n" for line in kept)
        self.manifest.write({name: content})
        return len(content)

    def begin_metrics(self, size: int) -> bytes:
        """Cut `metrics.jsonl` back to so many bytes; a resumed run writes the rest again.

        Returns:
            What is left.
        """
        with writing(self.metrics):
            content = self.metrics.read_bytes()[:size] if self.metrics.exists() else b""
            self.manifest.grow(self.metrics.name, size=len(content), sha256=sha256_of(content))
            if self.metrics.exists():
                os.truncate(self.metrics, len(content))
        return content


def _metrics_record(path: Path, line: bytes, number: int | None = None) -> Json:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        where = "" if number is None else f" at line {number}"
        raise NearfarError(f"{path} is damaged{where}: {line[:40]!r}")
    return record


def _steps_of(record: Json) -> int | float:
    """Steps taken when a line was written; past all of them where it does not say."""
    step = record.get("step")
    return step if isinstance(step, int) else math.inf


def _finite(record: Mapping[str, Any]) -> Json:
    """The record with null for what JSON has no number for."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in record.items()
    }


def _add(error: BaseException, sentence: str) -> None:
    """Tell in an error of ours what became of the run."""
    if isinstance(error, NearfarError):
        error.args = (f"{error}; {sentence}", *error.args[1:])
