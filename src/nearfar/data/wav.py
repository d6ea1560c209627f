"""A source from a folder of WAV files, each decoded with care."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor

from nearfar.data.file_reading import FileReader, UnreadableFileError, shown
from nearfar.data.folder_listing import Listing, list_parts
from nearfar.data.folder_tree import FileKind
from nearfar.data.listed_source import source_of_parts
from nearfar.data.source import Source
from nearfar.data.specs import WavSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import first_line

_ORDER = {b"RIFF": "<", b"RIFX": ">"}  # of the bytes of every number
_LARGE = b"RF64"  # RIFF whose sizes do not fit 32 bits and stand in a chunk of their own
_IN_THE_FIRST_CHUNK = 0xFFFFFFFF


@dataclass(frozen=True)
class Sound:
    """A decoded file.

    Attributes:
        rate: Samples per second.
        samples: `(channels, steps)`, −1 to 1 (floating-point files: as they are).
    """

    rate: int
    samples: Float32[ndarray, "channels steps"]


def read_wav(path: Path) -> Sound:
    """Decode a WAV file of 8 to 64-bit whole numbers or of floating-point numbers.

    Raises:
        UnreadableFileError: If it is no WAV file, damaged, truncated or empty, or holds values
            that are not finite.
    """
    # Imported here: SciPy takes a while, and other sources do not need it.
    from scipy.io import wavfile

    try:
        # SciPy only warns where samples are missing, and of metadata that it does not know. What a
        # warning becomes is a setting of the whole process, so it is given nothing to warn of.
        rate, values = wavfile.read(BytesIO(_without_metadata(path.read_bytes())))
        samples = _scaled(values)
    # The decoder fed with hostile bytes raises almost anything: struct.error, MemoryError…
    except Exception as error:
        reason = first_line(error)
        raise UnreadableFileError(f"{shown(path)}: {reason}") from None
    return Sound(rate, samples)


def is_wav(path: Path) -> bool:
    """Whether a file's first bytes are those of a WAV file."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False
    return start[:4] in (*_ORDER, _LARGE) and start[8:] == b"WAVE"


SOUNDS = FileKind("sound", "WAV", frozenset((".wav", ".wave")), "series", is_wav)
"""Which files are taken for sound."""


def _without_metadata(content: bytes) -> bytes:
    """The format and the samples of a WAV file alone; refused where samples are missing."""
    form = content[:4]
    if (form not in _ORDER and form != _LARGE) or content[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    order = _ORDER.get(form, "<")
    kept: list[bytes] = []
    for name, declared, body in _chunks(content, order):
        if name == b"data" and len(body) < declared:
            raise ValueError(f"cut short: {declared} bytes of samples declared, {len(body)} there")
        if name in (b"fmt ", b"data"):
            kept += [name, struct.pack(f"{order}I", declared), body, bytes(declared % 2)]
        if name == b"data":
            break
    chunks = b"".join(kept)
    plain = b"RIFF" if form == _LARGE else form
    return plain + struct.pack(f"{order}I", 4 + len(chunks)) + b"WAVE" + chunks


def _chunks(content: bytes, order: str) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, declared size and what is there of each chunk."""
    place, size_of_data = 12, None
    while len(head := content[place : place + 8]) == 8:
        name, declared = head[:4], struct.unpack(f"{order}I", head[4:])[0]
        if name == b"data" and declared == _IN_THE_FIRST_CHUNK and size_of_data is not None:
            declared = size_of_data
        body = content[place + 8 : place + 8 + declared]
        if name == b"ds64" and len(body) >= 16:
            size_of_data = struct.unpack("<Q", body[8:16])[0]
        yield name, declared, body
        place += 8 + declared + declared % 2


def _scaled(values: ndarray) -> Float32[ndarray, "channels steps"]:
    """Channels first; whole numbers scaled by the largest that their type holds."""
    if values.size == 0:
        raise ValueError("no sample in it")
    if values.dtype == np.uint8:  # the one type whose silence is not 0
        values = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        values = values / -float(np.iinfo(values.dtype).min)
    samples = values.astype(np.float32).reshape(len(values), -1)
    if not np.isfinite(samples).all():
        raise ValueError("values that are not finite")
    return np.ascontiguousarray(samples.T)


def load_wav(spec: WavSpec) -> Source:
    """Read a folder of WAV files of one sampling rate, laid out as a folder of images.

    Sounds are cut at the end, or go on with silence, to `spec.length` steps: the median length
    where it is left out.

    Returns:
        The source, held in memory, with file names relative to `root`.

    Raises:
        NearfarError: If there are no files, too many unreadable ones, several rates or numbers of
            channels, or classes do not fit.
        SettingError: If the sounds are larger than `in_memory_mib`.
    """
    root = spec.root
    assert root is not None
    listings, notes = list_parts(root, SOUNDS)
    for listing in listings:
        notes += listing.notes
    files = [path for listing in listings for path in listing.files]
    # Told by the files, before any is decoded; as float32, samples take up to 4 times as much.
    held = sum(path.stat().st_size for path in files if path.exists())
    if held > spec.in_memory_mib * 2**20:
        raise SettingError(
            f"{root}: {held / 2**20:.0f} MiB of sound, over data.in_memory_mib="
            f"{spec.in_memory_mib}: raise it, or cut the files"
        )
    reader = FileReader(
        root,
        total=len(files),
        kind=SOUNDS.name,
        max_corrupt=spec.max_corrupt,
        threads=spec.workers,
    )
    sounds = reader.keep_good(read_wav, files)
    _check_alike(list(sounds.values()), str(root))
    lengths = [sound.samples.shape[1] for sound in sounds.values()]
    length = spec.length or int(median(lengths))
    if set(lengths) != {length}:
        notes.append(
            f"sounds of {min(lengths)} to {max(lengths)} steps are brought to {length}: cut, or "
            "filled with silence; data.length changes that"
        )

    def at_length(listing: Listing, rows: list[int]) -> tuple[Tensor, list[int]]:
        files = [listing.files[row] for row in rows]
        series = [_at_length(sounds[file].samples, length) for file in files]
        return torch.from_numpy(np.stack(series)), rows

    return source_of_parts(spec, SOUNDS, listings, reader, sounds, at_length, notes)


def _check_alike(sounds: list[Sound], root: str) -> None:
    """Refuse what cannot be one set of series without resampling or mixing."""
    rates = sorted({sound.rate for sound in sounds})
    if len(rates) > 1:
        raise NearfarError(
            f"{root}: sampling rates of {rates[0]} to {rates[-1]} Hz; resample all files to one"
        )
    channels = sorted({len(sound.samples) for sound in sounds})
    if len(channels) > 1:
        raise NearfarError(
            f"{root}: files of {channels[0]} and of {channels[-1]} channels; mix all to one number"
        )


def _at_length(samples: np.ndarray, length: int) -> np.ndarray:
    """The first steps, or all of them and silence."""
    missing = max(0, length - samples.shape[1])
    return np.pad(samples[:, :length], ((0, 0), (0, missing)))
