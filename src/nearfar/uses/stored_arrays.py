"""The three kinds of files that features are kept in: written piece by piece, read back whole."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from nearfar.data.arrays import UNREADABLE
from nearfar.data.parquet_columns import EMBEDDED
from nearfar.durable_files import written_durably
from nearfar.errors import NearfarError, SettingError
from nearfar.npy_headers import declared_in
from nearfar.outside_text import first_line

_TEXTS_AT_ONCE = 65536


@dataclass(frozen=True)
class Written:
    """What goes into a file beside the features.

    Attributes:
        about: JSON.
        names: One for each row.
        labels: One for each row, or None.
        parts: One for each row, or None.
        class_names: Of the classes, or None.
        width: Features in a row.
    """

    about: str
    names: Sequence[str]
    labels: Int64[np.ndarray, " n"] | None
    parts: Sequence[str] | None
    class_names: Sequence[str] | None
    width: int


def write_features(
    path: Path, beside: Written, blocks: Iterator[Float32[np.ndarray, "_ dim"]]
) -> None:
    """Write a file of features, whole or not at all, holding one block of them at a time.

    Args:
        path: Its ending says which kind of file.
        beside: All but the features.
        blocks: The features, a few rows at a time, in order.
    """
    if path.suffix == ".parquet":
        _write_table(path, beside, blocks)
    elif path.suffix == ".npz":
        with _archive(path) as archive:
            _write_beside(archive, beside)
            with _member(archive, "features") as member:
                _write_block(member, (len(beside.names), beside.width), blocks)
    else:
        with _archive(path.with_name(f"{path.stem}.rows.npz")) as archive:
            _write_beside(archive, beside)
        with written_durably(path) as file:
            _write_block(file, (len(beside.names), beside.width), blocks)


def require_parquet() -> None:
    """Refuse Parquet where nothing can write it.

    Raises:
        NearfarError: pyarrow is missing.
    """
    if find_spec("pyarrow") is None:
        raise NearfarError("writing parquet needs pyarrow: pip install 'nearfar[parquet]'")


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with written_durably(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        yield archive


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[Any]:
    # A time of its own would make files of the same features differ.
    info = zipfile.ZipInfo(f"{name}.npy")
    info.external_attr = 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as member:
        yield member


def _write_beside(archive: zipfile.ZipFile, beside: Written) -> None:
    """All but the features, as arrays."""
    with _member(archive, "about") as member:
        _write_header(member, np.dtype(f"<U{len(beside.about)}"), ())
        member.write(np.array(beside.about).tobytes())
    for name in ("names", "parts", "class_names"):
        texts = getattr(beside, name)
        if texts is not None:
            with _member(archive, name) as member:
                _write_texts(member, texts)
    if beside.labels is not None:
        with _member(archive, "labels") as member:
            _write_header(member, np.dtype("<i8"), beside.labels.shape)
            member.write(beside.labels.astype("<i8").tobytes())


def _write_texts(member: Any, texts: Sequence[str]) -> None:
    longest = max(map(len, texts), default=1)
    kind = np.dtype(f"<U{max(1, longest)}")
    _write_header(member, kind, (len(texts),))
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        member.write(np.array(texts[first : first + _TEXTS_AT_ONCE], dtype=kind).tobytes())


def _write_block(
    file: Any, shape: tuple[int, int], blocks: Iterator[Float32[np.ndarray, "_ dim"]]
) -> None:
    _write_header(file, np.dtype("<f4"), shape)
    for block in blocks:
        file.write(np.ascontiguousarray(block, dtype="<f4").data)


def _write_header(file: Any, kind: np.dtype, shape: tuple[int, ...]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**described, "shape": shape})


def _write_table(
    path: Path, beside: Written, blocks: Iterator[Float32[np.ndarray, "_ dim"]]
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = [("names", pa.string()), ("features", pa.list_(pa.float32(), beside.width))]
    if beside.labels is not None:
        kinds.append(("labels", pa.int64()))
    if beside.parts is not None:
        kinds.append(("parts", pa.string()))
    schema = pa.schema(kinds, metadata={EMBEDDED: beside.about})
    options: dict[str, Any] = {
        "use_dictionary": ["parts"] if beside.parts is not None else False,
        "write_page_checksum": True,
    }
    with (
        written_durably(path) as file,
        parquet.ParquetWriter(file, schema, **options) as writer,
    ):
        first = 0
        for block in _gathered(blocks):
            rows = slice(first, first + len(block))
            flat = pa.array(np.ascontiguousarray(block).ravel())
            columns = {
                "names": pa.array(list(beside.names[rows]), pa.string()),
                "features": pa.FixedSizeListArray.from_arrays(flat, beside.width),
            }
            if beside.labels is not None:
                labels = beside.labels[rows]
                columns["labels"] = pa.array(labels, pa.int64(), mask=labels < 0)
            if beside.parts is not None:
                columns["parts"] = pa.array(list(beside.parts[rows]), pa.string())
            writer.write_table(pa.table(columns, schema=schema))
            first = rows.stop


def _gathered(
    blocks: Iterator[Float32[np.ndarray, "_ dim"]],
) -> Iterator[Float32[np.ndarray, "_ dim"]]:
    """Blocks of about 16 MiB: a table of a thousand small groups of rows is slow to read."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(each.nbytes for each in held) >= 2**24:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def is_ours(path: Path, beside: Path) -> bool:
    """Whether a file says what `nearfar embed` says."""
    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return EMBEDDED in (parquet.read_schema(path).metadata or {})
        with zipfile.ZipFile(path if path.suffix == ".npz" else beside) as archive:
            return "about.npy" in archive.namelist()
    except (*UNREADABLE, ImportError):
        return False


