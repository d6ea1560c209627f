"""Small files in the real formats of the published sets: three images to learn from."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from nearfar.data.published_listings import VOC_CLASSES


def image(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), (shade % 256, 100, 200)).save(path)


def lines(path: Path, *text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in text))


def food101(root: Path) -> None:
    base = root / "food-101"
    parts = {"train": {"apple_pie": ["1", "2"], "waffles": ["3"]}, "test": {"waffles": ["4"]}}
    for part, listed in parts.items():
        paths = {kind: [f"{kind}/{name}" for name in names] for kind, names in listed.items()}
        lines(base / "meta" / f"{part}.json", json.dumps(paths))
        lines(base / "meta" / f"{part}.txt", *(path for each in paths.values() for path in each))
        for names in paths.values():
            for name in names:
                image(base / "images" / f"{name}.jpg")


def sun397(root: Path) -> None:
    base = root / "SUN397"
    train = ["/a/abbey/sun_a.jpg", "/a/apse/indoor/sun_b.jpg", "/b/bar/sun_c.jpg"]
    lines(base / "ClassName.txt", "/a/abbey", "/a/apse/indoor", "/b/bar")
    lines(base / "Partitions/Training_01.txt", *train)
    lines(base / "Partitions/Testing_01.txt", "/b/bar/sun_d.jpg")
    for name in (*train, "/b/bar/sun_d.jpg"):
        image(base / name[1:])


def stanford_cars(root: Path) -> None:
    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    names = np.empty((1, 2), dtype=object)
    names[0] = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012"]
    savemat(base / "devkit/cars_meta.mat", {"class_names": names})
    kind = [(each, "O") for each in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")]
    for file, folder, classes in (
        ("devkit/cars_train_annos.mat", "cars_train", [1, 2, 2]),
        ("cars_test_annos_withlabels.mat", "cars_test", [2]),
    ):
        rows = np.array(
            [[(1, 1, 9, 9, kind_, f"{n:05d}.jpg") for n, kind_ in enumerate(classes, 1)]],
            dtype=kind,
        )
        savemat(base / file, {"annotations": rows})
        for number in range(len(classes)):
            image(base / folder / f"{number + 1:05d}.jpg")


def fgvc_aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b/data"
    lines(data / "variants.txt", "707-320", "Boeing 717 with spaces")
    lines(
        data / "images_variant_trainval.txt",
        "0000001 707-320",
        "0000002 Boeing 717 with spaces",
        "0000003 707-320",
    )
    lines(data / "images_variant_test.txt", "0000004 707-320")
    for number in range(1, 5):
        image(data / "images" / f"{number:07d}.jpg")


def voc2007(root: Path) -> None:
    base = root / "VOCdevkit/VOC2007"
    truth = {"trainval": {"000005": {"chair"}, "000007": {"car"}, "000009": {"car", "person"}}}
    truth["test"] = {"000001": {"dog", "person"}, "000002": {"train"}}
    for part, images in truth.items():
        for kind in VOC_CLASSES:
            rows = [f"{name} {' 1' if kind in has else '-1'}" for name, has in images.items()]
            if kind == "sofa":
                rows[0] = rows[0][:-2] + " 0"  # difficult
            lines(base / "ImageSets/Main" / f"{kind}_{part}.txt", *rows)
        for name in images:
            image(base / "JPEGImages" / f"{name}.jpg")


def dtd(root: Path) -> None:
    base = root / "dtd/dtd"
    lines(base / "labels/train1.txt", "banded/banded_0002.jpg", "zigzagged/zigzagged_0001.jpg")
    lines(base / "labels/val1.txt", "banded/banded_0003.jpg")
    lines(base / "labels/test1.txt", "banded/banded_0004.jpg")
    for name in ("banded_0002", "banded_0003", "banded_0004", "zigzagged_0001"):
        image(base / "images" / name.split("_")[0] / f"{name}.jpg")


def oxford_pets(root: Path) -> None:
    base = root / "oxford-iiit-pet"
    lines(
        base / "annotations/trainval.txt",
        "Abyssinian_100 1 1 1",
        "american_bulldog_101 2 2 1",
        "american_bulldog_102 2 2 1",
    )
    lines(base / "annotations/test.txt", "Abyssinian_201 1 1 1")
    for name in (
        "Abyssinian_100",
        "american_bulldog_101",
        "american_bulldog_102",
        "Abyssinian_201",
    ):
        image(base / "images" / f"{name}.jpg")


def caltech101(root: Path) -> None:
    base = root / "caltech101/101_ObjectCategories"
    for kind, count in (("BACKGROUND_Google", 34), ("accordion", 31)):
        for number in range(count):
            image(base / kind / f"image_{number + 1:04d}.jpg", number)


def flowers102(root: Path) -> None:
    base = root / "flowers-102"
    for number in range(1, 5):
        image(base / "jpg" / f"image_{number:05d}.jpg")
    savemat(base / "imagelabels.mat", {"labels": np.array([[77, 2, 77, 2]])})
    savemat(
        base / "setid.mat",
        {"trnid": np.array([[1, 2]]), "valid": np.array([[4]]), "tstid": np.array([[3]])},
    )


def birdsnap(root: Path) -> None:
    base = root / "birdsnap"
    rows = [("Acadian_Flycatcher/1.jpg", 1), ("Barn_Owl/2.jpg", 2), ("Barn_Owl/3.jpg", 2)]
    rows += [("Barn_Owl/4.jpg", 2), ("Barn_Owl/lost.jpg", 2)]
    head = "url\tmd5\tpath\tspecies_id\tbb_x1\tbb_y1\tbb_x2\tbb_y2"
    lines(base / "images.txt", head, *(f"u\tm\t{path}\t{kind}\t1\t1\t9\t9" for path, kind in rows))
    lines(base / "test_images.txt", "path", "Barn_Owl/4.jpg")
    for path, _ in rows[:-1]:
        image(base / "images" / path)


WRITERS = {
    "food101": food101,
    "sun397": sun397,
    "stanford-cars": stanford_cars,
    "fgvc-aircraft": fgvc_aircraft,
    "voc2007": voc2007,
    "dtd": dtd,
    "oxford-pets": oxford_pets,
    "caltech101": caltech101,
    "flowers102": flowers102,
    "birdsnap": birdsnap,
}
