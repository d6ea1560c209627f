"""Which files of a folder are a run's, and what each must hold: the run's `run.json`.

A run is known by this file, and what it does not name is not the run's. It names a file before the
file is written, with the checksum of what is coming and of what lies there, so that a process that
dies in between leaves a run that can still be read. `metrics.jsonl` grows: of it, the first bytes
are held to their checksum.
"""

import hashlib
import json
import re
import secrets
import shlex
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError
from nearfar.run_folder import names

_FORMAT = "nearfar run 1"
_NAME = re.compile(rf"(({'|'.join(names.FOLDERS)})/)?[^/\x00]+")
_PATIENCE = (0.02, 0.1, 0.5)
"""Seconds after which a file that does not fit is read again: another process may be writing it."""


@dataclass(frozen=True)
class FileEntry:
    """What one file of a run must hold.

    Attributes:
        size: Its bytes.
        sha256: Checksum of so many bytes from its beginning.
        before: Checksum of what lay there, as long as it may still lie there.
        grows: Whether more may follow.
        by_hand: Whether a person changed it and said so.
    """

    size: int
    sha256: str
    before: str | None = None
    grows: bool = False
    by_hand: bool = False

    def fits(self, content: bytes) -> bool:
        """Whether this is what was written."""
        begins = content[: self.size] if self.grows else content
        if len(begins) == self.size and sha256_of(begins) == self.sha256:
            return True
        return self.before is not None and sha256_of(content) == self.before


@dataclass(frozen=True)
class RunState:
    """What `run.json` holds besides its own checksum.

    Attributes:
        format: Of this file.
        id: Of the run; no two have the same.
        files: By name inside the folder, `/` between parts.
        replaces: Id of the run that lay here and is kept until this one has a checkpoint.
        given_up: Whether this run is being removed, so that the one it replaces can come back.
    """

    format: str
    id: str
    files: dict[str, FileEntry] = field(default_factory=dict)
    replaces: str | None = None
    given_up: bool = False


_STATE = TypeAdapter(RunState)
_ANYTHING = FileEntry(0, hashlib.sha256(b"").hexdigest(), grows=True)


