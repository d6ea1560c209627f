"""Jane Austen's novels out of R's data: their sentences, chapters and pairs."""

import csv
import struct
import zlib
from pathlib import PurePosixPath

import pytest
from tools import novels

from nearfar.data.scored_pairs import read_scored_pairs
from nearfar.data.sources import load_source
from nearfar.data.text_specs import TextLinesSpec
from nearfar.errors import NearfarError


def _as_r_writes_it(lines, version=3):
    head = b"X\n" + struct.pack(">iii", version, 0, 0)
    head += struct.pack(">i", 5) + b"UTF-8" if version == 3 else b""
    content = head + struct.pack(">ii", 16, len(lines))
    for line in lines:
        text = line.encode()
        content += struct.pack(">ii", 0x40009, len(text)) + text
    return struct.pack(">I", len(content)) + zlib.compress(content)


def _novel(name, chapters=10):
    lines = [name.upper(), "", "By Jane Austen", "", "VOLUME I", ""]
    for number in range(1, chapters + 1):
        lines += [f"CHAPTER {number}", "", f"In {name} this is the chapter of", f"number {number}."]
        lines += [
            "",
            f'"It is _so_," said Mr. Knight of {number}. "You see it. Do',
            'you?" Yes—he did.',
            "",
        ]
    return [*lines, "THE END", "", "A NOTE ON THE TEXT", "The first edition was of 1811."]


def test_a_paragraph_ends_its_sentences_before_capitals_and_not_behind_titles():
    said = '"Come," said Mrs. Long to St. John. "Now!" (She rose.) Did he? no, not 3.5 of them.'
    assert novels.sentences(said) == [
        '"Come," said Mrs. Long to St. John.',
        '"Now!"',
        "(She rose.)",
        "Did he? no, not 3.5 of them.",
    ]


@pytest.mark.parametrize("version", [2, 3])
def test_the_strings_of_rs_data_are_read_one_vector_after_the_other(version):
    data = b"".join(_as_r_writes_it([name, "", "ü"], version) for name in "ab")
    assert list(novels.string_vectors(data)) == [["a", "", "ü"], ["b", "", "ü"]]
    for damaged in (data[:-3], data[4:], b"\0\0\0\1" + zlib.compress(b"x")):
        with pytest.raises(NearfarError, match="no file of R's data"):
            list(novels.string_vectors(damaged))


def test_novels_are_classes_and_every_fifth_chapter_is_for_test(tmp_path):
    data = b"".join(_as_r_writes_it(_novel(name)) for name in novels.NOVELS)
    folder = tmp_path / "novels"
    written = novels.write_novels(data, folder)
    assert written == 6 * 10 * 5
    assert (folder / "train/emma/02.txt").read_text().splitlines() == [
        "In emma this is the chapter of number 2.",
        '"It is so," said Mr. Knight of 2.',
        '"You see it.',
        'Do you?"',
        "Yes—he did.",
    ]
    source = load_source(TextLinesSpec(root=folder, neighbours=1))
    assert source.class_names == novels.NOVELS
    assert len(source.test) == 6 * 2 * 5
    assert source.test.names[0] == "test/emma/05.txt:1"
    names, partners = source.train.names, source.train.partners.rows
    assert [names[row] for row in partners[1].tolist()] == [
        "train/emma/01.txt:1",
        "train/emma/01.txt:3",
    ]
    with novels.pairs_file(folder).open(newline="") as file:
        pairs = list(csv.DictReader(file))
    assert {pair["score"] for pair in pairs} == {"0", "1"}
    near = [pair for pair in pairs if pair["score"] == "1"]
    assert near[0]["sentence2"] == '"It is so," said Mr. Knight of 5.'
    assert 2 * len(near) == len(pairs)
    assert len(read_scored_pairs(novels.pairs_file(folder)).scores) == len(pairs)


def test_of_the_package_the_data_and_the_licence_are_kept():
    kept = novels._place("r-cran-janeaustenr", PurePosixPath("usr/lib/R/data/Rdata.rdb"))
    assert str(kept) == ".Rdata.rdb"
    assert novels._place("r-cran-janeaustenr", PurePosixPath("usr/lib/R/data/Rdata.rdx")) is None
