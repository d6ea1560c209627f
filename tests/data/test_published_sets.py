"""The published sets on small files of their real formats: split, classes, metric, refusals."""

import pytest
import torch
from published_files import WRITERS

from nearfar.data import downloads
from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import choose
from nearfar.data.sources import load_source
from nearfar.data.specs import SourceSpec
from nearfar.errors import NearfarError

SETS = list(WRITERS)
CLASSES = {
    "food101": (("apple_pie", "waffles"), [0, 0, 1], [1]),
    "sun397": (("abbey", "apse/indoor", "bar"), [0, 1, 2], [2]),
    "stanford-cars": (("AM General Hummer SUV 2000", "Acura RL Sedan 2012"), [0, 1, 1], [1]),
    "fgvc-aircraft": (("707-320", "Boeing 717 with spaces"), [0, 1, 0], [0]),
    "dtd": (("banded", "zigzagged"), [0, 1, 0], [0]),
    "oxford-pets": (("Abyssinian", "american_bulldog"), [0, 1, 1], [0]),
    "caltech101": (("BACKGROUND_Google", "accordion"), [0] * 30 + [1] * 30, [0] * 4 + [1]),
    "flowers102": (("002", "077"), [1, 0, 0], [1]),
    "birdsnap": (("Acadian_Flycatcher", "Barn_Owl"), [0, 1, 1], [1]),
}


@pytest.fixture
def root(tmp_path, request):
    WRITERS[request.param](tmp_path)
    return tmp_path


def spec_of(name, root, **changes):
    return SourceSpec.named(name)(root=root, image_size=16, **changes)


@pytest.mark.parametrize(("root", "name"), [(each, each) for each in CLASSES], indirect=["root"])
def test_a_set_is_read_with_its_makers_split(root, name):
    source = load_source(spec_of(name, root))
    classes, train, test = CLASSES[name]
    assert source.class_names == classes
    assert source.train.labels.tolist() == train
    assert source.test.labels.tolist() == test
    assert source.train.example_shape == (3, 16, 16)
    for part in (source.train, source.test):
        for index in range(len(part)):
            assert part.examples[index].shape == (3, 16, 16)
    if name == "caltech101":
        assert not set(source.train.names) & set(source.test.names)
        again = load_source(spec_of(name, root))
        assert again.train.names == source.train.names


@pytest.mark.parametrize("root", ["voc2007"], indirect=True)
def test_an_image_of_voc_may_be_of_several_classes(root):
    source = load_source(spec_of("voc2007", root))
    assert source.train.labels is None
    assert source.train.multi_labels.shape == (3, 20)
    names = source.class_names

    def there(part, row):
        return {names[place] for place in (part.multi_labels[row] == 1).nonzero().flatten()}

    assert [there(source.train, row) for row in range(3)] == [{"chair"}, {"car"}, {"car", "person"}]
    assert there(source.test, 0) == {"dog", "person"}
    assert int(source.train.multi_labels[0, names.index("sofa")]) == 0
    some = choose(source.train, torch.tensor([2, 0]))
    assert there(some, 0) == {"car", "person"}
    (root / "VOCdevkit/VOC2007/ImageSets/Main/dog_test.txt").write_text("000001 -1\n000002 -1\n")
    other = load_source(spec_of("voc2007", root))
    assert source_fingerprint(other) != source_fingerprint(source)


@pytest.mark.parametrize(("root", "name"), [(each, each) for each in SETS], indirect=["root"])
def test_the_folder_of_the_set_itself_serves_as_root(root, name):
    inside = root / SourceSpec.named(name).inside
    assert len(load_source(spec_of(name, inside)).train) == (60 if name == "caltech101" else 3)


