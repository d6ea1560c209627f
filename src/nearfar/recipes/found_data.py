"""What lies at a path that somebody wants an encoder for: which source reads it, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from statistics import median
from typing import cast
from zipfile import BadZipFile, ZipFile

import numpy as np

from nearfar.data.array_names import examples_among
from nearfar.data.column_names import called_labels
from nearfar.data.csv_file import read_csv
from nearfar.data.folder_tree import FileKind, counted, many, walk
from nearfar.data.image_arrow import holds_saved_images
from nearfar.data.image_files import IMAGES, UnreadableImageError, pillow_quiet, read_header
from nearfar.data.image_parquet import image_columns
from nearfar.data.image_table import is_image_name, path_columns
from nearfar.data.parquet import read_columns
from nearfar.data.parquet_columns import columns_with_gaps, table_columns
from nearfar.data.shard_specs import ImageArrowSpec, ImageParquetSpec, ImageTarSpec
from nearfar.data.source_spec import OwnDataSpec
from nearfar.data.specs import (
    CSVSpec,
    FolderSpec,
    ImageTableSpec,
    NpzSpec,
    ParquetSpec,
    SeriesNpzSpec,
    VectorsNpzSpec,
    WavSpec,
)
from nearfar.data.table_values import as_numbers
from nearfar.data.text_files import TEXTS
from nearfar.data.text_specs import TextLinesSpec
from nearfar.data.wav import SOUNDS
from nearfar.errors import NearfarError
from nearfar.npy_headers import declared_shape
from nearfar.outside_text import printable
from nearfar.recipes.found_tables import columns_of_table, share_missing

_MOST_HEADERS = 200
"""Image files whose size is looked at."""
_LIMIT_MIB = 2048


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        data: The source that reads it.
        why: What was seen, in words.
        side: Median of the images' shorter sides in pixels; None where no file says it.
    """

    data: OwnDataSpec
    why: str
    side: int | None = None


