"""Files of a run, written and read by its manifest."""

import json
from pathlib import Path
from typing import Any

from nearfar.errors import NearfarError
from nearfar.run_folder import names
from nearfar.run_folder.manifest import Manifest

Json = dict[str, Any]

_WRITTEN_BY = {
    names.CONFIG: "`nearfar train`",
    names.ENVIRONMENT: "`nearfar train`",
    names.START: "`nearfar train`",
    names.METRICS: "`nearfar train`",
    names.EVALUATION: "`nearfar evaluate`",
    names.EVALUATION_ARRAYS: "`nearfar evaluate`",
}


def _missing(path: Path) -> NearfarError:
    return NearfarError(f"no {path.name} in {path.parent}: {_WRITTEN_BY[path.name]} writes it")


class HeldFiles:
    """The files of one folder, each held to the checksum in the manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = Manifest(path)

    def _write(self, path: Path, content: bytes) -> None:
        if not self.manifest.exists():
            self.manifest.begin()
        self.manifest.write({path.name: content})

    def _read(self, path: Path) -> bytes:
        try:
            return self.manifest.read(path.name)
        except FileNotFoundError as error:
            raise _missing(path) from error

    def _write_json(self, path: Path, content: Any) -> None:
        self._write(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())

    def _read_json(self, path: Path) -> Any:
        try:
            return json.loads(self._read(path))
        except ValueError as error:
            raise NearfarError(f"{path} is damaged: not JSON ({error})") from error

    def _read_object(self, path: Path) -> Json:
        content = self._read_json(path)
        if not isinstance(content, dict):
            raise NearfarError(f"{path} is damaged: not a JSON object")
        return content
