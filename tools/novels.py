"""Jane Austen's six novels as files of sentences, from Debian's package r-cran-janeaustenr.

python -m tools.novels [FOLDER]      ~/.cache/nearfar/novels where it is left out: 1.6 MB fetched

A line a sentence, in order; a file a chapter, a folder a novel, in train/, and of every fifth
chapter in test/: what `--data text-lines` takes for classes and parts. FOLDER-pairs.csv beside it
holds pairs of sentences of test chapters, scored 1 where the one follows the other and 0 where they
are of two chapters of a novel: what `evaluation.semantic_similarity` takes.

The novels (1811 to 1818) are in the public domain, the package is under the MIT licence, and
nothing is installed. Needs `apt-get` and `dpkg-deb`, as Debian and Ubuntu have them.
"""

import csv
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from nearfar.errors import NearfarError
from nearfar.paths import user_cache
from tools.debian_data import fetch, unpack

PACKAGE = "r-cran-janeaustenr"
NOVELS = (
    *("emma", "mansfield-park", "northanger-abbey", "persuasion", "pride-and-prejudice"),
    "sense-and-sensibility",
)
"""In the order of the package's file, by their titles' letters."""
TEST_EVERY = 5
"""One chapter of so many is for test."""
PAIRS, FEWEST_WORDS = 2400, 5
"""Scored pairs at most, and the words that each of their sentences has at least."""

_STRINGS, _STRING = 16, 9
"""R's types of a vector of strings, and of a string."""
_CHAPTER = re.compile(r"chapter [\divxlc]+", re.IGNORECASE)
_LEFT_OUT = re.compile(r"volume [ivx]+|the end|finis", re.IGNORECASE)
_BEHIND = "A NOTE ON THE TEXT"
"""What follows is no longer the author's."""
_END = re.compile(
    r"""(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\bCol)[.!?]["')\]]*(?=\s+["'(]*[A-Z])"""
)


def string_vectors(data: bytes) -> Iterator[list[str]]:
    """The vectors of strings in a file of R's lazily loaded data (.rdb), in its order.

    Each stands behind its length, compressed by zlib, in the XDR form of R's `serialize`.

    Raises:
        NearfarError: It is no such file.
    """
    try:
        while data:
            (size,) = struct.unpack(">I", data[:4])
            inflate = zlib.decompressobj()
            content = inflate.decompress(data[4:])
            data = inflate.unused_data
            if len(content) != size or not inflate.eof:
                raise ValueError
            yield _strings(content)
    except (ValueError, struct.error, zlib.error):
        raise NearfarError("no file of R's data whose vectors are of strings") from None


def _strings(content: bytes) -> list[str]:
    """The strings of one vector."""
    (version,) = struct.unpack(">i", content[2:6])
    place = 14
    if version == 3:  # the encoding's name, behind its length
        place += 4 + struct.unpack(">i", content[place : place + 4])[0]
    kind, count = struct.unpack(">ii", content[place : place + 8])
    if content[:2] != b"X\n" or kind & 0xFF != _STRINGS:
        raise ValueError
    place += 8
    strings = []
    for _ in range(count):
        kind, length = struct.unpack(">ii", content[place : place + 8])
        if kind & 0xFF != _STRING:
            raise ValueError
        place += 8
        strings.append(content[place : place + max(0, length)].decode())
        place += max(0, length)
    return strings


def chapters(lines: Sequence[str]) -> list[list[str]]:
    """The sentences of each chapter of a novel; what stands before the first is left out."""
    found: list[list[str]] = []
    paragraph: list[str] = []
    for line in [*lines, ""]:
        plain = line.strip()
        if plain == _BEHIND:
            break
        if plain:
            paragraph.append(plain)
            continue
        text, paragraph = " ".join(" ".join(paragraph).replace("_", "").split()), []
        if _CHAPTER.fullmatch(text):
            found.append([])
        elif text and found and not _LEFT_OUT.fullmatch(text):
            found[-1] += sentences(text)
    return found


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, with their quotes: each ends before a capital letter."""
    found, begin = [], 0
    for end in _END.finditer(paragraph):
        found.append(paragraph[begin : end.end()].strip())
        begin = end.end()
    found.append(paragraph[begin:].strip())
    return [each for each in found if each]


def pairs_of_novel(test: Sequence[Sequence[str]], count: int) -> list[tuple[str, str, int]]:
    """Neighbours and others among the longer sentences of a novel's test chapters, as many of each.

    Args:
        test: The sentences of each chapter.
        count: Pairs of either kind at most.
    """
    # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
    draw = np.random.RandomState(0)
    long = [(place, each) for place, held in enumerate(test) for each in held if _is_long(each)]
    near = [
        (one, other, 1)
        for held in test
        for one, other in pairwise(held)
        if _is_long(one) and _is_long(other)
    ]
    near = [near[row] for row in sorted(draw.permutation(len(near))[:count])]
    far: list[tuple[str, str, int]] = []
    while len(far) < len(near) and len(test) > 1:
        (place, one), (elsewhere, other) = (long[draw.randint(len(long))] for _ in range(2))
        if place != elsewhere:
            far.append((one, other, 0))
    return [*near, *far]


def _is_long(sentence: str) -> bool:
    return len(sentence.split()) >= FEWEST_WORDS


def write_novels(data: bytes, folder: Path) -> int:
    """Write the novels of the package's file, and pairs; returns how many sentences there are."""
    written, pairs = 0, []
    for novel, lines in zip(NOVELS, string_vectors(data), strict=True):
        by_chapter = chapters(lines)
        pairs += pairs_of_novel(by_chapter[TEST_EVERY - 1 :: TEST_EVERY], PAIRS // len(NOVELS) // 2)
        for number, held in enumerate(by_chapter, 1):
            part = "train" if number % TEST_EVERY else "test"
            file = folder / part / novel / f"{number:02d}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{each}\n" for each in held), encoding="utf-8")
            written += len(held)
    with pairs_file(folder).open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([("sentence1", "sentence2", "score"), *pairs])
    return written


def pairs_file(folder: Path) -> Path:
    """Where the pairs of a folder of novels lie: beside it, for it holds texts alone."""
    return folder.with_name(f"{folder.name}-pairs.csv")


def _place(package: str, name: PurePosixPath) -> PurePosixPath | None:  # noqa: ARG001
    wanted = name.name in ("Rdata.rdb", "copyright")
    return PurePosixPath(f".{name.name}") if wanted else None


if __name__ == "__main__":
    if len(sys.argv) > 2 or "--help" in sys.argv:
        sys.exit(__doc__)
    folder = Path(sys.argv[1]).expanduser() if len(sys.argv) == 2 else user_cache() / "novels"
    try:
        with tempfile.TemporaryDirectory() as fetched:
            for package in fetch([PACKAGE], Path(fetched)):
                unpack(package, folder, _place)
        data = folder / ".Rdata.rdb"
        print(f"{write_novels(data.read_bytes(), folder)} sentences in {folder}")
        data.unlink()
    except NearfarError as error:
        sys.exit(f"error: {error}")
