import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from source_files import write_images

from nearfar.data.batches import evaluation_batches
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec
from nearfar.data.streamed_files import StreamedFiles
from nearfar.errors import NearfarError


def _load(root, **settings):
    return load_source(FolderSpec(root=root, **settings))


def _levels(part):
    """The level that each image was written with."""
    images = torch.cat(
        [b for b, _ in evaluation_batches(part.examples, batch_size=3, device="cpu")]
    )
    return images[:, 0, 0, 0].tolist()


def test_sub_folders_are_classes(tmp_path):
    write_images(tmp_path, [f"{name}/{n}.png" for name in ("dog", "cat") for n in range(5)])
    source = _load(tmp_path, test_fraction=0.0)
    assert source.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [0] * 5 + [1] * 5
    assert source.train.names[0] == "cat/0.png"
    assert _levels(source.train) == [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]
    assert source.test is None
    assert source.train.example_shape == (3, 12, 16)
    assert source.notes == ()


def test_the_made_split_is_stratified_and_always_the_same(tmp_path):
    write_images(tmp_path, [f"{name}/{n}.png" for name in "ab" for n in range(10)])
    source, again = _load(tmp_path, test_fraction=0.3), _load(tmp_path, test_fraction=0.3)
    assert source.test.names == again.test.names
    assert source.test.labels.tolist() == [0] * 3 + [1] * 3
    assert not set(source.test.names) & set(source.train.names)
    assert len(source.train) == 14
    assert "6 of 20" in source.notes[0]


def test_flat_images_have_no_labels(tmp_path):
    write_images(tmp_path, [f"{n}.png" for n in range(10)])
    source = _load(tmp_path)
    assert source.train.labels is None
    assert source.class_names is None
    assert (len(source.train), len(source.test)) == (8, 2)
    assert sorted([*source.train.names, *source.test.names]) == [f"{n}.png" for n in range(10)]


def test_one_sub_folder_is_no_class(tmp_path):
    write_images(tmp_path, [f"all/deep/{n}.png" for n in range(4)])
    source = _load(tmp_path)
    assert source.train.labels is None
    assert "one sub-folder, all" in source.notes[0]


def test_train_and_test_folders_are_the_parts(tmp_path):
    train = [f"train/{name}/{n}.png" for name in ("b", "a", "c") for n in range(2)]
    write_images(tmp_path, [*train, "test/c/x.png", "test/a/y.png", "extra/z.png"])
    source = _load(tmp_path)
    assert source.class_names == ("a", "b", "c")
    assert source.test.names == ["test/a/y.png", "test/c/x.png"]
    assert source.test.labels.tolist() == [0, 2]
    assert len(source.train) == 6
    assert source.notes == (
        "passed over extra/ (1 image): only train/ and test/ are read",
        "training part: train/; test part: test/",
        "1 of 3 classes have nothing in test/: b",
    )


def test_a_train_folder_alone_is_split(tmp_path):
    write_images(tmp_path, [f"train/{name}/{n}.png" for name in "ab" for n in range(5)])
    source = _load(tmp_path)
    assert source.class_names == ("a", "b")
    assert (len(source.train), len(source.test)) == (8, 2)