@pytest.mark.parametrize("name", SETS)
def test_what_is_missing_is_said_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(NearfarError) as caught:
        load_source(SourceSpec.named(name)())
    said = str(caught.value)
    assert "\n" not in said
    assert f"{name} is not in {tmp_path / 'nearfar' / name}" in said
    assert "--data.root" in said
    assert ("--data.download" in said) == (name in SourceSpec.owners("download"))


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_fetched_unless_asked_for_and_then_by_torchvision(name, tmp_path, monkeypatch):
    from torchvision import datasets

    from nearfar.data import published_sets

    spec = SourceSpec.named(name)
    asked = []

    def fetch(dataset, folder, **options):
        assert hasattr(datasets, dataset)
        asked.append(options)
        if len(asked) == len(spec.downloads):
            WRITERS[name](folder)

    monkeypatch.setattr(published_sets, "download", fetch)
    assert downloads.download is not fetch
    if name not in SourceSpec.owners("download"):
        assert not spec(root=tmp_path).may_download
        return
    with pytest.raises(NearfarError):
        load_source(spec_of(name, tmp_path))
    assert not asked
    source = load_source(spec_of(name, tmp_path, download=True))
    assert len(source.train) >= 3
    assert asked == list(spec.downloads)


@pytest.mark.parametrize(
    ("root", "name", "file"),
    [
        ("food101", "food101", "food-101/meta/train.json"),
        ("stanford-cars", "stanford-cars", "stanford_cars/devkit/cars_train_annos.mat"),
        ("fgvc-aircraft", "fgvc-aircraft", "fgvc-aircraft-2013b/data/images_variant_test.txt"),
        ("voc2007", "voc2007", "VOCdevkit/VOC2007/ImageSets/Main/cat_test.txt"),
        ("dtd", "dtd", "dtd/dtd/labels/val1.txt"),
        ("oxford-pets", "oxford-pets", "oxford-iiit-pet/annotations/test.txt"),
        ("flowers102", "flowers102", "flowers-102/setid.mat"),
        ("birdsnap", "birdsnap", "birdsnap/images.txt"),
    ],
    indirect=["root"],
)
def test_a_damaged_list_is_named(root, name, file):
    (root / file).write_text("nonsense\n")
    with pytest.raises(NearfarError, match="damaged, or not in its makers' format") as caught:
        load_source(spec_of(name, root))
    assert str(root / file) in str(caught.value)


@pytest.mark.parametrize(
    ("root", "name", "file"),
    [
        ("voc2007", "voc2007", "VOCdevkit/VOC2007/ImageSets/Main/aeroplane_test.txt"),
        ("dtd", "dtd", "dtd/dtd/labels/train1.txt"),
        ("birdsnap", "birdsnap", "birdsnap/images.txt"),
        ("birdsnap", "birdsnap", "birdsnap/test_images.txt"),
    ],
    indirect=["root"],
)
def test_an_empty_list_is_named(root, name, file):
    (root / file).write_text("\n")
    with pytest.raises(NearfarError, match="lists no image") as caught:
        load_source(spec_of(name, root))
    assert str(root / file) in str(caught.value)


@pytest.mark.parametrize("root", ["dtd"], indirect=True)
def test_a_list_that_leads_out_of_its_folder_is_refused(root):
    (root / "dtd/dtd/labels/train1.txt").write_text("../../../etc/passwd\n")
    with pytest.raises(NearfarError, match="damaged"):
        load_source(spec_of("dtd", root))


@pytest.mark.parametrize("root", ["sun397"], indirect=True)
def test_sun397s_partitions_are_asked_for_by_name(root):
    (root / "SUN397/Partitions/Training_01.txt").unlink()
    with pytest.raises(NearfarError, match=r"Training_01\.txt is missing: fetch Partitions\.zip"):
        load_source(spec_of("sun397", root))


@pytest.mark.parametrize("root", ["oxford-pets"], indirect=True)
def test_images_that_are_listed_and_not_there_are_told_of_before_training(root):
    (root / "oxford-iiit-pet/images/Abyssinian_201.jpg").unlink()
    with pytest.raises(NearfarError, match=r"Abyssinian_201\.jpg is listed and not there"):
        load_source(spec_of("oxford-pets", root))


def test_each_set_has_the_metric_it_is_published_with():
    metrics = {name: SourceSpec.named(name).metric for name in (*SETS, "cifar10", "cifar100")}
    mean = {"fgvc-aircraft", "oxford-pets", "caltech101", "flowers102"}
    assert {name for name, metric in metrics.items() if metric == "mean_per_class"} == mean
    assert metrics.pop("voc2007") == "voc_11_point_map"
    assert {metric for name, metric in metrics.items() if name not in mean} == {"top1"}
