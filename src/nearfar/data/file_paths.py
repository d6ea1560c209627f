"""Paths of very many files, held as text."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy import ndarray

from nearfar.data.file_reading import name_below


class FilePaths(Sequence[Path]):
    """Paths, each made when it is asked for: to make a million of them takes five seconds.

    Args:
        texts: Of each what `os.fspath` gives.
    """

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    @classmethod
    def of(cls, files: Sequence[Path]) -> "FilePaths":
        """These paths; themselves where they are held as text already."""
        return files if isinstance(files, cls) else cls([os.fspath(path) for path in files])

    def __len__(self) -> int:
        """The number of files."""
        return len(self.texts)

    def __iter__(self) -> Iterator[Path]:
        """Each path, in order."""
        return map(Path, self.texts)

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> "FilePaths": ...

    def __getitem__(self, index: int | slice) -> "Path | FilePaths":
        """One path, or some of them."""
        found = self.texts[index]
        return Path(found) if isinstance(found, str) else FilePaths(found)

    def at(self, rows: Sequence[int]) -> "FilePaths":
        """Those of some rows, in their order."""
        return FilePaths([self.texts[row] for row in rows])

    def encoded(self) -> ndarray:
        """All of them in one block of bytes, `(n,)` of `bytes_`."""
        return np.array([os.fsencode(text) for text in self.texts], dtype=np.bytes_)

    def names_below(self, root: Path) -> list[str]:
        """Their names as `name_below` gives them."""
        base = os.fspath(root).rstrip("/") + "/"
        names = [text.removeprefix(base) for text in self.texts]
        # Bytes of no encoding, which are rare, are written by their codes.
        return [
            name if name.isascii() else name_below(self[row], root)
            for row, name in enumerate(names)
        ]

    def ending_in(self, suffixes: tuple[str, ...]) -> "FilePaths":
        """Those that have one of some endings, which are given in lower case."""
        return FilePaths([text for text in self.texts if text[-8:].lower().endswith(suffixes)])
