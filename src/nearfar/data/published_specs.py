"""The published sets that encoders are transferred to: what each holds, and its metric. Light."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from nearfar.data.source_spec import ImageFilesSpec
from nearfar.paths import user_cache


class PublishedSetSpec(ImageFilesSpec):
    """What the sets share that encoders are transferred to.

    Attributes:
        inside: The folder that torchvision's class leaves below `root`.
        marks: What must lie in it.
        fetch: What a person does to get the set, for a message.
        torchvision_name: Its class in `torchvision.datasets`.
        downloads: Arguments of the class, one call after the other, that fetch the set.
    """

    target, root_needed = "nearfar.data.published_sets:load_published_set", False
    size = "any, RGB; streamed at data.image_size (256 where left out)"
    inside: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]
    fetch: ClassVar[str]
    torchvision_name: ClassVar[str] = ""
    downloads: ClassVar[tuple[dict[str, Any], ...]] = ({},)

    @property
    def folder(self) -> Path:
        """Where it is looked for: `root`, else a folder in the user's cache."""
        return user_cache() / self.name if self.root is None else self.root.expanduser()


class FetchedSetSpec(PublishedSetSpec):
    """Those that torchvision can fetch."""

    download: bool = False
    """Fetch the source over the network when it is not under `root`."""

    @property
    def may_download(self) -> bool:
        """`download`."""
        return self.download


class Food101Spec(FetchedSetSpec):
    """Food-101."""

    summary = "photographs of dishes: 75 750 to learn from, some mislabelled, 25 250 for test"
    classes, train_examples = 101, 75_750
    licence = "none stated by its makers; images from foodspotting.com, for research only"
    citation = (
        "Bossard, Guillaumin and Van Gool 2014, Food-101: Mining Discriminative Components with "
        "Random Forests, ECCV"
    )
    home = "data.vision.ee.ethz.ch/cvl/datasets_extra/food-101"
    inside, marks = "food-101", ("meta", "images")
    fetch, torchvision_name = "unpack food-101.tar.gz there", "Food101"
    name: Literal["food101"] = "food101"


class SUN397Spec(FetchedSetSpec):
    """SUN397, by the first of its ten partitions."""

    summary = "photographs of scenes, first partition: 19 850 to learn from, 19 850 for test"
    classes, train_examples = 397, 19_850
    licence = "none stated by its makers; images collected from the web, for research only"
    citation = (
        "Xiao, Hays, Ehinger, Oliva and Torralba 2010, SUN Database: Large-scale Scene Recognition "
        "from Abbey to Zoo, CVPR"
    )
    home = "vision.princeton.edu/projects/2010/SUN"
    inside, marks = "SUN397", ("a", "b")
    fetch = "unpack SUN397.tar.gz and Partitions.zip there"
    torchvision_name = "SUN397"
    name: Literal["sun397"] = "sun397"


class StanfordCarsSpec(PublishedSetSpec):
    """Stanford Cars."""

    summary = "photographs of cars by model and year: 8144 to learn from, 8041 for test"
    classes, train_examples = 196, 8_144
    licence = "non-commercial research and teaching only; its makers do not own the images"
    citation = (
        "Krause, Stark, Deng and Fei-Fei 2013, 3D Object Representations for Fine-Grained "
        "Categorization, 3dRR at ICCV"
    )
    home = "ai.stanford.edu/~jkrause/cars/car_dataset.html"
    inside, marks = "stanford_cars", ("devkit", "cars_train", "cars_test")
    fetch = (
        "its makers' page is gone; put devkit/, cars_train/, cars_test/ and "
        "cars_test_annos_withlabels.mat of a copy there"
    )
    name: Literal["stanford-cars"] = "stanford-cars"


class FGVCAircraftSpec(FetchedSetSpec):
    """FGVC Aircraft, by variant."""

    summary = (
        "photographs of aircraft by variant: 6667 to learn from (train and val), 3333 for test"
    )
    classes, train_examples, metric = 100, 6_667, "mean_per_class"
    licence = "non-commercial research only; the photographers keep their rights"
    citation = (
        "Maji, Rahtu, Kannala, Blaschko and Vedaldi 2013, Fine-Grained Visual Classification of "
        "Aircraft, arXiv:1306.5151"
    )
    home = "www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft"
    inside, marks = "fgvc-aircraft-2013b", ("data",)
    fetch, torchvision_name = "unpack fgvc-aircraft-2013b.tar.gz there", "FGVCAircraft"
    name: Literal["fgvc-aircraft"] = "fgvc-aircraft"


