import errno
import multiprocessing
import os
import socket
import stat
from pathlib import Path

import pytest

from nearfar.durable_files import (
    UNFINISHED,
    append_line,
    make_folder,
    remove_leftovers,
    write_durably,
)
from nearfar.errors import NearfarError


def test_content_arrives_and_nothing_is_left_beside_it(tmp_path):
    write_durably(tmp_path / "a", b"old")
    write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_content_is_synced_before_it_is_renamed_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
    write_durably(tmp_path / "a", b"x")
    assert calls == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, call):
    write_durably(tmp_path / "a", b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(NearfarError, match=r"cannot write .*/a: No space left on device"):
        write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(NearfarError, match="cannot write"):
        write_durably(tmp_path / "none" / "a", b"x")
    with pytest.raises(NearfarError, match="cannot write"):
        append_line(tmp_path / "none" / "a", "x")
    with pytest.raises(NearfarError, match=r"cannot make the folder .*: Not a directory"):
        make_folder(file_at(tmp_path / "file") / "a")


def file_at(path: Path) -> Path:
    path.write_text("")
    return path


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "page.html"
    target.write_bytes(b"old")
    link, second, dangling = (tmp_path / name for name in ("link", "second", "dangling"))
    link.symlink_to(target)
    second.symlink_to("link")
    dangling.symlink_to(tmp_path / "real" / "new")
    for path in (link, second):
        write_durably(path, path.name.encode())
        assert path.is_symlink()
        assert target.read_bytes() == path.name.encode()
    write_durably(dangling, b"first")
    assert dangling.is_symlink()
    assert (tmp_path / "real" / "new").read_bytes() == b"first"


def test_a_link_that_leads_in_a_circle_is_one_line(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(NearfarError, match=r"cannot write .*/a: Too many levels"):
        write_durably(tmp_path / "a", b"x")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "linked device"])
def test_what_is_no_file_is_left_as_it_is(tmp_path, kind):
    path = tmp_path / "there"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif kind == "device":
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root can make a device")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    before = path.lstat()
    with pytest.raises(NearfarError, match=r"it is a .*, not a file; choose another name"):
        write_durably(path, b"x")
    assert path.lstat() == before
    assert [left.name for left in tmp_path.iterdir()] == ["there"]


def test_permissions_stay_and_a_new_file_has_the_usual_ones(tmp_path):
    (tmp_path / "usual").write_text("")
    write_durably(tmp_path / "new", b"x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_durably(tmp_path / "new", b"y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "n" * 256])
def test_the_longest_names_are_written_and_longer_ones_are_one_line(tmp_path, name):
    if len(os.fsencode(name)) > 255:
        with pytest.raises(NearfarError, match="File name too long"):
            write_durably(tmp_path / name, b"x")
    else:
        write_durably(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"


def write_letters(path: Path, letter: bytes, size: int, times: int) -> None:
    for _ in range(times):
        write_durably(path, letter * size)


def test_two_writers_of_one_path_never_give_a_torn_read(tmp_path):
    path, size = tmp_path / "contested", 20_000
    write_durably(path, b"a" * size)
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=write_letters, args=(path, letter, size, 200))
        for letter in (b"a", b"b")
    ]
    for writer in writers:
        writer.start()
    whole = {b"a" * size, b"b" * size}
    reads = 0
    while reads < 2000 or any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in whole
        reads += 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert [left.name for left in tmp_path.iterdir()] == ["contested"]


def test_only_our_own_leftovers_of_dead_processes_go(tmp_path):
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    child.join()
    gone = tmp_path / f"a.json.{child.pid}-0123abcd{UNFINISHED}"
    stays = [
        f"a.json.{os.getppid()}-0123abcd{UNFINISHED}",  # another process is at it
        f"mine{UNFINISHED}",
        "thesis.unfinished",
        f"a.{child.pid}-0123ABCD{UNFINISHED}",
    ]
    for name in [gone.name, *stays]:
        (tmp_path / name).write_text("x")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / gone.name).write_text("x")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*stays, "below"])
    assert (tmp_path / "below" / gone.name).exists()