def find_data(path: Path) -> Found:
    """Which source reads a folder or a file.

    Args:
        path: A folder of pictures, of sounds, of texts, of Parquet or of tar files, or a text, a
            table, a .tar, an .npz or an .npy file.

    Raises:
        NearfarError: Nothing that any source reads is there.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise NearfarError(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            return _in_csv(path)
        if suffix == ".parquet":
            return _in_parquet(path)
        if suffix in TEXTS.suffixes:
            return Found(TextLinesSpec(root=path), "a file of text: a line each")
        if suffix == ".tar":
            return _in_tars(path, 1)
        if suffix == ".npz":
            return _in_npz(path)
        if suffix == ".npy":
            return _in_npy(path)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
    raise NearfarError(
        f"{path}: not a kind of data that is known by its name: give a folder of pictures, sounds "
        "or texts, or a .txt, .csv, .parquet, .tar, .npz or .npy file"
    )


def _in_folder(path: Path) -> Found:
    """Pictures or sounds, whichever is more; else larger files that hold pictures, or texts."""
    pictures, _ = walk(path, IMAGES)
    images = pictures.count()
    sounds = _count(path, SOUNDS)
    if max(images, sounds) == 0:
        if shards := list(path.rglob("*.parquet")):
            why = f"{many(len(shards), 'Parquet file')} of images"
            return Found(ImageParquetSpec(root=path), why)
        if holds_saved_images(path):
            return Found(ImageArrowSpec(root=path), "images that the library datasets saved")
        if tars := list(path.rglob("*.tar")):
            return _in_tars(path, len(tars))
        if texts := _count(path, TEXTS):
            return Found(TextLinesSpec(root=path), f"{many(texts, 'file')} of text: a line each")
        raise _nothing_in(path, pictures.all_left_out())
    if sounds > images:
        beside = f"; {many(images, 'picture')} beside them are not read" if images else ""
        return Found(WavSpec(root=path), many(sounds, "sound") + beside)
    beside = f"; {many(sounds, 'sound')} beside them are not read" if sounds else ""
    if captions := pictures.all_left_out()[".txt"]:
        beside += (
            f"; {many(captions, 'text')} beside them are not read: pairs of pictures and texts "
            "of one name are --data captioned-folder, with --method clip"
        )
    side = _side_of(pictures.all_files())
    # Pictures without folders of classes, and one table that names them.
    data = _table_beside(path) if len(pictures.filled()) < 2 else None
    if data is not None and data.root is not None:
        return Found(data, f"{many(images, 'picture')} named by {data.root.name}{beside}", side)
    return Found(FolderSpec(root=path), many(images, "picture") + beside, side)


def _in_tars(path: Path, count: int) -> Found:
    """Images inside tar files."""
    return Found(
        ImageTarSpec(root=path),
        f"images in {many(count, 'tar file')}; texts beside them are read by --data webdataset, "
        "with --method clip",
    )


def _nothing_in(path: Path, left_out: Counter[str]) -> NearfarError:
    """Says what a folder holds instead of what could be learnt from."""
    found = f"{path}: no picture, sound, text or Parquet file in it"
    if left_out:
        found += f", only {counted(left_out)}"
    return NearfarError(
        f"{found}: give a folder of pictures, sounds or texts, or a .csv, .parquet or .npz file"
    )


def _count(path: Path, kind: FileKind) -> int:
    return walk(path, kind)[0].count()


def _side_of(files: Sequence[Path]) -> int | None:
    """The median short side of some of the images."""
    sides = []
    with pillow_quiet():
        for file in files[:: max(1, len(files) // _MOST_HEADERS)]:
            try:
                header = read_header(file)
            except UnreadableImageError:
                continue
            sides.append(min(header.height, header.width))
    return int(median(sides)) if sides else None


def _table_beside(path: Path) -> ImageTableSpec | None:
    """The one table at the top of a folder that has a column of image files."""
    tables = [file for file in sorted(path.iterdir()) if file.suffix.lower() in (".csv", ".tsv")]
    naming = []
    for table in tables:
        try:
            cells = read_csv(table, _LIMIT_MIB).cells
        except NearfarError:
            continue
        if columns := path_columns(dict(cells)):
            naming.append(ImageTableSpec(root=table, images=_base_of(cells[columns[0]], path)))
    return naming[0] if len(naming) == 1 else None


def _base_of(names: Sequence[str], folder: Path) -> Path | None:
    """The sub-folder that a table's paths begin at, where it is not the table's own folder."""
    first = next((name for name in names if is_image_name(name)), "")
    if (folder / first).is_file():
        return None
    below = [each for each in sorted(folder.iterdir()) if (each / first).is_file()]
    return below[0] if len(below) == 1 else None


def _in_csv(path: Path) -> Found:
    """Paths of images, or numbers."""
    cells = read_csv(path, _LIMIT_MIB).cells
    if paths := path_columns(dict(cells)):
        files = [path.parent / name for name in cells[paths[0]]]
        return Found(
            ImageTableSpec(root=path),
            f"a table of {many(len(files), 'image file')}",
            _side_of(files),
        )
    numbers = [name for name, values in cells.items() if as_numbers(values) is not None]
    gaps = {name: share_missing(cells[name]) for name in cells if name not in numbers}
    gaps = {name: share for name, share in gaps.items() if share is not None}
    return Found(*columns_of_table(CSVSpec(root=path), cells, numbers, gaps))


def _in_parquet(path: Path) -> Found:
    """Images, paths of images, or numbers."""
    if image_columns(path).images:
        return Found(ImageParquetSpec(root=path), "a Parquet file of images")
    import pyarrow as pa

    columns = table_columns(path)
    kinds = {name: columns.kinds[name] for name in columns.data}
    plain = [
        name
        for name, kind in kinds.items()
        if name in columns.countable
        or (pa.types.is_floating(kind) and called_labels([name], among=kinds))
    ]
    cells: dict[str, Sequence[object]] = {}
    if plain:
        read = read_columns(path, plain, columns, _LIMIT_MIB, "data.in_memory_mib")
        cells = {name: each.to_pylist() for name, each in zip(plain, read, strict=True)}
    if path_columns({name: cells[name] for name in plain if name in columns.text}):
        return Found(ImageTableSpec(root=path), "a table of image files")
    numbers = [
        name
        for name, kind in kinds.items()
        if name not in columns.text and not pa.types.is_boolean(kind)
    ]
    missing = columns_with_gaps(path)
    gaps = {name: missing[name] for name in numbers if name in missing}
    return Found(*columns_of_table(ParquetSpec(root=path), cells, numbers, gaps))


def _in_npz(path: Path) -> Found:
    """Arrays, told by their names."""
    shape, dtype = (), np.dtype(float)
    try:
        with ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            examples = examples_among(names)
            if examples is not None:
                with archive.open(f"{examples}.npy") as file:
                    shape, dtype = declared_shape(cast(BufferedIOBase, file), examples)
    except (BadZipFile, OSError, NotImplementedError, ValueError, EOFError):
        raise NearfarError("not a readable .npz file") from None
    for spec in (NpzSpec, SeriesNpzSpec, VectorsNpzSpec):
        if spec.modality in names:
            return Found(spec(root=path), f"an .npz file of {spec.modality}")
    if examples is not None:
        called = f"an .npz file whose {printable(examples)} is {dtype} in shape {shape}"
        return _by_shape(path, shape, dtype, called)
    if {"first", "second"} <= set(names):
        raise NearfarError(
            "arrays first and second are pairs: say of what by --data image-pairs-npz, "
            "series-pairs-npz or vector-pairs-npz, with --method clip"
        )
    raise NearfarError(
        f"no array called images, series or vectors, but {printable(', '.join(names[:8]))}: write "
        "it as numpy.savez(path, images=…, labels=…)"
    )


def _in_npy(path: Path) -> Found:
    """One array without a name: images or vectors, told by its shape and type."""
    try:
        with path.open("rb") as file:
            shape, dtype = declared_shape(file, path.name)
    except (ValueError, OSError, EOFError) as error:
        raise NearfarError("not a readable .npy file") from error
    return _by_shape(
        path, shape, dtype, f"an .npy file of {dtype} in shape {shape}, without labels"
    )


def _by_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype, what: str) -> Found:
    """Images or vectors, told by the shape and type of the array that holds them."""
    if len(shape) == 2 and dtype.kind in "fiu":
        return Found(VectorsNpzSpec(root=path), f"{what}: a vector a row")
    if len(shape) == 4 or (len(shape) == 3 and dtype == np.uint8):
        return Found(NpzSpec(root=path), f"{what}: an image each", min(shape[1:3]))
    if len(shape) == 3:
        raise NearfarError(
            f"{dtype} of shape {shape} may be series or pictures: say which by "
            "numpy.savez(path, series=…), or images=… as uint8"
        )
    raise NearfarError(
        f"{dtype} of shape {shape}: give (n, features) numbers for vectors, or (n, height, width, "
        "channels) uint8 for images"
    )
