"""Paths held as text are those that pathlib makes, and so are their names."""

import os
from pathlib import Path

import pytest

from nearfar.data.file_paths import FilePaths
from nearfar.data.file_reading import name_below
from nearfar.data.folder_tree import walk
from nearfar.data.image_files import IMAGES

NAMES = ["b/1.png", "b/é.PNG", "a.png", os.fsdecode(b"a/\xff.tif"), "a/b.c/_.jpg"]


@pytest.fixture
def root(tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_tree_gives_the_paths_of_its_files_wherever_it_is_begun(root, monkeypatch):
    monkeypatch.chdir(root)
    for where in (root, Path(), Path("a/.."), Path("/").joinpath(*root.parts[1:])):
        found = walk(where, IMAGES)[0].all_files()
        order = ["a.png", "a/\udcff.tif", "a/b.c/_.jpg", "b/1.png", "b/é.PNG"]
        assert list(found) == [where / name for name in order]
        assert [os.fsdecode(each) for each in found.encoded()] == [str(path) for path in found]
        assert found.names_below(where) == [name_below(path, where) for path in found]
        assert found.names_below(where)[1] == "a/\\xff.tif"


def test_some_of_the_paths_are_chosen(root):
    paths = FilePaths.of([root / name for name in NAMES])
    assert FilePaths.of(paths) is paths
    assert (len(paths), paths[2], paths[-1]) == (5, root / NAMES[2], root / NAMES[4])
    assert list(paths[1:3]) == [root / NAMES[1], root / NAMES[2]]
    assert list(paths.at([4, 0])) == [root / NAMES[4], root / NAMES[0]]
    assert list(paths.ending_in((".png", ".tif"))) == [root / name for name in NAMES[:4]]
    assert not FilePaths([]).encoded().size
