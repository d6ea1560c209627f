"""Which images and labels the published sets have that encoders are transferred to, read off disk.

Each reader takes a folder as torchvision's class of the same set leaves it, and reads the
makers' own lists.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int8
from numpy import ndarray

from nearfar.data.file_reading import shown
from nearfar.errors import NearfarError

CALTECH_PER_CLASS = 30
"""Training images of each class of Caltech-101; all others are for test."""
CALTECH_SEED = 0
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)


@dataclass(frozen=True)
class ListedPart:
    """The images of one part.

    Attributes:
        files: Where they are.
        classes: The class of each by name; None where an image may be of several.
        present: Of each image and class 1 where it is there, −1 where it is not, 0 where that is
            not judged; None where an image is of one class.
    """

    files: Sequence[Path]
    classes: Sequence[str] | None = None
    present: Int8[ndarray, "n classes"] | None = None


def food101(root: Path) -> tuple[ListedPart, ListedPart]:
    """`meta/train.json` and `test.json`: for each class the names of its images."""

    def part(name: str) -> ListedPart:
        file = root / "meta" / f"{name}.json"
        try:
            listed = json.loads(_text(file))
            pairs = [(str(each), kind) for kind, names in listed.items() for each in names]
        except (ValueError, AttributeError, TypeError):
            raise _damaged(file) from None
        return _of([(root / "images" / f"{each}.jpg", kind) for each, kind in pairs], file)

    return part("train"), part("test")


def sun397(root: Path) -> tuple[ListedPart, ListedPart]:
    """The first of the makers' ten partitions: `Training_01.txt` and `Testing_01.txt`."""

    def part(name: str) -> ListedPart:
        file = next(
            (place / name for place in (root, root / "Partitions") if (place / name).is_file()),
            root / name,
        )
        if not file.is_file():
            raise NearfarError(
                f"{shown(file)} is missing: fetch Partitions.zip from SUN397's own page and unpack "
                f"it into {shown(root)}"
            )
        paths = [line.lstrip("/") for line in _lines(file)]
        # a/abbey/sun_x.jpg, or a/apse/indoor/sun_x.jpg: the class is what lies between.
        return _of([(root / each, "/".join(each.split("/")[1:-1])) for each in paths], file)

    return part("Training_01.txt"), part("Testing_01.txt")


def stanford_cars(root: Path) -> tuple[ListedPart, ListedPart]:
    """MATLAB files: `devkit/cars_train_annos.mat`, `cars_meta.mat`, one more for the test part."""
    meta = root / "devkit" / "cars_meta.mat"
    names = [str(each) for each in np.atleast_1d(_mat(meta, "class_names"))]

    def part(file: Path, images: str) -> ListedPart:
        pairs = []
        try:
            for each in np.atleast_1d(_mat(file, "annotations")):
                number = int(each["class"])
                if not 1 <= number <= len(names):
                    raise _damaged(file)
                pairs.append((root / images / str(each["fname"]), names[number - 1]))
        except (ValueError, IndexError, TypeError):
            raise _damaged(file) from None
        return _of(pairs, file)

    return (
        part(root / "devkit" / "cars_train_annos.mat", "cars_train"),
        part(root / "cars_test_annos_withlabels.mat", "cars_test"),
    )


def fgvc_aircraft(root: Path) -> tuple[ListedPart, ListedPart]:
    """`data/images_variant_trainval.txt` and `…_test.txt`: number and variant on each line."""

    def part(name: str) -> ListedPart:
        file = root / "data" / f"images_variant_{name}.txt"
        pairs = [_split(line, " ", file) for line in _lines(file)]
        return _of([(root / "data/images" / f"{each}.jpg", kind) for each, kind in pairs], file)

    return part("trainval"), part("test")


def dtd(root: Path) -> tuple[ListedPart, ListedPart]:
    """The first of ten partitions: `labels/train1.txt` and `val1.txt` to learn from."""

    def part(*names: str) -> ListedPart:
        files = [root / "labels" / f"{name}1.txt" for name in names]
        pairs = [_split(line, "/", file) for file in files for line in _lines(file)]
        return _of([(root / "images" / kind / each, kind) for kind, each in pairs], files[0])

    return part("train", "val"), part("test")


def oxford_pets(root: Path) -> tuple[ListedPart, ListedPart]:
    """`annotations/trainval.txt` and `test.txt`: name, class and more; the class is in the name."""

    def part(name: str) -> ListedPart:
        file = root / "annotations" / f"{name}.txt"
        names = [_split(line, " ", file)[0] for line in _lines(file) if not line.startswith("#")]
        pairs = [(root / "images" / f"{each}.jpg", each.rsplit("_", 1)[0]) for each in names]
        return _of(pairs, file)

    return part("trainval"), part("test")


