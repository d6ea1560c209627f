"""Many files are opened undecoded; what stands in for an unreadable one hangs on nothing else."""

import errno
import shutil

import numpy as np
import pytest
import torch
from few_batches import few_batches
from PIL import Image

from nearfar.data import late_checks, streamed_images
from nearfar.data.batches import evaluation_batches
from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.file_paths import FilePaths
from nearfar.data.fingerprint import part_fingerprint, source_fingerprint
from nearfar.data.held_out import hold_out
from nearfar.data.source import choose
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec, ImageTableSpec
from nearfar.errors import NearfarError

LOST = ("cat/03.png", "dog/17.png", "dog/18.png")
COUNT = 20


def write(root, kinds=("cat", "dog")):
    """Twenty pictures of each class, each of one grey that no other has."""
    for kind, name in enumerate(kinds):
        (root / name).mkdir(parents=True)
        for number in range(COUNT):
            grey = COUNT * kind + number
            Image.new("L", (6, 6), grey).save(root / name / f"{number:02d}.png")
    return root


def spoil(root, *names):
    for name in names:
        path = root / name
        path.write_bytes(path.read_bytes()[:-30])


@pytest.fixture(autouse=True)
def many(monkeypatch):
    """So few count as many."""
    monkeypatch.setattr(late_checks, "AT_ONCE", 10)


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "pictures")


def load(root, **changes):
    return load_source(FolderSpec(root=root, **{"in_memory_mib": 0, "max_corrupt": 0.1} | changes))


def greys(examples):
    return [int(examples[index][0, 0, 0]) for index in range(len(examples))]


def epoch(part, *, workers=0, first_step=0, rank=0, ranks=1):
    batches = few_batches(part, workers=workers, rank=rank, ranks=ranks)
    return [
        (images[:, 0, 0, 0].tolist(), labels.tolist(), indices.tolist())
        for images, labels, indices in batches.epoch(1, first_step)
    ]


def test_an_opening_reads_some_headers_and_decodes_nothing(root, monkeypatch):
    headers = []
    read = late_checks.read_header
    monkeypatch.setattr(late_checks, "LOOKED_AT", 8)
    monkeypatch.setattr(late_checks, "read_header", lambda path: headers.append(path) or read(path))
    monkeypatch.setattr(streamed_images, "read_image", lambda *_: pytest.fail("decoded"))
    source = load(root)
    assert len(headers) == 8
    assert headers[1].name == "05.png"
    part_fingerprint(source.train)
    part_fingerprint(hold_out(source, FolderSpec(held_out=0.25)).source.train)
    assert source.notes[0] == (
        "40 images, more than 10: size and channels are judged by 8 of them, and each is checked "
        "when it is first read"
    )
    assert (len(source.train), len(source.test), source.class_names) == (32, 8, ("cat", "dog"))


def test_an_opening_makes_no_path_of_each_file(root, monkeypatch):
    monkeypatch.setattr(late_checks, "LOOKED_AT", 8)
    made, one = [], FilePaths.__getitem__
    monkeypatch.setattr(FilePaths, "__getitem__", lambda *asked: made.append(1) or one(*asked))
    monkeypatch.setattr(FilePaths, "__iter__", lambda _: pytest.fail("a path of each file"))
    assert len(load(root).train) == 32
    assert len(made) < 32  # those that are looked at, and one a call that beartype checks


def test_each_opening_sees_the_folder_as_it_is_then(root, tmp_path):
    load(root)
    (root / "cat" / "00.png").unlink()
    (root / "cat" / "01.png").rename(root / "cat" / "zz.png")
    shutil.copy(root / "dog" / "05.png", root / "dog" / "new.png")
    write(tmp_path / "beside", ["eel"])
    (root / "eel").symlink_to(tmp_path / "beside" / "eel")
    source = load(root, test_fraction=0.0)
    copy = load(shutil.copytree(root, tmp_path / "copy"), test_fraction=0.0)
    assert source.train.names == copy.train.names
    assert {"cat/zz.png", "dog/new.png", "eel/19.png"} <= set(source.train.names)
    assert (source.class_names, len(source.train)) == (("cat", "dog", "eel"), 60)
    assert source_fingerprint(source) == source_fingerprint(copy)


@pytest.mark.parametrize("held", ["few", "in memory", "pages"])
def test_what_is_few_fits_or_has_pages_is_still_decoded_when_it_is_opened(root, monkeypatch, held):
    spoil(root, *LOST)
    if held == "few":
        monkeypatch.setattr(late_checks, "AT_ONCE", 40)
    if held == "pages":
        Image.new("L", (6, 6)).save(root / "cat" / "page.tif")
    source = load(root, in_memory_mib=int(held == "in memory"))
    assert source.faults is None
    assert "skipped 3 of 4" in " ".join(source.notes)


def test_another_of_the_same_class_and_part_stands_in_and_all_else_stays(root):
    whole = load(root)
    intact = [greys(part.examples) for part in (whole.train, whole.test)]
    spoil(root, *LOST)
    source = load(root)
    assert torch.equal(source.train.labels, whole.train.labels)
    assert source.train.names == whole.train.names
    seen = 0
    for part, others in zip((source.train, source.test), intact, strict=True):
        for place, (now, grey) in enumerate(zip(greys(part.examples), others, strict=True)):
            if part.names[place] not in LOST:
                assert now == grey
                continue
            seen += 1
            assert now != grey
            assert now // COUNT == part.labels[place]
            assert now in others
    assert seen == 3
    assert [name for name, _ in source.faults.all()] == list(LOST)
    assert "image file is truncated" in source.faults.all()[0][1]
    (note,) = source.faults.notes()
    assert note.startswith("3 of 40 images cannot be read, and another of the same class stands in")


