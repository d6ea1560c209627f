"""The table of verses: aligned, of modules that are parsed and never run."""

import csv

import pytest
from tools.bible import VERSIONS, main, table, verses

from nearfar.errors import NearfarError

MODULE = '''raise SystemExit("this module was run")
from pythonbible.books import Book
bible = Bible(
    Version.{version},
    """In the  beginning,
{version}. And the earth. Bears, and more.""",
    {{1001001: 0, 1001002: {middle}, {third}: {later}}},
    {{1001001: {middle}, 1001002: {later}, {third}: 99}},
    {{Book.GENESIS: {{1: 2}}}},
    {{Book.GENESIS: "Genesis", Book.EXODUS: "Exodus"}},
    {{Book.GENESIS: "The First Book", Book.EXODUS: "The Second"}},
)
'''


def module(version, third=2003001):
    first = f"In the  beginning,\n{version}."
    middle = len(first)
    later = middle + len(" And the earth.")
    return MODULE.format(version=version, middle=middle, later=later, third=third)


def packages(tmp_path, **third):
    for version in VERSIONS:
        folder = tmp_path / f"pythonbible_{version}"
        folder.mkdir()
        text = module(version, third.get(version, 2003001))
        (folder / "plain_text_readers_bible.py").write_text(text)
    return tmp_path


def test_verses_are_cut_out_by_their_places():
    assert verses(module("asv"), "a.py") == {
        1001001: ("Genesis", "In the beginning, asv."),
        1001002: ("Genesis", "And the earth."),
        2003001: ("Exodus", "Bears, and more."),
    }


def test_rows_are_those_that_all_versions_have(tmp_path):
    rows = list(csv.DictReader(table(packages(tmp_path, web=2003002)).splitlines()))
    assert [(each["book"], each["chapter"], each["verse"]) for each in rows] == [
        ("Genesis", "1", "1"),
        ("Genesis", "1", "2"),
    ]
    assert [rows[0][version] for version in VERSIONS] == [
        f"In the beginning, {version}." for version in VERSIONS
    ]


@pytest.mark.parametrize("text", ["", "bible = 3", "bible = Bible(1, 2)", "bible = (", MODULE])
def test_other_modules_are_refused(text):
    with pytest.raises(NearfarError, match=r"a.py: not a Bible .* run `make bible` again"):
        verses(text, "a.py")


def test_it_is_written_whole_or_not_at_all(tmp_path, capsys):
    out = tmp_path / "new" / "verses.csv"
    assert main([str(tmp_path), str(out)]) == 1
    assert "run `make bible`" in capsys.readouterr().err
    assert not out.exists()
    assert main([str(packages(tmp_path)), str(out)]) == 0
    assert "3 verses" in capsys.readouterr().out
    assert len(out.read_text().splitlines()) == 4
