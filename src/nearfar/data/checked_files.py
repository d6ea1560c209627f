"""Image files that an earlier opening has decoded without fault, and need not decode again."""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from nearfar.data.image_files import ImageHeader
from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError
from nearfar.npy_headers import read_within
from nearfar.paths import user_cache

_FORMAT = 1
_MOST_BYTES = 2**33
"""Of such an account, unpacked: some ten million files."""


class CheckedFiles:
    """What is known of the image files below a folder, kept in the user's cache.

    A file counts as known while its size and its time of change are those that it was decoded
    with. Files that could not be read are never kept: they are tried anew each time.

    Args:
        root: The folder.
        files: Below it. Their sizes and times are taken now, before they are read: what changes
            while it is read is then decoded again.
    """

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self._files = files
        self._stamps = _stamps(files)
        name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]
        self._path = user_cache() / "checked-images" / f"{name}.npz"

    def unchanged(self) -> dict[Path, ImageHeader]:
        """The headers of those files that are known, in the order of the files."""
        known = self._read()
        if not known:
            return {}
        row_of = {path: row for row, path in enumerate(known["paths"].tolist())}
        rows = np.array([row_of.get(os.fsencode(path), -1) for path in self._files], dtype=np.int64)
        same = (rows >= 0) & (known["stamps"][rows] == self._stamps).all(axis=1)
        headers, places = known["headers"][rows].tolist(), np.flatnonzero(same).tolist()
        return {self._files[place]: ImageHeader(*headers[place]) for place in places}

    def keep(self, headers: Mapping[Path, ImageHeader]) -> None:
        """Replace what is known by these files; where the cache cannot be written, by nothing.

        Args:
            headers: Of those that were decoded. Files with bands or pages are left out.
        """
        rows, plain = [], []
        for row, path in enumerate(self._files):
            header = headers.get(path)
            if header is not None and not header.bands and header.pages == (0,):
                rows.append(row)
                plain.append((header.height, header.width, header.channels))
        content = io.BytesIO()
        np.savez(
            content,
            format=np.array(_FORMAT),
            paths=np.array([os.fsencode(self._files[row]) for row in rows], dtype=np.bytes_),
            stamps=self._stamps[rows],
            headers=np.array(plain, dtype=np.int64).reshape(-1, 3),
        )
        with suppress(OSError, NearfarError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self._path, content.getvalue())

    def _read(self) -> dict[str, ndarray]:
        """Paths, sizes with times of change, and headers; nothing where there is no whole file."""
        try:
            arrays = read_within(self._path.read_bytes(), _MOST_BYTES)
            count = len(arrays["paths"])
            whole = arrays["stamps"].shape == (count, 2) and arrays["headers"].shape == (count, 3)
            return arrays if whole and int(arrays["format"]) == _FORMAT and count else {}
        except Exception:  # NumPy and zipfile have many for a damaged file
            return {}


def _stamps(files: Sequence[Path]) -> Int64[ndarray, "n 2"]:
    """Size in bytes and time of change in nanoseconds of each file; −1 of one that is gone."""
    found = np.full((len(files), 2), -1, dtype=np.int64)
    for place, path in enumerate(files):
        with suppress(OSError):
            status = os.stat(path)
            found[place] = status.st_size, status.st_mtime_ns
    return found
