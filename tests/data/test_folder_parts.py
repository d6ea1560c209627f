"""What strangers' folders are read as: parts, classes, or refused."""

import numpy as np
import pytest
from scipy.io import wavfile
from source_files import write_images

from nearfar.data.folder_parts import part_named, part_within
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec, WavSpec
from nearfar.errors import NearfarError


def _load(root, **settings):
    return load_source(FolderSpec(root=root, **settings))


def _write(root, *folders, each=2):
    write_images(root, [f"{folder}/{n}.png" for folder in folders for n in range(each)])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *[(name, "train") for name in ("train", "Train", "TRAINING", "train2017", "training_set")],
        *[(name, "train") for name in ("trainset", "images_train", "Train Images", "01_train")][:3],
        *[(name, "val") for name in ("val", "valid", "Validation", "dev", "val2017", "valid-set")],
        *[(name, "test") for name in ("test", "TEST", "testing", "test_images", "eval", "Test1")],
        *[(name, None) for name in ("trains", "contest", "trained", "cats_train", "", "valley")],
        *[(name, None) for name in ("bullet train", "test tube", "evaluate", "trainee", "поезд")],
    ],
)
def test_names_of_parts(name, part):
    assert part_named(name) == part


def test_a_part_among_other_words():
    assert part_within("cats_train") == ("train", ("cats",))
    assert part_within("segTest") == ("test", ("seg",))
    assert part_within("train-clean-100") == ("train", ("clean", "100"))
    assert part_within("train test") is None
    assert part_within("cats") is None


@pytest.mark.parametrize(
    ("train", "judged"),
    [
        *[("train", val) for val in ("val", "valid", "validation", "dev", "Val", "test")],
        *[("Train", "Validation"), ("training", "testing"), ("TRAIN", "TEST")],
        *[("train2017", "val2017"), ("training_set", "test_set"), ("train_images", "valid_images")],
        *[("seg_train", "seg_test"), ("CatsTrain", "CatsVal")],
    ],
)
@pytest.mark.parametrize("in_memory_mib", [0, 64])
def test_what_is_there_to_judge_by_is_no_class_and_never_learnt_from(
    tmp_path, train, judged, in_memory_mib
):
    _write(tmp_path, f"{train}/cat", f"{train}/dog", f"{judged}/cat", f"{judged}/dog")
    source = _load(tmp_path, in_memory_mib=in_memory_mib, workers=0)
    assert source.class_names == ("cat", "dog")
    assert source.train.names == [f"{train}/{c}/{n}.png" for c in ("cat", "dog") for n in range(2)]
    assert source.test.names == [f"{judged}/{c}/{n}.png" for c in ("cat", "dog") for n in range(2)]
    assert source.test.labels.tolist() == [0, 0, 1, 1]
    assert source.notes[0].startswith(f"training part: {train}/; test part: {judged}/")


def test_parts_without_classes(tmp_path):
    _write(tmp_path, "train", "val")
    source = _load(tmp_path)
    assert source.class_names is None
    assert (source.train.names, source.test.names) == (
        ["train/0.png", "train/1.png"],
        ["val/0.png", "val/1.png"],
    )
    assert source.notes == ("training part: train/; test part: val/, for there is no test folder",)


def test_of_two_parts_to_judge_by_the_test_part_is_read(tmp_path):
    _write(tmp_path, *(f"{part}/{name}" for part in ("train", "val", "test") for name in "ab"))
    source = _load(tmp_path)
    assert {name.split("/")[0] for name in source.train.names} == {"train"}
    assert {name.split("/")[0] for name in source.test.names} == {"test"}
    assert source.notes == (
        "training part: train/; test part: test/",
        "left out val/ (4 images): neither learnt from nor judged by",
    )


def test_a_test_part_without_classes_gives_way_to_a_val_part_with_them(tmp_path):
    _write(tmp_path, "train/a", "train/b", "valid/a", "valid/b", "test")
    source = _load(tmp_path)
    assert source.test.names[0] == "valid/a/0.png"
    assert source.notes[1] == (
        "left out test/ (2 images): it has none of the class folders of train/, so no labels; "
        "neither learnt from nor judged by"
    )


@pytest.mark.parametrize("unlabelled", [["test"], ["Test/unknown"], ["val"], ["val", "test/test"]])
@pytest.mark.parametrize("in_memory_mib", [0, 64])
def test_pictures_to_judge_by_without_classes_are_left_out_and_counted(
    tmp_path, unlabelled, in_memory_mib
):
    """As competitions give them: train/ by class, and the pictures to answer for in one heap."""
    _write(tmp_path, "train/cat", "train/dog", each=5)
    _write(tmp_path, *unlabelled, each=3)
    (tmp_path / "sample_submission.csv").write_text("id,label")
    source = _load(tmp_path, in_memory_mib=in_memory_mib, workers=0)
    assert source.class_names == ("cat", "dog")
    names = [*source.train.names, *source.test.names]
    assert sorted(names) == [f"train/{c}/{n}.png" for c in ("cat", "dog") for n in range(5)]
    left_out = [note for note in source.notes if note.startswith("left out")]
    assert left_out[0] == "left out, as no images: 1 .csv"
    assert left_out[1:] == [
        f"left out {folder.split('/')[0]}/ (3 images): it has none of the class folders of train/, "
        "so no labels; neither learnt from nor judged by"
        for folder in unlabelled
    ]
    assert "no test part: 2 of 10 images are held out for test (seed 0)" in source.notes


def test_classes_in_the_test_part_alone_are_refused(tmp_path):
    _write(tmp_path, "train", "test/a", "test/b")
    with pytest.raises(NearfarError, match="test/ has class sub-folders and train/ has not"):
        _load(tmp_path)