class Manifest:
    """The `run.json` of a folder. Making the object touches nothing on disk.

    Whoever writes holds the run's lock; readers need none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / names.MANIFEST

    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return self.path.is_file()

    def begin(self, *, replaces: str | None = None) -> None:
        """Make the folder a run's, with no file yet.

        Args:
            replaces: Id of the run that lay here.

        Raises:
            NearfarError: The disk is full or refuses.
        """
        # A page is made from the other files at any time: whatever it holds is the run's.
        page = {} if (self.folder / names.REPORT).exists() else {names.REPORT: _ANYTHING}
        self._store(RunState(_FORMAT, secrets.token_hex(8), page, replaces=replaces))

    def state(self) -> RunState:
        """What it says, checked.

        Raises:
            NearfarError: It is missing or damaged.
        """
        try:
            record = json.loads(self.path.read_bytes())
            claimed = record.pop("sha256")
            whole = claimed == json_checksum(record)
            state = _STATE.validate_json(json.dumps(record), strict=True) if whole else None
        except FileNotFoundError:
            raise NearfarError(
                f"{self.folder} holds no {names.MANIFEST}, by which a run is known; if an earlier "
                f"nearfar made it, `{self._accept()}` takes its files as they are"
            ) from None
        except OSError as error:
            raise NearfarError(f"cannot read {self.path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
            state = None
        if state is None or state.format != _FORMAT or not all(map(_is_a_name, state.files)):
            raise NearfarError(
                f"{self.path} is damaged: put a good copy back, or take the run's files as they "
                f"are with `{self._accept()}`"
            )
        return state

    def mark(self, *, replaces: str | None, given_up: bool = False) -> None:
        """Say what becomes of this run and of the one it replaces."""
        self._store(replace(self.state(), replaces=replaces, given_up=given_up))

    def write(
        self, files: Mapping[str, bytes], *, grown: Mapping[str, FileEntry] | None = None
    ) -> None:
        """Write files of the run, each whole or not at all, in this order.

        Args:
            files: Content by name.
            grown: What is known by now of files that grow.

        Raises:
            NearfarError: The disk is full or refuses, or a file lies there that is not the run's.
        """
        state = self.state()
        coming = {
            name: self._coming(name, content, state.files.get(name))
            for name, content in files.items()
        }
        held = {
            name: entry
            for name, entry in state.files.items()
            # Checkpoints come and go.
            if not name.startswith(f"{names.CHECKPOINTS}/") or (self.folder / name).exists()
        }
        self._store(replace(state, files=held | (dict(grown) if grown else {}) | coming))
        for name, content in files.items():
            write_durably(self.folder / name, content)
        if any(entry.before for entry in coming.values()):
            written = {name: replace(entry, before=None) for name, entry in coming.items()}
            state = self.state()
            self._store(replace(state, files=state.files | written))

    def grow(self, name: str, *, size: int, sha256: str) -> None:
        """Say that a file which grows begins with so many bytes of that checksum."""
        state = self.state()
        entry = FileEntry(size, sha256, grows=True)
        if state.files.get(name) != entry:
            self._store(replace(state, files={**state.files, name: entry}))

    def read(self, name: str) -> bytes:
        """A file of the run, if it is as it was written.

        Raises:
            FileNotFoundError: There is none.
            NearfarError: It is another one, cannot be read, or the manifest is damaged.
        """
        path = self.folder / name
        for seconds in (*_PATIENCE, None):
            entry = self.state().files.get(name)
            content = read_file(path)
            if entry is not None and entry.fits(content):
                return content
            if seconds is not None:
                time.sleep(seconds)
        raise self.changed(name)

    def entry(self, name: str) -> FileEntry | None:
        """What a file must hold; None where it is not the run's."""
        return self.state().files.get(name)

    def changed(self, name: str) -> NearfarError:
        """The error for a file that is not as it was written."""
        return NearfarError(
            f"{self.folder / name} is not as nearfar wrote it: damaged, changed by hand, or of "
            f"another run; put the right one back, or take it as it is with `{self._accept(name)}`"
        )

    def accept(self, chosen: Sequence[str], *, anew: bool = False) -> None:
        """Take files as they are now.

        Args:
            chosen: Names of files of the folder.
            anew: Begin a manifest of these files, where there is none or it is damaged.

        Raises:
            NearfarError: A file is missing, or the disk refuses.
        """
        state = RunState(_FORMAT, secrets.token_hex(8)) if anew else self.state()
        files = dict(state.files)
        for name in chosen:
            if not _is_a_name(name) or name == names.MANIFEST:
                raise NearfarError(f"{name!r} is no file of a run")
            try:
                content = read_file(self.folder / name)
            except FileNotFoundError as error:
                raise NearfarError(f"there is no {name} in {self.folder}") from error
            files[name] = FileEntry(len(content), sha256_of(content), by_hand=True)
        self._store(replace(state, files=files))

    def owned(self) -> list[str]:
        """Names of all files there are that the run wrote, events of TensorBoard among them."""
        state = self.state()
        events = sorted((self.folder / names.TENSORBOARD).glob(f"*.{state.id}"))
        inner = (f"{names.TENSORBOARD}/{path.name}" for path in events)
        known = dict.fromkeys([*state.files, *inner])
        return [name for name in known if (self.folder / name).exists()]

    def _coming(self, name: str, content: bytes, held: FileEntry | None) -> FileEntry:
        path, before = self.folder / name, None
        if path.is_file():
            if held is None:
                raise NearfarError(
                    f"will not replace {path}: it is not this run's; move it away, or take it as "
                    f"the run's with `{self._accept(name)}`"
                )
            lies_there = read_file(path)
            before = sha256_of(lies_there) if held.fits(lies_there) else None
        return FileEntry(len(content), sha256_of(content), before=before)

    def _store(self, state: RunState) -> None:
        record = asdict(state)
        content = json.dumps({**record, "sha256": json_checksum(record)}, indent=1)
        write_durably(self.path, content.encode() + b"\n")

    def _accept(self, *chosen: str) -> str:
        return f"nearfar accept {shlex.join([str(self.folder), *chosen])}"


def write_beside_manifest(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, named by its manifest where it has one.

    Raises:
        NearfarError: The disk is full or refuses.
    """
    manifest = Manifest(folder)
    if manifest.exists():
        manifest.write(files)
        return
    for name, content in files.items():
        write_durably(folder / name, content)


def read_beside_manifest(folder: Path, name: str) -> bytes:
    """A file, held to its folder's manifest where it has one.

    Raises:
        FileNotFoundError: There is none.
        NearfarError: It is not as it was written, or cannot be read.
    """
    manifest = Manifest(folder)
    return manifest.read(name) if manifest.exists() else read_file(folder / name)


def read_file(path: Path) -> bytes:
    """A file's content; a device or a pipe, which might never end, is refused.

    Raises:
        FileNotFoundError: There is none.
        NearfarError: It is no file, or cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NearfarError(f"cannot read {path}: it is not a file")
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NearfarError(f"cannot read {path}: {error.strerror}") from error


def sha256_of(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def json_checksum(record: Mapping[str, object]) -> str:
    """SHA-256 of a JSON object, whatever its layout in the file."""
    return sha256_of(json.dumps(record, sort_keys=True).encode())


def _is_a_name(name: str) -> bool:
    """Whether a name stays inside the run folder."""
    return bool(_NAME.fullmatch(name)) and name.rpartition("/")[2] not in (".", "..")