def test_a_class_may_be_called_train(tmp_path):
    write_images(tmp_path, [f"{name}/{n}.png" for name in ("bus", "train") for n in range(3)])
    source = _load(tmp_path)
    assert source.class_names == ("bus", "train")
    assert source.notes[0] == "train/ is read as a class, for bus/ lie beside it"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "no image in it"),
        (["notes.txt"], "no image in it"),
        (["a/1.png", "b/1.png", "stray.png"], "stray.png beside a"),
        (["train/1.png", "test/a/1.png", "test/b/1.png"], "lay both out alike"),
        (
            ["train/a/1.png", "train/b/1.png", "test/c/1.png", "test/a/1.png"],
            "class c in test/ is not among the 2 classes of train/",
        ),
    ],
)
def test_layouts_that_make_no_sense_are_refused(tmp_path, names, words):
    write_images(tmp_path, [name for name in names if name.endswith(".png")])
    for name in names:
        if not name.endswith(".png"):
            (tmp_path / name).write_text("text")
    with pytest.raises(NearfarError, match=words) as caught:
        _load(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_no_image_is_passed_over(tmp_path):
    write_images(tmp_path, ["a.png", "B.PNG", ".hidden.png", ".cache/c.png", "d.png"])
    (tmp_path / "readme.txt").write_text("text")
    (tmp_path / "table.csv").write_text("text")
    os.mkfifo(tmp_path / "pipe.png")
    source = _load(tmp_path, test_fraction=0.0, max_corrupt=0.0)
    assert source.train.names == ["B.PNG", "a.png", "d.png"]


def test_loops_of_links_end(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "again").symlink_to(tmp_path / "b")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    source = _load(tmp_path, test_fraction=0.0)
    assert source.train.names == ["a/1.png", "b/2.png"]
    assert sum("a link to a folder already read" in note for note in source.notes) == 3


def test_linked_files_and_folders_are_read_and_broken_links_named(tmp_path):
    write_images(tmp_path / "elsewhere", ["1.png", "2.png"])
    root = tmp_path / "root"
    root.mkdir()
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "other").mkdir()
    (root / "other" / "link.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    (root / "other" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    source = _load(root, test_fraction=0.0, max_corrupt=0.3)
    assert source.train.names == ["folder/1.png", "folder/2.png", "other/link.png"]
    assert "skipped 1 of 4 images: other/broken.png (" in source.notes[0]


@pytest.mark.parametrize("in_memory_mib", [0, 64])
def test_unreadable_files_are_skipped_and_named(tmp_path, in_memory_mib):
    write_images(tmp_path, [f"{name}/{n}.png" for name in "ab" for n in range(10)])
    noise = np.random.RandomState(0).randint(0, 256, (12, 16, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a" / "3.png")
    whole = (tmp_path / "a" / "3.png").read_bytes()
    (tmp_path / "a" / "3.png").write_bytes(whole[: len(whole) // 2])  # its header is good
    (tmp_path / "b" / "7.png").write_text("no image")
    with pytest.raises(
        NearfarError, match=r"of 20 images cannot be read, over data.max_corrupt.*; mend"
    ):
        _load(tmp_path, in_memory_mib=in_memory_mib)
    source = _load(tmp_path, max_corrupt=0.1, test_fraction=0.0, in_memory_mib=in_memory_mib)
    assert len(source.train) == 18
    assert source.train.labels.tolist() == [0] * 9 + [1] * 9
    assert _levels(source.train) == [n for n in range(20) if n not in (3, 17)]
    assert "skipped 2 of 20 images: a/3.png (" in source.notes[0]
    assert "b/7.png (not an image of a known format)" in source.notes[0]


def test_many_unreadable_files_are_counted_not_all_named(tmp_path):
    for n in range(30):
        (tmp_path / f"{n:02}.png").write_text("no image")
    with pytest.raises(NearfarError, match=r"30 of 30 .*19.png \(.*\) and 10 more$"):
        _load(tmp_path, max_corrupt=1.0)


def test_a_class_without_one_readable_image_in_test_is_no_crash(tmp_path):
    write_images(tmp_path, [f"train/{name}/{n}.png" for name in "ab" for n in range(5)])
    write_images(tmp_path, ["test/a/1.png", "test/b/1.png"])
    for name in "ab":
        (tmp_path / "test" / name / "1.png").write_text("no image")
    with pytest.raises(NearfarError, match="not one image of the test part"):
        _load(tmp_path, max_corrupt=0.5)


def test_sizes_and_modes_are_brought_together(tmp_path):
    write_images(tmp_path, ["1.png"], size=(40, 30))
    write_images(tmp_path, ["2.png"], size=(20, 60))
    write_images(tmp_path, ["3.png"], size=(50, 50), mode="L")
    source = _load(tmp_path, test_fraction=0.0)
    assert source.train.example_shape == (3, 30, 30)
    assert "3 sizes (short sides 20 to 50 px) are brought to 30×30" in source.notes[0]
    assert _load(tmp_path, test_fraction=0.0, channels=1).train.example_shape == (1, 30, 30)
    sized = _load(tmp_path, test_fraction=0.0, image_size=24)
    assert sized.train.example_shape == (3, 24, 24)
    assert "brought to" not in "".join(sized.notes)


def test_grey_folders_stay_grey_and_can_be_made_rgb(tmp_path):
    write_images(tmp_path, ["1.png", "2.png"], mode="L")
    assert _load(tmp_path, test_fraction=0.0).train.example_shape == (1, 12, 16)
    assert _load(tmp_path, test_fraction=0.0, channels=3).train.example_shape == (3, 12, 16)


def test_large_images_are_brought_to_a_size_one_can_train_on(tmp_path):
    write_images(tmp_path, ["1.png", "2.png"], size=(500, 400))
    source = _load(tmp_path, test_fraction=0.0)
    assert source.train.example_shape == (3, 256, 256)
    assert "256×256" in source.notes[0]


def test_streamed_and_held_folders_are_the_same(tmp_path):
    write_images(tmp_path, [f"{name}/{n}.png" for name in "ab" for n in range(6)])
    held, streamed = _load(tmp_path), _load(tmp_path, in_memory_mib=0, workers=0)
    for first, second in ((held.train, streamed.train), (held.test, streamed.test)):
        assert isinstance(first.examples, torch.Tensor)
        assert isinstance(second.examples, StreamedFiles)
        assert first.names == second.names
        assert torch.equal(first.labels, second.labels)
        assert _levels(first) == _levels(second)
        moved = pickle.loads(pickle.dumps(second.examples))
        assert torch.equal(moved[1], first.examples[1])


def test_names_of_any_bytes_can_be_written_down(tmp_path):
    write_images(tmp_path, [os.fsdecode(b"\xff\n.png"), "ä.png"])
    names = _load(tmp_path, test_fraction=0.0).train.names
    assert sorted(names) == ["\\xff\n.png", "ä.png"]
    "".join(names).encode()


def test_folders_that_may_not_be_read_are_named(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/1.png"])
    (tmp_path / "b").chmod(0)
    try:
        if os.access(tmp_path / "b", os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(NearfarError, match="b: cannot be read"):
            _load(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o700)


def _stripes(path, size):
    """A picture whose left fifth is red and whose right fifth is blue, on green."""
    width, height = size
    pixels = np.full((height, width, 3), (0, 200, 0), np.uint8)
    pixels[:, : width // 5] = (200, 0, 0)
    pixels[:, -(width // 5) :] = (0, 0, 200)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("in_memory_mib", [0, 64])
def test_images_that_are_not_square_are_cut_padded_or_squashed(tmp_path, in_memory_mib):
    _stripes(tmp_path / "wide.png", (200, 100))
    _stripes(tmp_path / "square.png", (100, 100))
    sources = {
        fit: _load(tmp_path, fit=fit, image_size=20, test_fraction=0.0, in_memory_mib=in_memory_mib)
        for fit in ("crop", "pad", "squash")
    }
    square = [source.train.examples[0] for source in sources.values()]
    assert all(torch.equal(square[0], each) for each in square)
    row = {fit: source.train.examples[1][:, 10].int() for fit, source in sources.items()}
    # Cut, both ends are lost (the stripes are 40 of 200 wide, 50 go on each side).
    assert row["crop"][1].min() > 190
    for fit in ("pad", "squash"):
        assert row[fit][0, 1] > 190
        assert row[fit][2, -2] > 190
    assert row["pad"][1, 10] > 190
    padded = sources["pad"].train.examples[1]
    mean = [40, 120, 40]  # of the picture: a fifth of 200, three fifths of 200, a fifth of 200
    assert (padded[:, :5].int() - torch.tensor(mean)[:, None, None]).abs().max() <= 2
    assert (padded[:, -5:].int() - torch.tensor(mean)[:, None, None]).abs().max() <= 2
    assert sources["squash"].train.examples[1][0, :, 1].min() > 190
    assert sources["crop"].notes == (
        "1 of 2 images are not square: cut to their centre squares; 50% of all "
        "lose over a quarter of their area, the worst 50%; fit pad or squash keeps it",
    )
    assert "ground of their mean colour" in sources["pad"].notes[0]
    assert "squashed to squares" in sources["squash"].notes[0]


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 1), (3, 2)])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_extreme_shapes_fit_too(tmp_path, size, fit):
    for name, mode in (("a.png", "RGB"), ("b.png", "L")):
        Image.new(mode, size, 77 if mode == "L" else (77, 77, 77)).save(tmp_path / name)
    source = _load(tmp_path, fit=fit, image_size=16, test_fraction=0.0)
    assert (source.train.examples == 77).all()
