"""Tar files as WebDataset writes them: what they hold under each name, and where its bytes lie."""

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path

from nearfar.data.file_reading import shown
from nearfar.data.image_faults import UnreadableImageError
from nearfar.data.image_files import SUFFIXES
from nearfar.data.shard_images import Shard
from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import first_line, printable
from nearfar.paths import user_cache

_FORMAT = 1
_IMAGES = 64
"""Images that are held undecoded at a time."""
_LARGEST = 2**28
"""Bytes of a member at most: a tar file may be compressed, and declare any size."""
_CALLED = ("caption", "text", "txt", "alt_text", "description", "title")
_LABELLED = ("label", "class", "cls")
_COMPRESSED = {
    ending: command
    for command, endings in {
        "gzip": (".tar.gz", ".tgz"),
        "bzip2": (".tar.bz2", ".tbz2", ".tbz"),
        "xz": (".tar.xz", ".txz"),
        "zstd": (".tar.zst", ".tzst"),
    }.items()
    for ending in endings
}
"""What writes files of some endings."""
_ZSTD = b"\x28\xb5\x2f\xfd"
"""A file that zstd wrote begins so."""


@dataclass
class Sample:
    """What a tar file holds under one name.

    Attributes:
        image: Name of the member that is the image.
        text: What `.txt` or `.json` say.
        label: What `.cls` or `.json` say.
        place: Byte of the tar file that the image begins at; −1 where it cannot be read by itself,
            as in a compressed file.
        size: Bytes of the image.
    """

    image: str | None = None
    text: str | None = None
    label: str | None = None
    place: int = -1
    size: int = 0


@dataclass
class TarIndex:
    """What was read of a tar file, without its images.

    Attributes:
        shard: The file as it was before it was read.
        samples: By name, in their order.
        keys: Of `.json` members.
    """

    shard: Shard
    samples: dict[str, Sample] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Texts:
    """Which texts of tar files are wanted.

    Attributes:
        key: Of those in `.json` members; None takes caption, text or the like.
        limit_mib: Largest size of all texts of a file.
    """

    key: str | None
    limit_mib: int


def read_tar_index(path: Path, texts: Texts | None) -> TarIndex:
    """Names, texts, labels and places of a tar file, which is read through once.

    What was found is kept in the user's cache, with the file's size and time of change.

    Args:
        path: The file.
        texts: Which are wanted; None wants none.

    Raises:
        NearfarError: It is not readable, or has two images of one name.
        SettingError: Its texts are larger.
    """
    index = TarIndex(Shard.now(path))
    kept = _cache_of(index.shard, texts)
    wanted = ("json", "cls") if texts is None else ("txt", "json", "cls")
    if _recall(index, kept):
        return index
    size = 0
    with opened_tar(path) as archive:
        plain = isinstance(archive.fileobj, io.BufferedReader)
        for name, ending, member in _members(archive):
            if f".{ending}" not in SUFFIXES and ending not in wanted:
                continue
            sample = index.samples.setdefault(name, Sample())
            if f".{ending}" in SUFFIXES:
                if sample.image is not None:
                    raise NearfarError(
                        f"{shown(Path(path.name))}: {printable(sample.image)} and "
                        f"{printable(member.name)} are two images of one name: give each its own"
                    )
                sample.image, sample.size = member.name, member.size
                if plain and not member.issparse() and member.size <= _LARGEST:
                    sample.place = member.offset_data
                continue
            content = _content(archive, member)
            size += len(content)
            if texts is not None and size > texts.limit_mib * 2**20:
                raise SettingError(f"over data.in_memory_mib={texts.limit_mib} of texts: raise it")
            _add(index, sample, ending, content.decode("utf-8", "replace"), texts)
    _remember(index, kept)
    return index


def images_of_tar(path: Path, samples: Mapping[str, Sample]) -> Iterator[dict[Path, bytes | None]]:
    """The chosen images of a tar file, some at a time, by the file's path and their name in it."""
    held: dict[Path, bytes | None] = {}
    with opened_tar(path) as archive:
        for name, _, member in _members(archive):
            sample = samples.get(name)
            if sample is None or member.name != sample.image:
                continue
            held[path / name] = _content(archive, member)
            if len(held) == _IMAGES:
                yield held
                held = {}
    if held:
        yield held


