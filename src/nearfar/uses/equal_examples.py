"""Which examples are equal: files byte by byte, images pixel by pixel, others value by value."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from nearfar.data.image_files import UnreadableImageError, pillow_quiet, read_header, read_image
from nearfar.errors import NearfarError
from nearfar.uses.duplicates import Kind
from nearfar.uses.examples import examples_in_memory, file_of, folder_of
from nearfar.uses.features_file import Features


def equal_examples(
    features: Features, rows: Sequence[int], folder: Path | None = None
) -> list[tuple[int, int, Kind]]:
    """Pairs of rows whose examples are equal, each with the first of its kind.

    Files with equal bytes are; so are images whose pixels are equal at their own size, whatever
    their files. Where the examples are no longer where they were, there are no pairs.

    Args:
        features: Whose names say where the examples are.
        rows: Those that may be equal to others.
        folder: Where the files lie now; None where they lay.
    """
    texts = features.about is not None and features.about.modality == "texts"
    place = None if texts else folder_of(features, folder)  # a file may hold many texts
    if place is None:
        return _of_memory(features, rows)
    bytes_of: dict[int, str] = {}
    pixels_of: dict[int, str] = {}
    for row in rows:
        file = file_of(place, features.names[row])
        if file is None:
            continue
        bytes_of[row] = _digest_of_file(file)
    kept = set(_firsts(bytes_of).values())
    for row in sorted(kept):
        digest = _digest_of_pixels(file_of(place, features.names[row]))
        if digest is not None:
            pixels_of[row] = digest
    pairs = _pairs(bytes_of, "bytes")
    # Of files with equal bytes one speaks for all.
    first_of = _firsts(pixels_of)
    stands_for = {row: first_of[digest] for row, digest in pixels_of.items()}
    firsts = _firsts(bytes_of)
    for row, digest in bytes_of.items():
        first = firsts[digest]
        other = stands_for.get(first, first)
        if other != first:
            pairs.append((other, row, "values"))
    return pairs


def _of_memory(features: Features, rows: Sequence[int]) -> list[tuple[int, int, Kind]]:
    try:
        examples = examples_in_memory(features, rows)
    except (NearfarError, OSError):
        return []
    digests = {
        row: hashlib.sha256(example.contiguous().numpy().tobytes()).hexdigest()
        for row, example in examples.items()
    }
    return _pairs(digests, "values")


def _pairs(digests: Mapping[int, str], kind: Kind) -> list[tuple[int, int, Kind]]:
    firsts = _firsts(digests)
    return [(firsts[digest], row, kind) for row, digest in digests.items() if firsts[digest] != row]


def _firsts(digests: Mapping[int, str]) -> dict[str, int]:
    firsts: dict[str, int] = {}
    for row, digest in digests.items():
        firsts.setdefault(digest, row)
    return firsts


def _digest_of_file(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _digest_of_pixels(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        with pillow_quiet():
            header = read_header(file)
            pixels = read_image(file, (3, header.height, header.width), "crop")
    except UnreadableImageError:
        return None
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