def read_npz(path: Path, _: Path, limit_mib: int) -> Mapping[str, Any] | None:
    """All arrays of an .npz file of ours; None where it is not."""
    try:
        with zipfile.ZipFile(path) as archive:
            if "about.npy" not in archive.namelist():
                return None
            _refuse_unsound(archive, limit_mib)
        with np.load(path, allow_pickle=False) as arrays:
            return _as_lists({name: arrays[name] for name in arrays.files})
    except UNREADABLE as error:
        raise NearfarError(f"{path}: not a readable .npz file ({first_line(error)})") from None


def read_npy(path: Path, beside: Path, limit_mib: int) -> Mapping[str, Any] | None:
    """The features of an .npy file, mapped into memory, and the arrays beside it; None without."""
    if not beside.is_file():
        return None
    held = read_npz(beside, beside, limit_mib)
    if held is None:
        raise NearfarError(f"{beside} is damaged: it says nothing of {path.name}; embed again")
    try:
        # Copied on writing: a tensor of it must not be one that cannot be written.
        features = np.load(path, mmap_mode="c", allow_pickle=False)
    except UNREADABLE as error:
        raise NearfarError(f"{path}: not a readable .npy file ({first_line(error)})") from None
    return {**held, "features": features}


def read_table(path: Path, _: Path, limit_mib: int) -> Mapping[str, Any] | None:
    """The columns of a table of ours; None where it is not."""
    require_parquet()
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            about = (schema.metadata or {}).get(EMBEDDED)
            if about is None:
                return None
            if not pa.types.is_fixed_size_list(schema.field("features").type):
                raise NearfarError(f"{path} is damaged: its features are no vectors")
            width = schema.field("features").type.list_size
            rows = file.metadata.num_rows
            if rows * width * 4 > limit_mib * 2**20:
                raise SettingError(f"{path}: over limit_mib={limit_mib}: raise it")
            said = about.decode()
            features = np.empty((rows, width), dtype=np.float32)
            held: dict[str, list] = {name: [] for name in schema.names if name != "features"}
            first = 0
            for batch in file.iter_batches(8192):
                block = batch.column("features")
                if block.null_count or block.flatten().null_count:
                    raise NearfarError(f"{path} is damaged: features are missing")
                features[first : first + len(block)] = block.flatten().to_numpy().reshape(-1, width)
                for name, values in held.items():
                    values += batch.column(name).to_pylist()
                first += len(block)
    except (pa.ArrowException, OSError, MemoryError, KeyError, UnicodeDecodeError) as error:
        raise NearfarError(f"{path}: not a readable Parquet file ({first_line(error)})") from None
    found: dict[str, Any] = {**held, "features": features, "about": said}
    if "labels" in held:
        found["labels"] = np.array([-1 if each is None else each for each in held["labels"]])
    return found


def _refuse_unsound(archive: zipfile.ZipFile, limit_mib: int) -> None:
    """Refuse arrays that are packed, declare more than is there, or more than is wanted."""
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED:  # a few kB may unpack to any size
            raise NearfarError(f"{archive.filename}: packed, which nearfar embed does not do")
        declared = declared_in(archive, member.filename)
        if declared > limit_mib * 2**20:
            raise SettingError(f"{declared / 2**20:.0f} MiB, over limit_mib={limit_mib}: raise it")
        if declared > member.file_size:
            raise NearfarError(f"{archive.filename} is damaged: {member.filename} was cut")


def _as_lists(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Texts as lists, which is what they are outside of a file."""
    found: dict[str, Any] = dict(arrays)
    for name in ("names", "parts"):
        if name in found:
            found[name] = found[name].tolist()
    found["about"] = str(arrays["about"])
    return found