class TarReader:
    """A tar file that is not compressed, read by the byte."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)

    def read(self, place: int, size: int) -> bytes:
        """So many bytes from there on."""
        content = os.pread(self._file, size, place)
        if len(content) < size:
            raise UnreadableImageError("the tar file ends within it")
        return content

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def undone(path: Path) -> tuple[Path, str] | None:
    """Of a file that its name says is compressed the one that is not, and the command for it."""
    name = path.name
    for ending, command in _COMPRESSED.items():
        if name.lower().endswith(ending) and len(name) > len(ending):
            plain = path.with_name(f"{name[: -len(ending)]}.tar")
            return plain, f"`{command} -d {shown(Path(name))}`"
    return None


@contextmanager
def opened_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar file, compressed or not; what is wrong with it in one line."""
    try:
        with tarfile.open(path, "r:*") as archive:
            yield archive
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError) as error:
        name = shown(Path(path.name))
        if _begins_with(path, _ZSTD):
            named = undone(path)
            how = "`zstd -d`" if named is None else named[1]
            raise NearfarError(f"{name} is compressed by zstd: decompress it ({how})") from None
        why = first_line(error).rstrip(":")
        raise NearfarError(f"{name}: not a readable tar file ({why})") from None


def _begins_with(path: Path, magic: bytes) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(magic)) == magic
    return False


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Name, ending and header of each plain file of the archive that is not hidden."""
    for member in archive:
        folder, _, file = member.name.rpartition("/")
        stem, _, ending = file.partition(".")
        if member.isfile() and stem and ending:
            yield f"{folder}/{stem}" if folder else stem, ending.lower(), member
    # A header that is cut off ends the archive without a word of tarfile's.
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError("unexpected end of data")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _LARGEST:
        raise NearfarError(
            f"{printable(member.name[:60])} has {member.size:,} bytes: over {_LARGEST // 2**20} MiB"
        )
    held = archive.extractfile(member)
    assert held is not None
    with held:
        return held.read()


def _add(index: TarIndex, sample: Sample, ending: str, content: str, wanted: Texts | None) -> None:
    """Put what a member says into its sample."""
    if ending == "cls":
        sample.label = content.strip()
    elif ending == "txt":
        sample.text = " ".join(content.split()) or sample.text
    else:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        index.keys |= found.keys()
        keys = () if wanted is None else _CALLED if wanted.key is None else (wanted.key,)
        texts = [found[each] for each in keys if isinstance(found.get(each), str)]
        labels = [found[each] for each in _LABELLED if isinstance(found.get(each), str | int)]
        if texts and sample.text is None:
            sample.text = " ".join(texts[0].split()) or None
        if labels and sample.label is None:
            sample.label = str(labels[0])


def _cache_of(shard: Shard, texts: Texts | None) -> Path:
    """Where the index of a file is kept; one of other size, time or texts lies elsewhere."""
    place = os.fsencode(shard.path.resolve())
    known = repr((place, shard.size, shard.changed, texts, _FORMAT))
    return user_cache() / "tar-indices" / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json"


def _recall(index: TarIndex, kept: Path) -> bool:
    """Take what an earlier opening found; False where there is nothing whole."""
    try:
        held = json.loads(kept.read_bytes())
        found = {str(name): Sample(*values) for name, values in held["samples"].items()}
        index.keys |= {str(key) for key in held["keys"]}
    except Exception:  # a damaged file may hold anything, and counts for nothing
        return False
    index.samples |= found
    return True


def _remember(index: TarIndex, kept: Path) -> None:
    """Keep what was found; where the cache cannot be written, nothing."""
    held = {
        "samples": {name: astuple(sample) for name, sample in index.samples.items()},
        "keys": sorted(index.keys),
    }
    with suppress(OSError, NearfarError, UnicodeError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_durably(kept, json.dumps(held).encode())
