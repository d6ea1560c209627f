"""What each source is, whose it is and how to cite it. Imports nothing heavy."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nearfar.bounds import check_numbers, check_seed
from nearfar.data.config import DataConfig
from nearfar.errors import SettingError, unknown_name
from nearfar.modality import Modality
from nearfar.paths import user_path


@dataclass(frozen=True)
class SourceInfo:
    """What a person should know of a source before using it.

    Attributes:
        summary: What the examples show and how many there are.
        classes: Number of classes, or None where the user's own data decide.
        size: Size of an example, in words.
        licence: Terms of the data as their makers state them.
        citation: The paper or report to cite, or None for the user's own data.
        home: The makers' page, or None for the user's own data.
        root: What `data.root` must be: "none" (inside a package), "optional", "folder", "file".
        downloads: Whether `data.download` can fetch it.
        unlabelled: Whether it has a part without labels beside the labelled one.
        sized_by_user: Whether `data.image_size` and `data.channels` shape its images.
        train_images: Examples of the training part, or None where the user's own data decide.
        modality: What its examples are.
    """

    summary: str
    classes: int | None
    size: str
    licence: str
    citation: str | None
    home: str | None
    root: Literal["none", "optional", "folder", "file"]
    downloads: bool = False
    unlabelled: bool = False
    sized_by_user: bool = False
    train_images: int | None = None
    modality: Modality = "images"


_OWN_DATA = "your own data: their terms are yours to know"

SOURCES: dict[str, SourceInfo] = {
    "digits": SourceInfo(
        summary="1797 handwritten digits: 1297 to learn from, 500 for test",
        classes=10,
        size="8 × 8, grey",
        licence="CC BY 4.0 (UCI repository); the copy read here ships inside scikit-learn (BSD)",
        citation="Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI "
        "Machine Learning Repository, doi:10.24432/C50P49",
        home="archive.ics.uci.edu/dataset/80",
        train_images=1297,
        root="none",
    ),
    "fashion-mnist": SourceInfo(
        summary="photographs of clothes: 60 000 to learn from, 10 000 for test",
        classes=10,
        size="28 × 28, grey",
        licence="MIT",
        citation="Xiao, Rasul and Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for "
        "Benchmarking Machine Learning Algorithms, arXiv:1708.07747",
        home="github.com/zalandoresearch/fashion-mnist",
        train_images=60_000,
        root="optional",
        downloads=True,
    ),
    "cifar10": SourceInfo(
        summary="photographs of animals and vehicles: 50 000 to learn from, 10 000 for test",
        classes=10,
        size="32 × 32, RGB",
        licence="none stated by its makers; images collected from the web",
        citation="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, "
        "technical report, University of Toronto",
        home="www.cs.toronto.edu/~kriz/cifar.html",
        train_images=50_000,
        root="optional",
        downloads=True,
    ),
    "cifar100": SourceInfo(
        summary="photographs of 100 kinds of things: 50 000 to learn from, 10 000 for test",
        classes=100,
        size="32 × 32, RGB",
        licence="none stated by its makers; images collected from the web",
        citation="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, "
        "technical report, University of Toronto",
        home="www.cs.toronto.edu/~kriz/cifar.html",
        train_images=50_000,
        root="optional",
        downloads=True,
    ),
    "stl10": SourceInfo(
        summary="photographs: 5000 to learn from, 8000 for test, 100 000 unlabelled",
        classes=10,
        size="96 × 96, RGB",
        licence="none stated by its makers; images taken from ImageNet, whose terms allow "
        "non-commercial research and teaching only",
        citation="Coates, Lee and Ng 2011, An Analysis of Single-Layer Networks in Unsupervised "
        "Feature Learning, AISTATS",
        home="cs.stanford.edu/~acoates/stl10",
        train_images=5_000,
        root="optional",
        downloads=True,
        unlabelled=True,
    ),
    "imagenet": SourceInfo(
        summary="ILSVRC 2012 photographs: 1 281 167 to learn from, 50 000 (validation) for test",
        classes=1000,
        size="any, RGB; streamed at data.image_size (256 where left out)",
        licence="ImageNet's terms of access: non-commercial research and teaching only; "
        "its makers do not own the images",
        citation="Deng et al. 2009, ImageNet: A Large-Scale Hierarchical Image Database, CVPR; "
        "Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge, IJCV 115",
        home="www.image-net.org",
        train_images=1_281_167,
        root="folder",
        sized_by_user=True,
    ),
    "folder": SourceInfo(
        summary="a folder of image files, one sub-folder a class, or flat without labels",
        classes=None,
        size="any",
        licence=_OWN_DATA,
        citation=None,
        home=None,
        root="folder",
        sized_by_user=True,
    ),
    "npz": SourceInfo(
        summary="a NumPy .npz file: images, and maybe labels, test_images, test_labels",
        classes=None,
        size="any, any number of channels",
        licence=_OWN_DATA,
        citation=None,
        home=None,
        root="file",
    ),
    "japanese-vowels": SourceInfo(
        summary="nine men say /ae/: 270 utterances to learn from, 370 for test",
        classes=9,
        size="12 channels (LPC cepstrum) × 29 steps; shorter ones go on with their last value",
        licence="CC BY 4.0 (UCI repository); the copy read here ships inside sktime (BSD)",
        citation="Kudo, Toyama and Shimbo 1999, Multidimensional Curve Classification Using "
        "Passing-Through Regions, Pattern Recognition Letters 20, doi:10.24432/C5NS47",
        home="archive.ics.uci.edu/dataset/128",
        root="none",
        train_images=270,
        modality="series",
    ),
    "basic-motions": SourceInfo(
        summary="a watch's sensors in four activities: 40 recordings to learn from, 40 for test",
        classes=4,
        size="6 channels (accelerometer, gyroscope) × 100 steps",
        licence="none stated by its makers; the copy read here ships inside sktime (BSD)",
        citation="Bagnall et al. 2018, The UEA Multivariate Time Series Classification Archive, "
        "arXiv:1811.00075",
        home="www.timeseriesclassification.com",
        root="none",
        train_images=40,
        modality="series",
    ),
    "wav": SourceInfo(
        summary="a folder of WAV files of one rate, one sub-folder a class, or flat without labels",
        classes=None,
        size="data.length steps (their median where left out), any number of channels",
        licence=_OWN_DATA,
        citation=None,
        home=None,
        root="folder",
        modality="series",
    ),
    "series-npz": SourceInfo(
        summary="a NumPy .npz file: series (n, channels, steps), and maybe labels, test_series, "
        "test_labels",
        classes=None,
        size="any",
        licence=_OWN_DATA,
        citation=None,
        home=None,
        root="file",
        modality="series",
    ),
    "wine": SourceInfo(
        summary="178 wines of three growers: 125 to learn from, 53 for test",
        classes=3,
        size="13 features (chemical measures)",
        licence="CC BY 4.0 (UCI repository); the copy read here ships inside scikit-learn (BSD)",
        citation="Aeberhard and Forina 1992, Wine, UCI Machine Learning Repository, "
        "doi:10.24432/C5PC7J",
        home="archive.ics.uci.edu/dataset/109",
        root="none",
        train_images=125,
        modality="vectors",
    ),
    "breast-cancer": SourceInfo(
        summary="569 biopsies, benign or malignant: 398 to learn from, 171 for test",
        classes=2,
        size="30 features (measures of cell nuclei)",
        licence="CC BY 4.0 (UCI repository); the copy read here ships inside scikit-learn (BSD)",
        citation="Wolberg, Mangasarian, Street and Street 1993, Breast Cancer Wisconsin "
        "(Diagnostic), UCI Machine Learning Repository, doi:10.24432/C5DW2B",
        home="archive.ics.uci.edu/dataset/17",
        root="none",
        train_images=398,
        modality="vectors",
    ),
    "parquet": SourceInfo(
        summary="a Parquet table: columns of numbers, and maybe one of labels (data.label_column)",
        classes=None,
        size="any number of features",
        licence=_OWN_DATA,
        citation=None,
        home=None,
        root="file",
        modality="vectors",
    ),
    "vectors-npz": SourceInfo(
        summary="a NumPy .npz file: vectors (n, features), and maybe labels, test_vectors, "
        "test_labels",
        classes=None,
        size="any number of features",
        licence=_OWN_DATA,
        citation=None,
        home=None,
        root="file",
        modality="vectors",
    ),
}


def download_folder(config: DataConfig) -> Path:
    """Where a source that can be downloaded is looked for and downloaded to.

    Args:
        config: Which source.

    Returns:
        `config.root`, or the source's folder in the user's cache where no root is given.
    """
    if config.root is not None:
        return config.root.expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nearfar" / config.name


MOST_HELD_OUT = 5_000
"""Examples kept out of training at most: they tell one accuracy to 0.7 points and better."""


def held_out_count(examples: int, share: float) -> int:
    """How many of the labelled training examples are kept out of training.

    Args:
        examples: Labelled training examples; where classes are so small that each would not keep
            one, fewer are held out.
        share: `data.held_out`; above 0, at least one example is held out.
    """
    return min(max(round(share * examples), 1), MOST_HELD_OUT) if share else 0


def most_to_learn_from(config: DataConfig) -> int | None:
    """How many examples there are at most to learn from; None where only the data can tell.

    Args:
        config: Of a known source.
    """
    known = SOURCES[config.name].train_images
    if known is None or config.train_part != "train":
        return None
    return known - held_out_count(known, config.held_out)


_MOST_WORKERS = 1024


def check_data_config(config: DataConfig) -> None:
    """Refuse what no load could satisfy, before anything heavy is imported or read.

    Args:
        config: The settings of `data`.

    Raises:
        SettingError: For an unknown name, a setting out of its range or without meaning for this
            source, and a root that is missing or of the wrong kind.
    """
    if config.name not in SOURCES:
        raise unknown_name("data source", config.name, SOURCES)
    info = SOURCES[config.name]
    _check_ranges(config)
    if config.train_part != "train" and not info.unlabelled:
        having = ", ".join(name for name, other in SOURCES.items() if other.unlabelled)
        raise SettingError(
            f"data.train_part={config.train_part}: {config.name} has no unlabelled part "
            f"(sources that have one: {having})"
        )
    if config.download and not info.downloads:
        raise SettingError(f"data.download: {config.name} cannot be downloaded; leave it out")
    if config.image_size is not None and not info.sized_by_user:
        raise SettingError(
            f"data.image_size: the {info.modality} of {config.name} keep their own size; "
            "leave it out"
            + (", and set views.size for the size of a view" if info.modality == "images" else "")
        )
    if config.fit != "crop" and not info.sized_by_user:
        raise SettingError(
            f"data.fit: the {info.modality} of {config.name} keep their own shape; leave it out"
        )
    if config.channels is not None and config.name != "folder":
        raise SettingError(f"data.channels is for the source folder, not for {config.name}")
    if config.length is not None and config.name != "wav":
        raise SettingError(f"data.length is for the source wav, not for {config.name}")
    if config.label_column is not None and config.name != "parquet":
        raise SettingError(f"data.label_column is for the source parquet, not for {config.name}")
    _check_root(config, info)


def _check_ranges(config: DataConfig) -> None:
    """Refuse numbers out of range, whatever the source."""
    check_numbers(config, "data.")
    if not 0 <= config.test_fraction < 1:
        raise SettingError(f"data.test_fraction={config.test_fraction}: at least 0 and below 1")
    if not 0 <= config.held_out < 1:
        raise SettingError(f"data.held_out={config.held_out}: at least 0 and below 1")
    if not 0 <= config.max_corrupt <= 1:
        raise SettingError(f"data.max_corrupt={config.max_corrupt}: a share from 0 to 1")
    if config.image_size is not None and not 4 <= config.image_size <= 4096:
        raise SettingError(f"data.image_size={config.image_size}: from 4 to 4096 pixels")
    if config.channels not in (None, 1, 3):
        raise SettingError(f"data.channels={config.channels}: 1 (grey) or 3 (RGB)")
    if config.length is not None and config.length < 1:
        raise SettingError(f"data.length={config.length}: at least 1 step")
    if config.in_memory_mib < 0:
        raise SettingError(f"data.in_memory_mib={config.in_memory_mib}: 0 or more")
    if not 0 <= config.workers <= _MOST_WORKERS:
        raise SettingError(f"data.workers={config.workers}: 0 or more, at most {_MOST_WORKERS}")
    _check_changed_labels(config)


def _check_changed_labels(config: DataConfig) -> None:
    """Refuse a long tail and label noise out of range or without effect."""
    factor, noise = config.imbalance_factor, config.label_noise
    if factor is not None and not 1 <= factor < float("inf"):
        raise SettingError(
            f"data.imbalance_factor={factor:g}: at least 1, where all classes are of one size"
        )
    if not 0 <= noise <= 1:
        raise SettingError(f"data.label_noise={noise:g}: a share of the labels, 0 to 1")
    if noise and config.train_part != "train":
        raise SettingError(
            f"data.label_noise={noise:g}: with data.train_part={config.train_part} nothing is "
            "learnt from labels; leave one of the two out"
        )
    check_seed("data.seed", config.seed)


def _check_root(config: DataConfig, info: SourceInfo) -> None:
    """Refuse a root that is missing, of the wrong kind, or of no use."""
    if config.root is None:
        if info.root in ("folder", "file"):
            raise SettingError(f"{config.name} needs --data.root, a {info.root}: {info.summary}")
        return
    if info.root == "none":
        raise SettingError(
            f"data.root: {config.name} is inside a package; leave it out, or say what your own "
            "data are: --data.name folder (pictures), npz, parquet or wav"
        )
    root = user_path(config.root)
    if info.root == "file":
        if not root.is_file():
            raise SettingError(f"data.root={root}: no such file")
    elif root.exists() and not root.is_dir():
        raise SettingError(f"data.root={root}: a file, where {config.name} needs a folder")
    elif not root.exists() and not config.download:
        raise SettingError(f"data.root={root}: no such folder")
