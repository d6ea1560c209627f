"""The published sets that encoders are transferred to: streamed images, the makers' own split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nearfar.data import published_listings
from nearfar.data.downloads import download
from nearfar.data.file_reading import name_below
from nearfar.data.labels import encode_labels
from nearfar.data.published_listings import VOC_CLASSES, ListedPart, Reader
from nearfar.data.published_specs import FetchedSetSpec, PublishedSetSpec
from nearfar.data.source import Part, Source
from nearfar.data.streamed_files import StreamedFiles
from nearfar.errors import NearfarError

DEFAULT_SIDE = 256


def load_published_set(spec: PublishedSetSpec) -> Source:
    """List a set's images and labels by its makers' lists; files are decoded when asked for.

    Returns:
        The part to learn from and the test part, of the published split.

    Raises:
        NearfarError: Files are missing or damaged.
    """
    folder = _found(spec)
    read: Reader = getattr(published_listings, spec.name.replace("-", "_"))
    train, test = read(folder)
    side = spec.image_size or DEFAULT_SIDE
    shape = (3, side, side)
    missing = [file for part in (train, test) for file in _few(part.files) if not file.is_file()]
    if missing:
        raise NearfarError(
            f"{spec.name}: {missing[0]} is listed and not there: unpack the images beside the lists"
        )
    cut = "images are cut to their centre squares as they are read (data.fit crop)"
    notes = (cut,) if spec.fit == "crop" else ()

    def part(listed: ListedPart, known: list[str] | None) -> tuple[Part, list[str]]:
        examples = StreamedFiles(listed.files, shape, spec.fit)
        names = [name_below(file, folder) for file in listed.files]
        if listed.present is not None:
            present = torch.from_numpy(np.ascontiguousarray(listed.present))
            return Part(examples, names=names, multi_labels=present), list(VOC_CLASSES)
        assert listed.classes is not None
        labels, classes = encode_labels(
            list(listed.classes), len(examples), what=f"classes of {spec.name}", classes=known
        )
        return Part(examples, labels, names), classes

    learnt, classes = part(train, None)
    judged, _ = part(test, classes)
    return Source(spec.name, learnt, judged, class_names=tuple(classes), notes=notes)


def _found(spec: PublishedSetSpec) -> Path:
    """The folder of the set, fetched where that is allowed."""
    places = [spec.folder / spec.inside, spec.folder]
    for attempt in range(2):
        for place in places:
            if all((place / each).exists() for each in spec.marks):
                return place
        if attempt == 0 and spec.may_download:
            for options in spec.downloads:
                download(spec.torchvision_name, spec.folder, **options)
    how = ", or fetch it with --data.download" if isinstance(spec, FetchedSetSpec) else ""
    raise NearfarError(
        f"{spec.name} is not in {spec.folder}: {spec.fetch}, so that {places[0] / spec.marks[0]} "
        f"exists; name another folder with --data.root{how}"
    )


def _few(files: Sequence[Path]) -> list[Path]:
    """Some of the files, evenly spread: all of 100 000 would take a minute on a slow disk."""
    places = np.linspace(0, len(files) - 1, min(64, len(files))).astype(int)
    return [files[place] for place in places]
