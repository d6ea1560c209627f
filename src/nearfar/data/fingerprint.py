"""Fingerprints of data: equal for equal examples and labels, wherever they lie."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.source import Examples, JoinedExamples, Part, Source, StreamedExamples
from nearfar.data.streamed_images import StreamedImages
from nearfar.data.tolerant_files import TolerantImages

_SPREAD = 64
"""Streamed images whose content counts, and stands for that of all others."""


def source_fingerprint(source: Source) -> str:
    """One text for a whole source: its training and test parts, its classes and their names.

    Two runs whose sources have the same fingerprint were judged on the same split of the same
    examples. The name of the source and the folder that holds it do not count.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for part in (source.train, source.test):
        digest.update((part_fingerprint(part) if part is not None else "none").encode())
    digest.update(repr(source.class_names).encode())
    if source.search is not None:
        for part in (source.search.queries, source.search.gallery):
            digest.update(part_fingerprint(part).encode())
    return digest.hexdigest()


def part_fingerprint(part: Part) -> str:
    """One text for the examples of a part, in their order, and their labels.

    Examples in memory count bit by bit. Of image files that are streamed, the names and the sizes
    in bytes count, and what 64 of them hold: to read all of ImageNet would take an hour.

    Returns:
        64 hexadecimal digits.
    """
    return part_fingerprints(part)[1]


def part_fingerprints(part: Part) -> tuple[str, str]:
    """The fingerprints of a part without its labels and with them; its files are asked once.

    Returns:
        Twice 64 hexadecimal digits, as `part_fingerprint` gives them.
    """
    digest = hashlib.sha256(repr((len(part), part.example_shape)).encode())
    for bits in _bits_of(part.examples):
        digest.update(bits)
    if isinstance(part.examples, StreamedExamples) and part.names is not None:
        digest.update("\0".join(part.names).encode("utf-8", "surrogateescape"))
    if part.labels is None:
        unlabelled = _with_the_rest(digest, part)
        return unlabelled, unlabelled
    unlabelled = _with_the_rest(digest.copy(), part)
    digest.update(_bits(part.labels))
    return unlabelled, _with_the_rest(digest, part)


def _with_the_rest(digest: "hashlib._Hash", part: Part) -> str:
    """The digest of what comes behind the labels too."""
    if part.multi_labels is not None:
        digest.update(_bits(part.multi_labels))
    if part.partners is not None:
        digest.update(_bits(part.partners.rows))
        if part.partners.modality is not None:
            paired = part.partners.as_part()
            digest.update(repr((paired.modality, paired.example_shape)).encode())
        if part.partners.others is not None:
            digest.update(_bits(part.partners.others))
    for targets in (part.depths, part.masks):
        for bits in () if targets is None else _bits_of(targets):
            digest.update(bits)
    return digest.hexdigest()


def _bits_of(examples: Examples) -> Iterator[bytes | memoryview]:
    """What of the examples counts."""
    if isinstance(examples, Tensor):
        yield repr(examples.dtype).encode()
        yield _bits(examples)
    elif isinstance(examples, StreamedImages):
        yield examples.sizes().tobytes()
        # Pictures of one size in bytes are told apart by some of them.
        for index in _spread(len(examples)):
            yield examples.held(int(examples.rows[index]))
    elif isinstance(examples, (CheckedWhenRead, TolerantImages)):
        yield from _bits_of(examples.images)
    elif isinstance(examples, JoinedExamples):
        yield from _bits_of(examples.first)
        yield from _bits_of(examples.second)
    else:
        for index in _spread(len(examples)):
            yield _bits(examples[index])


def _spread(count: int) -> list[int]:
    """At most `_SPREAD` indices, evenly spread."""
    return np.linspace(0, count - 1, min(_SPREAD, count)).astype(int).tolist()


def _bits(tensor: Tensor) -> memoryview:
    values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return values.numpy().data  # no copy: a part may hold gigabytes
