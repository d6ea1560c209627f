"""Sources from two arrays whose rows belong together, in memory or in .npz files."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.data.array_likes import as_array, series_of, vectors_of
from nearfar.data.arrays import (
    UNREADABLE,
    images_of,
    require_room,
)
from nearfar.data.labelled_source import with_labels
from nearfar.data.paired_specs import PairsNpzSpec
from nearfar.data.source import Part, Partners, Source
from nearfar.data.texts import rows_of
from nearfar.errors import NearfarError, unknown_name
from nearfar.modality import Modality, in_words
from nearfar.npy_headers import declared_in
from nearfar.outside_text import first_line

_READ: dict[Modality, Callable[[ArrayLike, str], Tensor]] = {
    "images": images_of,
    "series": series_of,
    "vectors": vectors_of,
}
_MOST_TEXT_MIB = 2048


def source_from_pairs(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike | None = None,
    test_first: ArrayLike | None = None,
    test_second: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    *,
    kinds: tuple[Modality, Modality],
    length: int = 256,
    test_fraction: float = 0.2,
    name: str = "arrays",
) -> Source:
    """Make a source of pairs that are held in two arrays, row by row.

    Args:
        first: Images, series or vectors, as `source_from_arrays`, `source_from_series` and
            `source_from_vectors` take them.
        second: What belongs to each of them: likewise, or strings.
        labels: One whole number (0 or more) or string for each pair, or None; some may be missing,
            as in `source_from_arrays`.
        test_first: For test, with `test_second`; else a part is held out, always the same.
        test_second: What belongs to these.
        test_labels: Their labels.
        kinds: What the two arrays hold: images, series or vectors, and these or texts.
        length: Bytes of UTF-8 that a text is cut at.
        test_fraction: Share to hold out where there are no `test_first`; 0 holds out none.
        name: What to call the source.

    Returns:
        The source, held in memory.

    Raises:
        NearfarError: An array has another shape or type, or the arrays do not fit each other.
    """
    if (test_first is None) != (test_second is None):
        raise NearfarError("test_first and test_second belong together: give both or neither")
    kind, second_kind = kinds
    read, notes = _READ[kind], list[str]()
    train = _paired(
        Part(read(first, "first"), modality=kind), second, second_kind, length, "", notes
    )
    test = None
    if test_first is not None and test_second is not None:
        test = Part(read(test_first, "test_first"), modality=kind)
        test = _paired(test, test_second, second_kind, length, "test_", notes)
        _require_alike(train, test)
    source = with_labels(
        name, train, test, labels, test_labels, test_fraction, called="first", examples="pairs"
    )
    return replace(source, notes=(*notes, *source.notes))


def _paired(
    part: Part, second: ArrayLike, kind: Modality, length: int, prefix: str, notes: list[str]
) -> Part:
    """A part with what belongs to its examples."""
    what = f"{prefix}second"
    if kind == "texts":
        others, cut = rows_of(_texts_of(second, what), length, _MOST_TEXT_MIB)
        notes += [f"{what}: {note}" for note in cut]
    else:
        others = _READ[kind](second, what)
    if len(others) != len(part):
        raise NearfarError(
            f"{prefix}first has {len(part):,} rows and {what} {len(others):,}: row by row they "
            "belong together"
        )
    return replace(part, partners=Partners(torch.arange(len(part))[:, None], others, kind))


def _texts_of(values: ArrayLike, what: str) -> list[str]:
    """Strings, none of them empty."""
    array = as_array(values, what, advice="give one string for each pair")
    if array.ndim != 1 or not all(isinstance(each, str) for each in array.tolist()):
        raise NearfarError(f"{what}: {array.dtype} of shape {array.shape}; give strings, (n,)")
    texts = [text.strip() for text in array.tolist()]
    if empty := [row for row, text in enumerate(texts) if not text]:
        raise NearfarError(
            f"{what}: {len(empty)} of {len(texts)} texts are empty (first: {empty[0]}); leave "
            "these pairs out"
        )
    return texts


def _require_alike(train: Part, test: Part) -> None:
    assert train.partners is not None
    assert test.partners is not None
    ours, theirs = train.partners.as_part(), test.partners.as_part()
    if ours.example_shape != theirs.example_shape:
        raise NearfarError(
            f"test_second holds {in_words(theirs.modality, theirs.example_shape)}, and second "
            f"{in_words(ours.modality, ours.example_shape)}; both must be alike"
        )


_KNOWN = ("first", "second", "labels", "test_first", "test_second", "test_labels")


def load_pairs_npz(spec: PairsNpzSpec) -> Source:
    """Read the arrays `first` and `second` of an .npz file, and maybe labels and a test part.

    Returns:
        The source, held in memory.

    Raises:
        NearfarError: If the file is damaged, holds pickled objects, or its arrays do not fit.
        SettingError: If its arrays are larger than `in_memory_mib`.
    """
    path = spec.root
    assert path is not None
    try:
        arrays = _read_arrays(path, spec.in_memory_mib * 2**20)
        return source_from_pairs(
            **arrays,
            kinds=(spec.modality, spec.second_kind),
            length=spec.length,
            test_fraction=spec.test_fraction,
            name=spec.name,
        )
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
    except UNREADABLE as error:
        raise NearfarError(
            f"{path}: not a readable .npz file ({first_line(error)}); write it with "
            "numpy.savez(path, first=…, second=…)"
        ) from None


def _read_arrays(path: Path, limit: int) -> dict[str, np.ndarray]:
    """The arrays of the file, once their declared sizes are seen to be small enough."""
    with zipfile.ZipFile(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        for key in keys:
            if key not in _KNOWN:
                raise unknown_name("array", key, _KNOWN)
        if lacking := [key for key in ("first", "second") if key not in keys]:
            raise NearfarError(f"no array {lacking[0]!r}; it holds {', '.join(keys) or 'nothing'}")
        declared = sum(declared_in(archive, name) for name in archive.namelist())
    require_room(declared, "pairs", limit)
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in keys}
