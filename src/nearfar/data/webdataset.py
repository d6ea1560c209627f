"""Sources from WebDataset's tar files: images alone, or with the text members of the same name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from nearfar.data.captions import with_texts
from nearfar.data.file_reading import name_below, shown
from nearfar.data.folder_listing import Listing
from nearfar.data.folder_tree import many, some
from nearfar.data.image_parquet import shards_by_part
from nearfar.data.paired_specs import WebDatasetSpec
from nearfar.data.shard_contents import PartInShards, load_contents
from nearfar.data.shard_images import Places
from nearfar.data.shard_specs import ImageTarSpec
from nearfar.data.source import Source
from nearfar.data.tar_files import (
    Sample,
    TarIndex,
    TarReader,
    Texts,
    images_of_tar,
    read_tar_index,
    undone,
)
from nearfar.errors import NearfarError
from nearfar.outside_text import printable


def load_webdataset(spec: WebDatasetSpec) -> Source:
    """Read the images of one tar file, or of all in a folder, each with its text.

    Members of one name up to the first dot behind their folder belong together: an image, a `.txt`
    or the text in a `.json`, and maybe a `.cls` with a label. Tar files of a folder are of the part
    that their names begin with (`train-000.tar`). Members are read where they lie and never
    unpacked, and what is no plain file is passed over.

    Returns:
        The source, in memory or streamed; an image is called by its file and its name in it.

    Raises:
        NearfarError: If a file cannot be read, too many images cannot, or too many have no text.
        SettingError: If the images are larger than `in_memory_mib`, and a file is compressed.
    """
    root, base, notes = _place(spec.root)
    try:
        parts, indices = _indices(root, notes, Texts(spec.text_key, spec.in_memory_mib))
        held = [
            _part(paths, indices, _with_texts(paths, indices, spec, notes), notes, base)
            for paths in parts
        ]
    except NearfarError as error:
        raise type(error)(f"{shown(root)}: {error}") from None
    source = load_contents(spec, base, held, notes)
    texts = {
        name_below(path / name, base): [sample.text]
        for path, index in indices.items()
        for name, sample in index.samples.items()
        if sample.text
    }
    return with_texts(source, texts, spec.length, spec.in_memory_mib)


def load_image_tar(spec: ImageTarSpec) -> Source:
    """Read the images of one tar file, or of all in a folder, with their labels.

    Files, parts and names are those of `load_webdataset`; texts are not read.

    Returns:
        The source, in memory or streamed; an image is called by its file and its name in it. Those
        without a label are the unlabelled part where others have one.

    Raises:
        NearfarError: If a file cannot be read, holds no image, or too many images cannot be read.
        SettingError: If the images are larger than `in_memory_mib`, and a file is compressed.
    """
    root, base, notes = _place(spec.root)
    try:
        parts, indices = _indices(root, notes, None)
        held = [
            _part(paths, indices, _all_images(paths, indices), notes, base, gaps=True)
            for paths in parts
        ]
    except NearfarError as error:
        raise type(error)(f"{shown(root)}: {error}") from None
    return load_contents(spec, base, held, notes)


def _place(root: Path | None) -> tuple[Path, Path, list[str]]:
    """Where the tar files are, the folder that names are given below, and no note yet."""
    assert root is not None
    return root, root if root.is_dir() else root.parent, []


def _indices(
    root: Path, notes: list[str], texts: Texts | None
) -> tuple[list[list[Path]], dict[Path, TarIndex]]:
    """The tar files of each part, and what each holds."""
    if root.is_dir():
        _refuse_compressed(root)
    parts = list(shards_by_part(root, ".tar", notes).values())
    return parts, {path: read_tar_index(path, texts) for paths in parts for path in paths}


def _refuse_compressed(root: Path) -> None:
    """Refuse a folder with compressed tar files that nothing would be read of.

    Raises:
        NearfarError: There is one, and beside it no file of its name without the compression.
    """
    compressed = [(path, undone(path)) for path in sorted(root.rglob("*.t*"))]
    left = [(path, how[1]) for path, how in compressed if how and not how[0].exists()]
    if left:
        path, command = left[0]
        raise NearfarError(
            f"{many(len(left), 'tar file')} compressed, such as {shown(path.relative_to(root))}: "
            f"decompress each ({command}), so that its images can be read one by one"
        )


def _all_images(
    paths: Sequence[Path], indices: Mapping[Path, TarIndex]
) -> dict[Path, dict[str, Sample]]:
    """The images of a part."""
    found = {
        path: {name: each for name, each in indices[path].samples.items() if each.image is not None}
        for path in paths
    }
    if not any(found.values()):
        raise NearfarError("no image in it")
    return found


def _with_texts(
    paths: Sequence[Path],
    indices: Mapping[Path, TarIndex],
    spec: WebDatasetSpec,
    notes: list[str],
) -> dict[Path, dict[str, Sample]]:
    """The images of a part that have a text."""
    samples = {
        path / name: sample
        for path in paths
        for name, sample in indices[path].samples.items()
        if sample.image is not None
    }
    alone = sum(
        1
        for path in paths
        for sample in indices[path].samples.values()
        if sample.image is None and sample.text
    )
    without = [shown(Path(*name.parts[-2:])) for name, each in samples.items() if not each.text]
    told = [f"{many(len(without), 'image')} without a text ({some(without)})"] if without else []
    told += [f"{many(alone, 'text')} without an image"] if alone else []
    kept = len(samples) - len(without)
    if not kept or len(without) + alone > spec.max_corrupt * len(samples):
        keys = sorted({key for path in paths for key in indices[path].keys})
        held = f"; .json members have {some([printable(key) for key in keys])}" if keys else ""
        raise NearfarError(
            f"{' and '.join(told) or 'no image in it'}{held}: an image and its text have the same "
            "name but for the ending; data.text_key names the text of .json members, and a higher "
            "data.max_corrupt leaves out what is alone"
        )
    notes += [f"left out {' and '.join(told)}"] if told else []
    return {
        path: {
            name: each
            for name, each in indices[path].samples.items()
            if each.image is not None and each.text
        }
        for path in paths
    }


def _part(
    paths: Sequence[Path],
    indices: Mapping[Path, TarIndex],
    chosen: Mapping[Path, Mapping[str, Sample]],
    notes: list[str],
    base: Path,
    *,
    gaps: bool = False,
) -> PartInShards:
    """The chosen images of a part, with labels where all of these have one, or some, with gaps."""
    samples = [each for path in paths for each in chosen[path].values()]
    labels = [sample.label or "" for sample in samples]
    missing = labels.count("")
    if 0 < missing < len(labels) and not gaps:
        notes.append(f"{missing} of {many(len(labels), 'image')} have no label")
    files = [path / name for path in paths for name in chosen[path]]
    known = missing < len(labels) if gaps else not missing
    listing = Listing(files, labels if known else None, [], "members")

    def contents() -> Iterator[dict[Path, bytes | None]]:
        for path in paths:
            yield from images_of_tar(path, chosen[path])

    compressed = [path for path in paths if any(each.place < 0 for each in chosen[path].values())]
    if compressed:
        name = shown(compressed[0].relative_to(base))
        how = undone(compressed[0])
        why = f"{name} is compressed" + (f" ({how[1]} undoes that)" if how else "")
        why += ", or holds what cannot be read by itself"
        return PartInShards(listing, contents, why)
    counts = [len(chosen[path]) for path in paths]
    where = Places(
        [indices[path].shard for path in paths],
        np.repeat(np.arange(len(paths)), counts),
        np.array([sample.place for sample in samples], dtype=np.int64),
        np.array([sample.size for sample in samples], dtype=np.int64),
        TarReader,
    )
    return PartInShards(listing, contents, where)
