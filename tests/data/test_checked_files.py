"""What an earlier opening of a folder decoded is not decoded again, and nothing else is skipped."""

import os

import numpy as np
import pytest
from PIL import Image

from nearfar.data import folder
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec
from nearfar.errors import NearfarError


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Twelve pictures of two classes, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    draws = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for number in range(6):
            pixels = draws.integers(256, size=(12, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / kind / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that are decoded while a folder is opened."""
    names, read = [], folder.read_image

    def reading(path, *given):
        names.append(path.name)
        return read(path, *given)

    monkeypatch.setattr(folder, "read_image", reading)
    return names


def load(root, **changes):
    return load_source(FolderSpec(root=root, **{"in_memory_mib": 0, "max_corrupt": 0.2} | changes))


def everything(source):
    parts = (source.train, source.test)
    images = [np.stack([part.examples[row].numpy() for row in range(len(part))]) for part in parts]
    return images, [part.labels.tolist() for part in parts], source.class_names, source.notes


def cache(root):
    return list((root.parent / "cache").rglob("*.npz"))


def test_a_folder_that_was_opened_is_opened_again_without_decoding(pictures, decoded):
    first = load(pictures)
    assert len(decoded) == 12
    decoded.clear()
    again = load(pictures)
    assert decoded == []
    for one, other in zip(everything(first), everything(again), strict=True):
        np.testing.assert_equal(one, other)


def test_what_is_new_or_changed_is_decoded(pictures, decoded):
    load(pictures)
    decoded.clear()
    Image.new("RGB", (10, 12)).save(pictures / "cat" / "new.png")
    changed = pictures / "dog" / "3.png"
    before = changed.stat()
    content = bytearray(changed.read_bytes())
    content[-20] ^= 1  # of the same size
    changed.write_bytes(content)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    (pictures / "cat" / "0.png").unlink()
    source = load(pictures)
    assert sorted(decoded) == ["3.png", "new.png"]
    assert len(source.train) + len(source.test) == 11
    assert "skipped 1 of 12 images: dog/3.png" in " ".join(source.notes)
    decoded.clear()
    load(pictures)
    assert decoded == ["3.png"]  # one that cannot be read is tried anew


def test_a_file_that_goes_bad_is_found_and_the_share_of_corrupt_ones_is_kept(pictures, decoded):
    load(pictures)
    for number in range(3):
        (pictures / "dog" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(NearfarError, match="3 of 12 images cannot be read"):
        load(pictures)


@pytest.mark.parametrize("damage", ["cut", "other", "pickle"])
def test_a_damaged_account_counts_for_nothing(pictures, decoded, damage):
    load(pictures)
    (account,) = cache(pictures)
    if damage == "cut":
        account.write_bytes(account.read_bytes()[:-100])
    elif damage == "other":
        np.savez(account, format=np.array(1), paths=np.array([b"a"]), stamps=0, headers=0)
    else:
        np.savez(account, paths=np.array([{"a": 1}], dtype=object))
    decoded.clear()
    load(pictures)
    assert len(decoded) == 12
    decoded.clear()
    load(pictures)
    assert decoded == []


def test_images_in_memory_and_channels_of_another_number_leave_no_account(pictures, decoded):
    load(pictures, in_memory_mib=64)
    assert cache(pictures) == []
    load(pictures)
    decoded.clear()
    load(pictures, in_memory_mib=64)
    assert len(decoded) == 12  # their pixels are wanted


def test_a_cache_that_cannot_be_written_is_done_without(pictures, decoded, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(pictures / "cat" / "0.png"))
    load(pictures)
    load(pictures)
    assert len(decoded) == 24


def test_a_file_that_changes_while_the_folder_is_opened_is_decoded_again(pictures, monkeypatch):
    read = folder.read_image

    def reading(path, *given):
        image = read(path, *given)
        if path.name == "5.png":
            path.write_bytes(b"no image any more")
        return image

    monkeypatch.setattr(folder, "read_image", reading)
    load(pictures)
    monkeypatch.setattr(folder, "read_image", read)
    assert "skipped 2 of 12 images" in " ".join(load(pictures).notes)