def test_one_class_in_the_test_part_is_that_class(tmp_path):
    _write(tmp_path, "train/a", "train/b", "test/b")
    source = _load(tmp_path)
    assert source.test.labels.tolist() == [1, 1]
    assert "1 of 2 classes have nothing in test/: a" in source.notes


def test_folders_around_all_else_are_looked_into(tmp_path):
    _write(tmp_path, "dataset/images/a", "dataset/images/b")
    (tmp_path / "dataset" / "LICENSE.txt").write_text("words")
    source = _load(tmp_path, test_fraction=0.0)
    assert source.class_names == ("a", "b")
    assert source.notes == (
        "left out, as no images: 1 .txt",
        "looked into dataset/images/: all images lie in it",
    )


def test_folders_around_parts_and_in_them_are_looked_into(tmp_path):
    _write(tmp_path, *(f"data/{p}_set/{p}_set/{c}" for p in ("training", "test") for c in "ab"))
    source = _load(tmp_path)
    assert source.class_names == ("a", "b")
    assert source.test.names[0] == "data/test_set/test_set/a/0.png"
    assert "looked into data/" in source.notes[0]


def test_annotations_beside_the_images_are_no_class(tmp_path):
    _write(tmp_path, "images/train", "images/val")
    for part in ("train", "val"):
        (tmp_path / "labels" / part).mkdir(parents=True)
        (tmp_path / "labels" / part / "0.txt").write_text("0 .5 .5 1 1")
    source = _load(tmp_path)
    assert (len(source.train), len(source.test)) == (2, 2)
    assert source.class_names is None


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["train/cat", "train/dog", "cat", "dog"], r"train/ is named as a training part, and cat/"),
        (["cat", "dog", "val"], r"val/ is named as a validation part, and cat/, dog/"),
        (["cat", "dog", "Test"], r"Test/ is named as a test part, and cat/, dog/"),
        (["train", "test", "cat"], r"train/ and test/ hold images without classes, and cat/"),
        (["val/a", "test/a"], r"test/ and val/ are parts to judge by, .* no train/ to learn from"),
        (["train/a", "Train/a", "test/a"], r"Train/ and train/ are named as the same part"),
        (
            ["cat/train", "cat/test", "dog/train"],
            r"cat/ holds test/ and train/, parts inside a class: .*, as test/cat/",
        ),
        (["train-clean-100", "dev-other", "test-clean"], r"look like parts of several"),
        (["rgb", "depth"], r"depth/ and rgb/ are images and maps .*, not classes: .*dense-folder"),
        (["Images", "masks", "depths"], r"Images/ and depths/ and masks/ are images and maps"),
        (["train/images", "train/labels"], r"train: images/ and labels/ are images and maps"),
        (["train/a", "train/b", "val/a", "val/c"], r"class c in val/ is not among the 2"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path, folders, words):
    _write(tmp_path, *folders)
    with pytest.raises(NearfarError, match=words) as caught:
        _load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_class_may_be_called_as_maps_are(tmp_path):
    _write(tmp_path, "masks", "gloves", "images")
    assert _load(tmp_path).class_names == ("gloves", "images", "masks")


def test_an_empty_test_folder_is_refused_not_replaced(tmp_path):
    _write(tmp_path, "train/a", "train/b")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.heic").write_text("")
    with pytest.raises(NearfarError, match=r"test: no image in it .*only 1 .heic"):
        _load(tmp_path)


def test_an_empty_test_folder_gives_way_to_a_val_folder(tmp_path):
    _write(tmp_path, "train2017", "val2017")
    (tmp_path / "test2017").mkdir()
    source = _load(tmp_path)
    assert source.test.names[0] == "val2017/0.png"
    assert source.notes == (
        "training part: train2017/; test part: val2017/",
        "left out test2017/ (0 images): neither learnt from nor judged by",
    )


def test_classes_that_have_a_parts_name_in_theirs(tmp_path):
    _write(tmp_path, "bullet_train", "test_tube", "valid", "cat")
    source = _load(tmp_path)
    assert source.class_names == ("bullet_train", "cat", "test_tube", "valid")
    assert "valid/ is read as a class" in source.notes[0]


def test_one_name_in_two_spellings_of_unicode_is_one_class(tmp_path):
    _write(tmp_path, "train/caf\u00e9", "train/x", "val/cafe\u0301", "val/x")
    source = _load(tmp_path)
    assert source.class_names == ("café", "x")
    assert source.test.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("judged", ["val", "Validation", "testing"])
def test_sounds_have_parts_too(tmp_path, judged):
    for part in ("train", judged):
        for label in ("a", "b"):
            folder = tmp_path / "sounds" / part / label
            folder.mkdir(parents=True)
            wavfile.write(folder / "1.wav", 8000, np.arange(20, dtype=np.int16))
    source = load_source(WavSpec(root=tmp_path))
    assert source.class_names == ("a", "b")
    assert source.test.names == [f"sounds/{judged}/{label}/1.wav" for label in "ab"]


def test_sounds_to_judge_by_without_classes_are_left_out_and_counted(tmp_path):
    for folder in ("train/a", "train/b", "test"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(5):
            wavfile.write(tmp_path / folder / f"{number}.wav", 8000, np.arange(20, dtype=np.int16))
    source = load_source(WavSpec(root=tmp_path))
    assert source.class_names == ("a", "b")
    assert {name.split("/")[0] for name in [*source.train.names, *source.test.names]} == {"train"}
    assert source.notes[1].startswith("left out test/ (5 sounds): it has none of the class folders")
