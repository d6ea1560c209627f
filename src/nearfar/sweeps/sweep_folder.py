"""The folder of a sweep: the one place that knows its file names, and who may change it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nearfar.durable_files import make_folder, write_durably, writing
from nearfar.errors import NearfarError, SettingError
from nearfar.paths import user_path
from nearfar.recipes.data_root import with_absolute_root
from nearfar.run_folder.manifest import read_file
from nearfar.spec import as_spec, flat_settings, to_json
from nearfar.sweeps.study import Study

FORMAT = "nearfar sweep 1"
_MAY_CHANGE = ("trials", "minutes")


class SweepFolder:
    """The folder that one sweep fills. Making the object touches nothing on disk."""

    def __init__(self, path: Path | str) -> None:
        self.path = user_path(path)
        self.study = self.path / "sweep.json"
        self.journal = self.path / "journal.jsonl"
        self.runs = self.path / "runs"
        self.logs = self.path / "logs"
        self.page = self.path / "sweep.html"
        self.table = self.path / "sweep.csv"

    def run(self, trial: int, seed: int) -> Path:
        """The folder of one run."""
        return self.runs / f"{trial:04}-seed-{seed}"

    def log(self, worker: str) -> Path:
        """What a worker says."""
        return self.logs / f"{worker}.log"

    def core(self, machine: str, core: int) -> Path:
        """What a worker locks that keeps to one core of a machine."""
        return self.path / f".lock-core-{machine}-{core}"

    @contextmanager
    def locked(self, what: str = "sweep") -> Iterator[None]:
        """Let one process at a time change something; the system frees what a killed one held.

        Args:
            what: That is changed; locks of different things do not wait for each other.

        Raises:
            NearfarError: The disk refuses, or has no locks.
        """
        with writing(self.path):
            file = (self.path / f".lock-{what}").open("ab")
        with file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX)
            except OSError as error:
                raise NearfarError(
                    f"{self.path} is on a disk without locks ({error.strerror}), by which workers "
                    "keep out of each other's way: choose another --out"
                ) from error
            yield

    def begin(self, study: Study) -> Study:
        """Begin a sweep, or join the same one; its budget may be another than it was.

        Returns:
            The study, its paths absolute.

        Raises:
            NearfarError: The folder holds something else, or a sweep of another study.
        """
        recipe = study.recipe
        recipe = replace(
            recipe,
            data=with_absolute_root(recipe.data),
            encoder=recipe.encoder.with_absolute_start(),
            method=recipe.method.with_absolute_paths(),
        )
        study = replace(study, recipe=recipe)
        self._check_free()
        make_folder(self.path)
        with self.locked():
            if self.study.is_file():
                self._refuse_another(study)
            make_folder(self.runs)
            content = {"format": FORMAT, **to_json(study)}
            write_durably(self.study, (json.dumps(content, indent=2) + "\n").encode())
        return study

    def read(self) -> Study:
        """The study of the sweep that the folder holds.

        Raises:
            NearfarError: It holds none, or `sweep.json` is damaged.
        """
        try:
            content = json.loads(read_file(self.study))
            if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
                raise ValueError(f"not of the form {FORMAT!r}")
        except FileNotFoundError as error:
            raise NearfarError(
                f"{self.path} holds no sweep: there is no {self.study.name}: check the path"
            ) from error
        except ValueError as error:
            raise NearfarError(f"{self.study} is damaged: {error}") from error
        try:
            return as_spec(Study, content)
        except SettingError as error:
            raise SettingError(f"{self.study}: {error}") from None

    def _check_free(self) -> None:
        if self.study.is_file() or not self.path.exists():
            return
        if not self.path.is_dir():
            raise NearfarError(f"{self.path} is no folder: choose another --out")
        left = sorted(each for each in os.listdir(self.path) if not each.startswith(".sweep."))
        if left and left != [self.runs.name]:
            raise NearfarError(
                f"{self.path} is not empty and holds no sweep ({left[0]} is there): choose another "
                "--out"
            )

    def _refuse_another(self, study: Study) -> None:
        there, wanted = _flat(self.read()), _flat(study)
        differ = [name for name in {**there, **wanted} if there.get(name) != wanted.get(name)]
        if differ:
            first = differ[0]
            more = f" and {len(differ) - 1} more" if len(differ) > 1 else ""
            raise NearfarError(
                f"{self.path} holds another sweep: {first} is {there.get(first)} there, not "
                f"{wanted.get(first)}{more}: choose another --out, or go on with that one by "
                f"`nearfar sweep --resume {self.path}`"
            )


def _flat(study: Study) -> dict[str, object]:
    """All that makes a sweep this one, by dotted names."""
    values = {key: value for key, value in to_json(study).items() if key not in _MAY_CHANGE}
    axes = {axis.setting: to_json(axis) for axis in study.axes}
    return flat_settings({**values, "axes": axes})
