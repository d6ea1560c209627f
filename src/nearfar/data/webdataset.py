"""A source from WebDataset's tar files: images with the text members of the same name."""

import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nearfar.data.captions import with_texts
from nearfar.data.file_reading import name_below, shown
from nearfar.data.folder_listing import Listing
from nearfar.data.folder_tree import many, some
from nearfar.data.image_files import SUFFIXES
from nearfar.data.image_parquet import load_contents, shards_by_part
from nearfar.data.paired_specs import WebDatasetSpec
from nearfar.data.source import Source
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import printable

_IMAGES = 64
"""Images that are held undecoded at a time."""
_LARGEST = 2**28
"""Bytes of a member at most: a tar file may be compressed, and declare any size."""
_CALLED = ("caption", "text", "txt", "alt_text", "description", "title")
_LABELLED = ("label", "class", "cls")


@dataclass
class _Sample:
    """What a tar file holds under one name."""

    image: str | None = None
    text: str | None = None
    label: str | None = None


@dataclass
class _Shard:
    """What was read of a tar file, without its images."""

    samples: dict[str, _Sample] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


def load_webdataset(spec: WebDatasetSpec) -> Source:
    """Read the images of one tar file, or of all in a folder, each with its text.

    Members of one name up to the first dot behind their folder belong together: an image, a `.txt`
    or the text in a `.json`, and maybe a `.cls` with a label. Tar files of a folder are of the part
    that their names begin with (`train-000.tar`). Members are read where they lie and never
    unpacked, and what is no plain file is passed over.

    Returns:
        The source, held in memory; an image is called by its file and its name in it.

    Raises:
        NearfarError: If a file cannot be read, too many images cannot, or too many have no text.
        SettingError: If the images are larger than `in_memory_mib`.
    """
    root = spec.root
    assert root is not None
    base = root if root.is_dir() else root.parent
    notes: list[str] = []
    try:
        parts = shards_by_part(root, ".tar", notes)
        shards = {path: _read(path, spec) for each in parts.values() for path in each}
        listings = [_listing(each, shards, spec, notes) for each in parts.values()]
    except NearfarError as error:
        raise type(error)(f"{shown(root)}: {error}") from None

    def contents(some_shards: Sequence[Path]) -> Iterator[dict[Path, bytes | None]]:
        for path in some_shards:
            yield from _batches(path, shards[path].samples)

    source = load_contents(spec, base, list(parts.values()), listings, contents, notes)
    texts = {
        name_below(path / name, base): [sample.text]
        for path, shard in shards.items()
        for name, sample in shard.samples.items()
        if sample.text
    }
    return with_texts(source, texts, spec.length, spec.in_memory_mib)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar file, compressed or not; what is wrong with it in one line."""
    try:
        with tarfile.open(path, "r:*") as archive:
            yield archive
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError) as error:
        raise NearfarError(f"{shown(Path(path.name))}: not a readable tar file ({error})") from None


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


def _read(path: Path, spec: WebDatasetSpec) -> _Shard:
    """Names, texts and labels of a tar file."""
    shard, size = _Shard(), 0
    with _opened(path) as archive:
        for name, ending, member in _members(archive):
            if f".{ending}" not in SUFFIXES and ending not in ("txt", "json", "cls"):
                continue
            sample = shard.samples.setdefault(name, _Sample())
            if f".{ending}" in SUFFIXES:
                if sample.image is not None:
                    raise NearfarError(
                        f"{shown(Path(path.name))}: {printable(sample.image)} and "
                        f"{printable(member.name)} are two images of one name: give each its own"
                    )
                sample.image = member.name
                continue
            content = _content(archive, member)
            size += len(content)
            if size > spec.in_memory_mib * 2**20:
                raise SettingError(
                    f"over data.in_memory_mib={spec.in_memory_mib} of texts: raise it"
                )
            _add(shard, sample, ending, content.decode("utf-8", "replace"), spec)
    return shard


def _add(shard: _Shard, sample: _Sample, ending: str, content: str, spec: WebDatasetSpec) -> None:
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
        shard.keys |= found.keys()
        keys = _CALLED if spec.text_key is None else (spec.text_key,)
        texts = [found[key] for key in keys if isinstance(found.get(key), str)]
        labels = [found[key] for key in _LABELLED if isinstance(found.get(key), str | int)]
        if texts and sample.text is None:
            sample.text = " ".join(texts[0].split()) or None
        if labels and sample.label is None:
            sample.label = str(labels[0])


def _listing(
    paths: Sequence[Path], shards: Mapping[Path, _Shard], spec: WebDatasetSpec, notes: list[str]
) -> Listing:
    """The images of a part that have a text, and their labels where all of these have one."""
    samples = {
        path / name: sample
        for path in paths
        for name, sample in shards[path].samples.items()
        if sample.image is not None
    }
    kept = {name: sample for name, sample in samples.items() if sample.text}
    alone = sum(
        1
        for path in paths
        for sample in shards[path].samples.values()
        if sample.image is None and sample.text
    )
    without = [shown(Path(*name.parts[-2:])) for name in samples if name not in kept]
    told = [f"{many(len(without), 'image')} without a text ({some(without)})"] if without else []
    told += [f"{many(alone, 'text')} without an image"] if alone else []
    if not kept or len(without) + alone > spec.max_corrupt * len(samples):
        keys = sorted({key for path in paths for key in shards[path].keys})
        held = f"; .json members have {some([printable(key) for key in keys])}" if keys else ""
        raise NearfarError(
            f"{' and '.join(told) or 'no image in it'}{held}: an image and its text have the same "
            "name but for the ending; data.text_key names the text of .json members, and a higher "
            "data.max_corrupt leaves out what is alone"
        )
    notes += [f"left out {' and '.join(told)}"] if told else []
    labels = [sample.label for sample in kept.values()]
    there = [label for label in labels if label]
    if there and len(there) < len(labels):
        notes.append(f"{len(labels) - len(there)} of {many(len(labels), 'image')} have no label")
    return Listing(list(kept), there if len(there) == len(labels) else None, [], "members")


def _batches(path: Path, samples: Mapping[str, _Sample]) -> Iterator[dict[Path, bytes | None]]:
    """The images of a tar file that have a text, some at a time."""
    held: dict[Path, bytes | None] = {}
    with _opened(path) as archive:
        for name, _, member in _members(archive):
            sample = samples.get(name)
            if sample is None or not sample.text or member.name != sample.image:
                continue
            held[path / name] = _content(archive, member)
            if len(held) == _IMAGES:
                yield held
                held = {}
    if held:
        yield held