def caltech101(root: Path) -> tuple[ListedPart, ListedPart]:
    """`101_ObjectCategories`: 30 images of every class, always the same, and all others for test.

    The background is a class, as in the published tables.
    """
    folder = root / "101_ObjectCategories"
    random = np.random.RandomState(CALTECH_SEED)
    train: list[tuple[Path, str]] = []
    test: list[tuple[Path, str]] = []
    for kind in sorted(each for each in folder.iterdir() if each.is_dir()):
        files = sorted(kind.glob("*.jpg"))
        order = random.permutation(len(files))
        of_class = [(files[place], kind.name) for place in order]
        train += of_class[:CALTECH_PER_CLASS]
        test += of_class[CALTECH_PER_CLASS:]
    return _of(train, folder), _of(test, folder)


def flowers102(root: Path) -> tuple[ListedPart, ListedPart]:
    """`setid.mat` and `imagelabels.mat`: `trnid` and `valid` to learn from, `tstid` for test."""
    sets, labels = root / "setid.mat", root / "imagelabels.mat"
    classes = np.atleast_1d(_mat(labels, "labels"))

    def part(*names: str) -> ListedPart:
        numbers = np.concatenate([np.atleast_1d(_mat(sets, name)) for name in names])
        try:
            pairs = [
                (root / "jpg" / f"image_{number:05d}.jpg", f"{int(classes[number - 1]):03d}")
                for number in map(int, numbers)
            ]
        except (IndexError, ValueError, TypeError):
            raise _damaged(sets) from None
        return _of(pairs, sets)

    return part("trnid", "valid"), part("tstid")


def birdsnap(root: Path) -> tuple[ListedPart, ListedPart]:
    """`images.txt` and `test_images.txt`, tables by tabs with a column `path`; `images/` beside.

    Many of the addresses that its makers give are gone: what is not there is left out.
    """

    def paths(file: Path) -> list[str]:
        head, *rows = _lines(file)
        if "path" not in head.split("\t"):
            raise _damaged(file)
        place = head.split("\t").index("path")
        return [row.split("\t")[place] for row in rows if row.count("\t") >= place]

    images = next(
        (each for each in (root / "images", root / "download/images") if each.is_dir()),
        root / "images",
    )
    test = set(paths(root / "test_images.txt"))
    everything = [each for each in paths(root / "images.txt") if (images / each).is_file()]
    pairs = [(each, (images / each, each.split("/")[0])) for each in everything]
    return (
        _of([pair for each, pair in pairs if each not in test], root / "images.txt"),
        _of([pair for each, pair in pairs if each in test], root / "test_images.txt"),
    )


def voc2007(root: Path) -> tuple[ListedPart, ListedPart]:
    """`ImageSets/Main/CLASS_trainval.txt` and `…_test.txt`: name and 1, −1 or 0 on each line.

    0 is an object that the makers call difficult: it is neither there nor not there.
    """

    def part(name: str) -> ListedPart:
        columns, names = [], None
        for kind in VOC_CLASSES:
            file = root / "ImageSets/Main" / f"{kind}_{name}.txt"
            rows = [line.split() for line in _lines(file)]
            if any(len(row) != 2 or row[1] not in ("1", "-1", "0") for row in rows):
                raise _damaged(file)
            if names is not None and names != [row[0] for row in rows]:
                raise _damaged(file)
            names = [row[0] for row in rows]
            columns.append(np.array([int(row[1]) for row in rows], dtype=np.int8))
        files = [_below(root / "JPEGImages", f"{each}.jpg") for each in names or []]
        return ListedPart(files, present=np.stack(columns, axis=1))

    return part("trainval"), part("test")


Reader = Callable[[Path], tuple[ListedPart, ListedPart]]


def _of(pairs: Sequence[tuple[Path, str]], listed_in: Path) -> ListedPart:
    """Images and their classes; a list that leads out of its folder is refused."""
    if not pairs:
        raise _empty(listed_in)
    for path, _ in pairs:
        if ".." in path.parts:
            raise _damaged(listed_in)
    return ListedPart([path for path, _ in pairs], [kind for _, kind in pairs])


def _below(folder: Path, name: str) -> Path:
    if "/" in name or name.startswith("."):
        raise _damaged(folder)
    return folder / name


def _split(line: str, by: str, file: Path) -> tuple[str, str]:
    first, found, rest = line.partition(by)
    if not (first and found and rest):
        raise _damaged(file)
    return first, rest


def _lines(file: Path) -> list[str]:
    """The lines of a list that hold something."""
    lines = [line.strip() for line in _text(file).splitlines() if line.strip()]
    if not lines:
        raise _empty(file)
    return lines


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NearfarError(
            f"{shown(file)}: {error.strerror or 'cannot be read'}; fetch the set again"
        ) from None


def _mat(file: Path, name: str) -> ndarray:
    """A variable of a MATLAB file, which holds plain arrays alone."""
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(file, squeeze_me=True)[name])
    except FileNotFoundError:
        raise NearfarError(f"{shown(file)}: no such file; fetch the set again") from None
    except Exception:  # scipy's reader raises almost anything at damaged bytes
        raise _damaged(file) from None


def _empty(file: Path) -> NearfarError:
    return NearfarError(f"{shown(file)} lists no image: fetch the set again")


def _damaged(file: Path) -> NearfarError:
    return NearfarError(f"{shown(file)}: damaged, or not in its makers' format; fetch it again")