def test_the_same_image_stands_in_whenever_and_wherever_a_file_is_found(root):
    spoil(root, *LOST)
    first = load(root)
    batches = epoch(first.train)
    found = first.faults.all()
    assert found
    for workers in (0, 2):
        again = load(root)
        assert epoch(again.train, workers=workers) == batches
        assert again.faults.all() == found
    backwards = load(root).train.examples
    rows = range(len(backwards) - 1, -1, -1)
    assert [int(backwards[row][0, 0, 0]) for row in rows][::-1] == greys(first.train.examples)
    # Gone on with in the middle, by a process that has found nothing yet.
    assert epoch(load(root).train, workers=2, first_step=3) == batches[3:]


def test_what_workers_find_in_the_test_part_is_in_the_account(root):
    spoil(root, *LOST)
    source = load(root)
    for part in (source.train, source.test):
        list(evaluation_batches(part.examples, batch_size=3, device="cpu", workers=2))
    assert [name for name, _ in source.faults.all()] == list(LOST)


def test_two_ranks_have_one_processs_batches_and_together_its_account(root):
    spoil(root, *LOST)
    alone = load(root)
    batches = epoch(alone.train)
    sources = [load(root), load(root)]
    shares = [epoch(each.train, rank=rank, ranks=2) for rank, each in enumerate(sources)]
    for whole, first, second in zip(batches, *shares, strict=True):
        for each, one, other in zip(whole, first, second, strict=True):
            assert each == one + other
    assert sorted({*sources[0].faults.all(), *sources[1].faults.all()}) == alone.faults.all()


def test_a_part_that_is_held_out_has_stand_ins_of_its_own(root):
    spoil(root, *(f"dog/{number:02d}.png" for number in (1, 5, 9, 13)))
    source = load(root, test_fraction=0.0)
    half = torch.arange(0, 40, 2)
    for rows in (half, half + 1):
        part = choose(source.train, rows)
        assert set(greys(part.examples)) <= set(rows.tolist())
        assert [grey // COUNT for grey in greys(part.examples)] == part.labels.tolist()
    # One alone, to be shown: from the whole, of its class.
    (shown,) = greys(choose(source.train, torch.tensor([21])).examples)
    assert shown >= COUNT


def test_a_class_that_is_lost_is_told_of(root):
    (root / "eel").mkdir()
    Image.new("L", (6, 6), 99).save(root / "eel" / "0.png")
    spoil(root, "eel/0.png")
    source = load(root)
    greys(source.train.examples)
    ((name, fault),) = source.faults.all()
    assert name == "eel/0.png"
    assert fault.endswith("one of another class stands in, as none of its own could be read")


def test_too_many_are_told_of_in_one_line(root):
    spoil(root, *(f"dog/{number:02d}.png" for number in range(5)))
    source = load(root, test_fraction=0.0)
    epoch(source.train, workers=2)
    assert source.faults.too_many().startswith(f"{root}: 5 of 40 images cannot be read, over data.")
    with pytest.raises(NearfarError, match="5 of 40 images cannot be read") as error:
        source.faults.refuse_too_many()
    assert "\n" not in str(error.value)


def test_too_many_among_those_that_are_looked_at_refuse_a_folder(tmp_path, monkeypatch):
    root = write(tmp_path / "many", [f"c{number}" for number in range(6)])
    monkeypatch.setattr(late_checks, "LOOKED_AT", 40)
    third = sorted(root.rglob("*.png"))[::3]
    for path in third:
        path.write_bytes(b"no image")
    with pytest.raises(NearfarError, match="40 of 120 images cannot be read"):
        load(root, max_corrupt=0.3)
    # No more of all are known to be bad than may be: but the share of those that are known is.
    with pytest.raises(NearfarError, match="40 of 40 images that were looked at"):
        load(root, max_corrupt=0.35)
    for path in third[:25]:
        shutil.copy(root / "c0" / "01.png", path)
    assert load(root, max_corrupt=0.35).notes  # fifteen of forty may be chance


def test_a_folder_that_is_gone_ends_in_one_line(root):
    source = load(root)
    shutil.rmtree(root)
    with pytest.raises(NearfarError, match="see whether they are all there") as error:
        epoch(source.train, workers=2)
    assert "\n" not in str(error.value)
    assert not source.faults.all()


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_what_may_pass_stops_the_run_and_nothing_stands_in(root, monkeypatch, number):
    source = load(root)

    def failing(*_, **__):
        raise OSError(number, "the server does not answer")

    monkeypatch.setattr(Image, "open", failing)
    with pytest.raises(NearfarError, match=r"cat/00\.png: the server does not answer; see to it"):
        source.train.examples[0]
    assert not source.faults.all()


def test_a_mended_file_is_read_again(root):
    content = (root / LOST[0]).read_bytes()
    spoil(root, *LOST)
    examples = load(root, test_fraction=0.0).train.examples
    assert greys(examples)[3] != 3
    (root / LOST[0]).write_bytes(content)
    assert greys(examples)[3] == 3


def test_a_table_of_many_files_waits_too(root, tmp_path):
    names = [f"{kind}/{number:02d}.png" for kind in ("cat", "dog") for number in range(COUNT)]
    lines = [f"{name},{name[:3]}" for name in names]
    (tmp_path / "table.csv").write_text("\n".join(["file,label", *lines]))
    spec = ImageTableSpec(root=tmp_path / "table.csv", images=root, in_memory_mib=1, image_size=256)
    spoil(root, LOST[0])
    source = load_source(spec)
    assert isinstance(source.train.examples, CheckedWhenRead)
    assert np.bincount(source.train.labels).tolist() == [16, 16]
    greys(source.train.examples), greys(source.test.examples)
    assert [name for name, _ in source.faults.all()] == [LOST[0]]
