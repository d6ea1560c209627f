"""Images of tar, Parquet and Arrow files are read one by one, and never in memory together."""

import gzip
import pickle
import shutil
import tracemalloc

import pyarrow as pa
import pytest
import torch

from nearfar.data import late_checks, parquet_rows, tar_files
from nearfar.data.batches import TrainingBatches, evaluation_batches
from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.parquet_rows import HeldGroups, ParquetReader
from nearfar.data.shard_images import ShardImages
from nearfar.data.sources import load_source
from nearfar.data.specs import SourceSpec
from nearfar.errors import NearfarError, SettingError
from shards import COUNT, SPECS, picture, table_of, write, write_stream, write_tar

KINDS = sorted(SPECS)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def load(kind, root, **changes):
    settings = {"in_memory_mib": 0, "max_corrupt": 0.2, "test_fraction": 0.0} | changes
    return load_source(SPECS[kind](root=root, **settings))


def numbers(examples):
    return [int(examples[index][0, 0, 0]) for index in range(len(examples))]


def epoch(part, workers=0, first_step=0):
    batches = TrainingBatches(
        part.examples, part.labels, batch_size=5, seed=1, device="cpu", workers=workers
    )
    return [
        (images[:, 0, 0, 0].tolist(), labels.tolist())
        for images, labels, _ in batches.epoch(2, first_step)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_images_are_those_in_memory(tmp_path, kind):
    root = write(kind, tmp_path / "data", lost=(3, 17))
    held = load(kind, root, in_memory_mib=64)
    streamed = load(kind, root)
    assert isinstance(held.train.examples, torch.Tensor)
    assert isinstance(streamed.train.examples, ShardImages)
    pixels = torch.stack([streamed.train.examples[row] for row in range(COUNT - 2)])
    assert torch.equal(pixels, held.train.examples)
    assert torch.equal(streamed.train.labels, held.train.labels)
    assert (streamed.train.names, streamed.notes) == (held.train.names, held.notes)
    assert "skipped 2 of 24 images" in streamed.notes[-1]
    assert numbers(streamed.train.examples) == [n for n in range(COUNT) if n not in (3, 17)]
    whole = epoch(streamed.train)
    assert epoch(held.train) == whole
    assert epoch(streamed.train, 2, first_step=2) == whole[2:]


@pytest.mark.parametrize("kind", KINDS)
def test_many_are_checked_when_they_are_first_read(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(late_checks, "AT_ONCE", 10)
    monkeypatch.setattr(late_checks, "LOOKED_AT", 5)
    root = write(kind, tmp_path / "data", lost=(3, 17))
    source = load(kind, root)
    assert isinstance(source.train.examples, CheckedWhenRead)
    batches = epoch(source.train, workers=2)
    assert [file for file, _ in source.faults.all()] == [source.train.names[n] for n in (3, 17)]
    again = load(kind, root)
    assert epoch(again.train) == batches
    assert again.faults.all() == source.faults.all()
    found = numbers(again.train.examples)
    assert [n for n in range(COUNT) if found[n] != n] == [3, 17]
    assert found[3] % 2 == found[17] % 2 == 1
    assert part_fingerprint(again.train) == part_fingerprint(source.train)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_does_not_grow_with_the_files(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(late_checks, "AT_ONCE", 10)
    monkeypatch.setattr(late_checks, "LOOKED_AT", 5)
    monkeypatch.setattr(parquet_rows, "MOST_HELD", 30_000)  # of 130,000
    root = write(kind, tmp_path / "data")
    source = load(kind, root)
    epoch(source.train)
    allocated = pa.total_allocated_bytes()
    tracemalloc.start()
    epoch(source.train)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(len(picture(number)) for number in range(COUNT))
    batch = 5 * 3 * 40 * 40 * 3
    assert most < size / 2 + batch
    if kind == "parquet":
        assert pa.total_allocated_bytes() - allocated < size / 2


def test_groups_of_parquet_files_are_held_up_to_a_bound(tmp_path, monkeypatch):
    root = write("parquet", tmp_path / "data")
    monkeypatch.setattr(parquet_rows, "MOST_HELD", 25_000)  # two groups of two
    held = HeldGroups()
    readers = [ParquetReader("image", held, root / f"{shard}.parquet") for shard in range(3)]
    for shard, row in ((0, 0), (1, 7), (2, 3), (1, 6), (0, 4), (0, 0), (0, 1)):
        assert readers[shard].read(row, 0) == picture(8 * shard + row)
        assert 9_000 < held.size < 25_000
    assert pickle.loads(pickle.dumps(held)).size == 0


@pytest.mark.parametrize("how", ["changed", "gone"])
@pytest.mark.parametrize("kind", KINDS)
def test_files_that_change_or_go_after_the_opening_end_it_in_one_line(tmp_path, kind, how):
    root = write(kind, tmp_path / "data")
    source = load(kind, root)
    before = part_fingerprint(source.train)
    file = sorted(path for path in root.iterdir() if path.suffix != ".json")[1]
    if how == "gone":
        file.rename(tmp_path / "elsewhere")
    else:
        with file.open("ab") as longer:
            longer.write(b"\0" * 512)
    told = "cannot be read any more" if how == "gone" else "was changed"
    with pytest.raises(NearfarError, match=f"{file.name} {told}.*--resume") as error:
        epoch(load_like(source), workers=2)
    assert "\n" not in str(error.value)
    if how == "gone" and kind != "arrow":  # which names its files, and says that one is missing
        assert part_fingerprint(load(kind, root).train) != before  # so that a run is not gone on


def load_like(source):
    """Its training part as a process has it that has not read yet."""
    return pickle.loads(pickle.dumps(source.train))


def test_a_tar_file_is_listed_once(tmp_path, monkeypatch):
    root = write("tar", tmp_path / "data")
    first = load("tar", root, in_memory_mib=64)
    opened = []
    real = tar_files.opened_tar
    listing = lambda path: opened.append(path.name) or real(path)  # noqa: E731
    monkeypatch.setattr(tar_files, "opened_tar", listing)
    monkeypatch.setattr(late_checks, "AT_ONCE", 10)
    again = load("tar", root)
    assert opened == []
    assert again.train.names == first.train.names
    write_tar(root / "1.tar", [picture(99)], [1])
    for damaged in (tmp_path / "cache").rglob("*.json"):
        if "2.tar" in damaged.read_text():
            damaged.write_text("{}")
    assert len(load("tar", root).train) == COUNT - 7
    assert opened == ["1.tar"]


def test_a_compressed_tar_file_is_read_into_memory_or_refused(tmp_path):
    root = write("tar", tmp_path / "data")
    for path in sorted(root.iterdir()):
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert len(load("tar", root, in_memory_mib=64).train) == COUNT
    with pytest.raises(SettingError, match=r"0\.tar is compressed.*images are streamed"):
        load("tar", root)
    (root / "0.tar").rename(root / "0.tar.gz")
    with pytest.raises(SettingError, match=r"0\.tar\.gz is compressed \(`gzip -d 0\.tar\.gz` und"):
        load("tar", root / "0.tar.gz")


@pytest.mark.parametrize(
    ("name", "plain", "how"),
    [
        ("2.tar.gz", "2.tar", "gzip"),
        ("2.tgz", "2.tar", "gzip"),
        ("a.train.tar.zst", "a.train.tar", "zstd"),
    ],
)
def test_a_compressed_file_in_a_folder_is_not_passed_over(tmp_path, name, plain, how):
    root = write("tar", tmp_path / "data")
    (root / "2.tar").rename(root / name)
    with pytest.raises(NearfarError, match=rf"1 tar file compressed.*{name}.*`{how} -d {name}`"):
        load("tar", root)
    shutil.copy(root / name, root / plain)
    assert len(load("tar", root).train) == COUNT


def test_what_zstd_wrote_is_told_in_one_line(tmp_path):
    for name, how in (("a.tar.zst", "`zstd -d a.tar.zst`"), ("a.tar", "`zstd -d`")):
        (tmp_path / name).write_bytes(b"\x28\xb5\x2f\xfd" + bytes(600))
        with pytest.raises(NearfarError) as error:
            load("tar", tmp_path / name)
        assert str(error.value).endswith(f"{name} is compressed by zstd: decompress it ({how})")
    (tmp_path / "b.tar").write_bytes(bytes(range(1, 201)) * 4)
    with pytest.raises(NearfarError, match=r"b\.tar: not a readable tar file") as error:
        load("tar", tmp_path / "b.tar")
    assert "\n" not in str(error.value)


def test_images_with_texts_stream(tmp_path):
    root = write("tar", tmp_path / "data", lost=(2,))
    with tar_files.tarfile.open(root / "0.tar", "a") as archive:
        for number in range(8):
            (tmp_path / "text").write_text(f"number {number}")
            archive.add(tmp_path / "text", f"a/{number:03}.txt")
    for name in ("1.tar", "2.tar"):
        (root / name).unlink()
    spec = SourceSpec.named("webdataset")(
        root=root, in_memory_mib=1, image_size=256, test_fraction=0.0, max_corrupt=0.2
    )
    source = load_source(spec)
    assert isinstance(source.train.examples, ShardImages)
    assert len(source.train) == 7
    assert "skipped 1 of 8 images" in " ".join(source.notes)
    texts = source.train.partners.others
    for row, texts_of in enumerate(source.train.partners.rows.tolist()):
        number = int(source.train.examples[row][0, 0, 0])
        assert bytes(texts[texts_of[0]].tolist()).rstrip(b"\0").endswith(str(number).encode())


def test_splits_of_a_saved_data_set_are_parts(tmp_path):
    for split in ("train", "validation"):
        write("arrow", tmp_path / split)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "validation", "extra"]}')
    source = load("arrow", tmp_path)
    assert (len(source.train), len(source.test)) == (COUNT, COUNT)
    assert source.class_names == ("even", "odd")
    assert source.notes[:2] == (
        "passed over the splits extra",
        "images are in column image, labels in label",
    )
    assert source.train.names[9] == "train/data-00001.arrow/1"
    shutil.rmtree(tmp_path / "validation")
    with pytest.raises(NearfarError, match=r"state\.json is missing or damaged"):
        load("arrow", tmp_path)


def test_rows_without_bytes_are_told_of(tmp_path):
    root = write("arrow", tmp_path / "data")
    table = table_of([picture(1), None, picture(3)], [0, 1, 1])
    write_stream(root / "data-00001.arrow", table)
    source = load("arrow", root)
    assert "skipped 1 of 19 images: data-00001.arrow/1 (no bytes in this row)" in source.notes[-1]
    list(evaluation_batches(source.train.examples, batch_size=4, device="cpu", workers=2))
