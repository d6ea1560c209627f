"""A run folder: the one place that knows its file names, with a writer and a reader for each.

Nothing is ever half-written: a file is written aside, synced and renamed. The exception is
`metrics.jsonl`, which grows line by line; its readers forgive a torn last line.
"""

import fcntl
import io
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.data.npy_headers import read_within
from nearfar.durable_files import append_line, remove_leftovers, sync_folder, write_durably
from nearfar.errors import NearfarError
from nearfar.paths import user_path
from nearfar.training.launch import launched

Json = dict[str, Any]

_FILES = (
    "config.json",
    "environment.json",
    "metrics.jsonl",
    "encoder.safetensors",
    "encoder.json",
    "classifier.safetensors",
    "evaluation.json",
    "evaluation.npz",
    "mutual_information.json",
    "report.html",
    ".training-lock",
)
_FOLDERS = ("checkpoints", "tensorboard")
MOST_EVALUATION_BYTES = 2**30
"""Of the arrays of an evaluation, unpacked: a few MB of zip can hold any size of zeros."""


class RunFolder:
    """The folder that one run fills. Making the object touches nothing on disk.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = user_path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.encoder_weights = self.path / "encoder.safetensors"
        self.encoder_settings = self.path / "encoder.json"
        self.evaluation = self.path / "evaluation.json"
        self.evaluation_arrays = self.path / "evaluation.npz"
        self.mutual_information = self.path / "mutual_information.json"
        self.report = self.path / "report.html"
        self._lock = self.path / ".training-lock"

    def __str__(self) -> str:
        return str(self.path)

    @property
    def resume_command(self) -> str:
        """The command that goes on with this run, on as many ranks as this process's run has."""
        return f"{launched().command}nearfar train --resume {shlex.quote(str(self.path))}"

    @classmethod
    def create(cls, path: str | Path, *, overwrite: bool = False) -> "RunFolder":
        """Make a new run folder, or empty an old one.

        Args:
            path: The folder; an empty one may exist already.
            overwrite: Remove what an earlier run left there. Only files that a run writes are
                removed, and only from a folder that holds a run.

        Raises:
            NearfarError: The folder holds something already, or cannot be made.
        """
        folder = cls(path)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            left = sorted(entry.name for entry in folder.path.iterdir())
        except OSError as error:
            raise NearfarError(f"cannot make the run folder {path}: {error.strerror}") from error
        if not left:
            return folder
        # `config.json` alone says little: many programs write one.
        holds_run = folder.environment.is_file() or set(left) <= {*_FILES, *_FOLDERS}
        if not overwrite:
            advice = (
                f"go on with `{folder.resume_command}`, pass --overwrite to start anew, "
                "or choose another --out"
                if holds_run
                else "choose another --out"
            )
            what = "holds a run already" if holds_run else f"is not empty ({left[0]} is there)"
            raise NearfarError(f"the run folder {path} {what}: {advice}")
        if not holds_run:
            raise NearfarError(
                f"will not overwrite {path}: it holds {left[0]} but no run; choose another --out"
            )
        with folder.held():
            folder._clear()
        return folder

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """The folder of an existing run.

        Raises:
            NearfarError: There is no such folder, or it holds no run.
        """
        folder = cls(path)
        if not folder.path.is_dir():
            raise NearfarError(f"no run folder at {path}: check the path")
        if not folder.config.is_file():
            raise NearfarError(f"{path} is not a run folder: it holds no {folder.config.name}")
        return folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training in this folder at the same time.

        What a killed process left half-written is removed.

        Raises:
            NearfarError: Another process is at it.
        """
        try:
            file = self._lock.open("w")
        except OSError as error:
            raise NearfarError(f"cannot write in {self.path}: {error.strerror}") from error
        with file:
            try:
                # A record lock: it goes when the process dies, and its forked children have none.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                raise NearfarError(
                    f"another process is training in {self.path}: wait for it, or stop it"
                ) from error
            except OSError:
                pass  # a file system without locks
            remove_leftovers(self.path)
            remove_leftovers(self.checkpoints)
            yield

    def _clear(self) -> None:
        """Remove what a run writes; the configuration goes last, so that a cut repeat can go on."""
        try:
            for folder in map(self.path.joinpath, _FOLDERS):
                if folder.is_symlink():
                    folder.unlink()
                elif folder.exists():
                    shutil.rmtree(folder)
            for name in reversed(_FILES):
                (self.path / name).unlink(missing_ok=True)
            sync_folder(self.path)
        except OSError as error:
            raise NearfarError(f"cannot empty the run folder {self.path}: {error}") from error

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write `config.json`: the recipe as nested JSON."""
        self._write_json(self.config, config)

    def read_config(self) -> Json:
        """Read `config.json`."""
        return self._read_object(self.config)

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Write `environment.json`: versions, hardware, threads, command, times."""
        self._write_json(self.environment, environment)

    def read_environment(self) -> Json:
        """Read `environment.json`."""
        return self._read_object(self.environment)

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
        write_durably(self.evaluation_arrays, buffer.getvalue())

    def read_evaluation_arrays(self) -> dict[str, np.ndarray]:
        """Read `evaluation.npz`, never through pickle."""
        try:
            return read_within(self.evaluation_arrays, MOST_EVALUATION_BYTES)
        except FileNotFoundError as error:
            raise _missing(self.evaluation_arrays) from error
        except Exception as error:  # zipfile, zlib and numpy each have their own
            raise NearfarError(f"{self.evaluation_arrays} is damaged ({error})") from error

    def write_report(self, html: str) -> None:
        """Write `report.html`."""
        write_durably(self.report, html.encode())

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one line to `metrics.jsonl`; numbers that are not finite are written as null."""
        append_line(self.metrics, json.dumps(_finite(record), allow_nan=False))

    def read_metrics(self) -> list[Json]:
        """Read `metrics.jsonl`; a last line that a kill cut short is left out.

        Raises:
            NearfarError: There is no such file, or a line before the last is damaged.
        """
        try:
            lines = self.metrics.read_bytes().split(b"\n")
        except FileNotFoundError as error:
            raise _missing(self.metrics) from error
        records = []
        for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is torn
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise NearfarError(f"{self.metrics} is damaged at line {number}: {line[:40]!r}")
            records.append(record)
        return records

    def metrics_size(self) -> int:
        """Bytes of `metrics.jsonl`, synced to disk: where a resumed run goes on writing."""
        if not self.metrics.exists():
            return 0
        with self.metrics.open("rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size

    def truncate_metrics(self, size: int) -> None:
        """Cut `metrics.jsonl` back to a `metrics_size`; a resumed run writes the rest again."""
        if self.metrics.exists() and self.metrics.stat().st_size > size:
            os.truncate(self.metrics, size)

    def _write_json(self, path: Path, content: Any) -> None:
        write_durably(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())

    def _read_json(self, path: Path) -> Any:
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise _missing(path) from error
        except ValueError as error:
            raise NearfarError(f"{path} is damaged: not JSON ({error})") from error

    def _read_object(self, path: Path) -> Json:
        content = self._read_json(path)
        if not isinstance(content, dict):
            raise NearfarError(f"{path} is damaged: not a JSON object")
        return content


_WRITTEN_BY = {
    "config.json": "`nearfar train`",
    "environment.json": "`nearfar train`",
    "metrics.jsonl": "`nearfar train`",
    "evaluation.json": "`nearfar evaluate`",
    "evaluation.npz": "`nearfar evaluate`",
}


def _missing(path: Path) -> NearfarError:
    return NearfarError(f"no {path.name} in {path.parent}: {_WRITTEN_BY[path.name]} writes it")


def _finite(record: Mapping[str, Any]) -> Json:
    """The record with null for what JSON has no number for."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in record.items()
    }