class VOC2007Spec(FetchedSetSpec):
    """Pascal VOC 2007, classification: several classes may be in one image."""

    summary = "photographs with objects of 20 classes: 5011 to learn from (trainval), 4952 for test"
    classes, train_examples, metric = 20, 5_011, "voc_11_point_map"
    licence = "Flickr's terms of use; its makers do not own the images"
    citation = (
        "Everingham, Van Gool, Williams, Winn and Zisserman 2010, The Pascal Visual Object Classes "
        "(VOC) Challenge, IJCV 88"
    )
    home = "host.robots.ox.ac.uk/pascal/VOC/voc2007"
    inside = "VOCdevkit/VOC2007"
    marks = (
        "ImageSets/Main/aeroplane_trainval.txt",
        "ImageSets/Main/aeroplane_test.txt",
        "JPEGImages",
    )
    fetch = "unpack VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar there"
    torchvision_name = "VOCDetection"
    downloads = (
        {"year": "2007", "image_set": "trainval"},
        {"year": "2007", "image_set": "test"},
    )
    name: Literal["voc2007"] = "voc2007"


class DTDSpec(FetchedSetSpec):
    """Describable Textures, by the first of its ten partitions."""

    summary = "photographs of textures: 3760 to learn from (train and val), 1880 for test"
    classes, train_examples = 47, 3_760
    licence = "research only, as its makers state; images collected from the web"
    citation = (
        "Cimpoi, Maji, Kokkinos, Mohamed and Vedaldi 2014, Describing Textures in the Wild, CVPR"
    )
    home = "www.robots.ox.ac.uk/~vgg/data/dtd"
    inside, marks = "dtd/dtd", ("labels", "images")
    fetch, torchvision_name = "unpack dtd-r1.0.1.tar.gz into dtd/ there", "DTD"
    name: Literal["dtd"] = "dtd"


class OxfordPetsSpec(FetchedSetSpec):
    """Oxford-IIIT Pets, by breed."""

    summary = "photographs of cats and dogs by breed: 3680 to learn from (trainval), 3669 for test"
    classes, train_examples, metric = 37, 3_680, "mean_per_class"
    licence = "CC BY-SA 4.0; the photographers keep their rights"
    citation = "Parkhi, Vedaldi, Zisserman and Jawahar 2012, Cats and Dogs, CVPR"
    home = "www.robots.ox.ac.uk/~vgg/data/pets"
    inside, marks = "oxford-iiit-pet", ("annotations", "images")
    fetch = "unpack images.tar.gz and annotations.tar.gz into oxford-iiit-pet/ there"
    torchvision_name = "OxfordIIITPet"
    name: Literal["oxford-pets"] = "oxford-pets"


class Caltech101Spec(FetchedSetSpec):
    """Caltech-101, 30 images of each class to learn from."""

    summary = "photographs of 101 kinds of things and background: 3060 to learn from, 6085 for test"
    classes, train_examples, metric = 102, 3_060, "mean_per_class"
    licence = "CC BY 4.0"
    citation = (
        "Fei-Fei, Fergus and Perona 2004, Learning Generative Visual Models from Few Training "
        "Examples, Workshop on Generative-Model Based Vision at CVPR, doi:10.22002/D1.20086"
    )
    home = "data.caltech.edu/records/mzrjq-6wc02"
    inside, marks = "caltech101", ("101_ObjectCategories",)
    fetch = (
        "unpack caltech-101.zip, and 101_ObjectCategories.tar.gz inside it, into caltech101/ there"
    )
    torchvision_name = "Caltech101"
    name: Literal["caltech101"] = "caltech101"


class Flowers102Spec(FetchedSetSpec):
    """Oxford 102 Flowers."""

    summary = "photographs of flowers: 2040 to learn from (train and val), 6149 for test"
    classes, train_examples, metric = 102, 2_040, "mean_per_class"
    licence = "none stated by its makers; images collected from the web"
    citation = (
        "Nilsback and Zisserman 2008, Automated Flower Classification over a Large Number of "
        "Classes, ICVGIP"
    )
    home = "www.robots.ox.ac.uk/~vgg/data/flowers/102"
    inside, marks = "flowers-102", ("jpg", "setid.mat", "imagelabels.mat")
    fetch = "put setid.mat, imagelabels.mat and jpg/ of 102flowers.tgz into flowers-102/ there"
    torchvision_name = "Flowers102"
    name: Literal["flowers102"] = "flowers102"


class BirdsnapSpec(PublishedSetSpec):
    """Birdsnap, as far as its images can still be had."""

    summary = (
        "photographs of North American birds: 47 386 to learn from, 2443 for test, less lost ones"
    )
    classes, train_examples = 500, 47_386
    licence = "none stated by its makers; images collected from the web, many gone"
    citation = (
        "Berg, Liu, Lee, Alexander, Jacobs and Belhumeur 2014, Birdsnap: Large-scale Fine-grained "
        "Visual Categorization of Birds, CVPR"
    )
    home = "thomasberg.org"
    inside, marks = "birdsnap", ("images.txt", "test_images.txt")
    fetch = (
        "put images.txt, test_images.txt and the images by class in images/ into birdsnap/ there"
    )
    name: Literal["birdsnap"] = "birdsnap"

    def most_to_learn_from(self) -> None:
        """Only the data can tell how many are left."""
