"""Features: every image once, in order, from an encoder that is left as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from nearfar.data.source import Part, StreamedExamples
from nearfar.errors import NearfarError
from nearfar.evaluation.features import extract_features, frozen, raw_pixels
from nearfar.training import thread_choice
from nearfar.training.thread_choice import ThreadChoice


class Counting(nn.Module):
    """Gives each image's mean, and remembers every image that it was shown."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.dropout = nn.Dropout(0.5)
        self.seen = []

    def forward(self, images):
        assert not self.training
        assert not torch.is_grad_enabled()
        assert not torch.is_autocast_enabled("cpu")
        self.seen += images[:, 0, 0, 0].tolist()
        return self.dropout(self.norm(images.float().mean(dim=(1, 2, 3)).unsqueeze(1)))


class Streamed(StreamedExamples):
    """Image i is filled with i."""

    def __init__(self, count):
        self.count = count
        self.shape = (1, 4, 4)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return torch.full((1, 4, 4), index, dtype=torch.uint8)


def numbered(count):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    return images.contiguous()


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize("streamed", [True, False])
def test_every_image_is_seen_exactly_once_and_in_order(batch_size, streamed):
    part = Part(Streamed(23) if streamed else numbered(23))
    encoder = Counting()
    features = extract_features(encoder, part, batch_size=batch_size)
    assert encoder.seen == list(range(23))
    assert features.shape == (23, 1)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features[:, 0], torch.arange(23.0), rtol=1e-4, atol=1e-4)


def test_the_batch_size_does_not_change_the_features():
    encoder = nn.Sequential(_Unit(), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).train()
    part = Part(torch.randint(256, (19, 1, 6, 6), dtype=torch.uint8))
    whole = extract_features(encoder, part, batch_size=19)
    torch.testing.assert_close(extract_features(encoder, part, batch_size=4), whole)
    torch.testing.assert_close(extract_features(encoder, part, batch_size=1), whole)


def test_modes_and_statistics_are_left_as_they_were():
    encoder = Counting().train()
    encoder.dropout.eval()
    mean = encoder.norm.running_mean.clone()
    extract_features(encoder, Part(numbered(9)))
    assert encoder.training
    assert encoder.norm.training
    assert not encoder.dropout.training
    assert torch.equal(encoder.norm.running_mean, mean)


def test_modes_are_restored_after_an_error():
    encoder = Counting().train()
    with pytest.raises(ZeroDivisionError), frozen(encoder):
        raise ZeroDivisionError
    assert encoder.training


def test_autocast_around_does_not_reach_the_features():
    with torch.autocast("cpu", torch.bfloat16):
        assert extract_features(Counting(), Part(numbered(3))).dtype == torch.float32


def test_features_may_be_trained_on():
    features = extract_features(Counting(), Part(numbered(3)))
    weight = torch.ones(1, 1, requires_grad=True)
    (features @ weight).sum().backward()
    assert weight.grad is not None


def test_nan_features_are_refused_naming_the_first():
    class Broken(nn.Module):
        def forward(self, images):
            features = images.float().flatten(1)
            features[images[:, 0, 0, 0] == 5] = float("nan")
            return features

    with pytest.raises(NearfarError, match=r"1 of 9 examples \(first: 5\)"):
        extract_features(Broken(), Part(numbered(9)), batch_size=2)


def test_an_empty_part_is_refused():
    with pytest.raises(NearfarError, match="empty"):
        extract_features(Counting(), Part(numbered(0)))
    with pytest.raises(NearfarError, match="empty"):
        raw_pixels(Part(numbered(0)))


def test_raw_pixels_are_the_image_or_its_area_average():
    images = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    expected = images.flatten(1).numpy() / 255
    np.testing.assert_allclose(raw_pixels(Part(images)), expected, atol=1e-6)
    shrunk = raw_pixels(Part(images), max_side=4)
    expected = images.numpy().reshape(5, 3, 4, 2, 4, 2).mean((3, 5)).reshape(5, -1) / 255
    np.testing.assert_allclose(shrunk, expected, atol=1e-6)


class _Unit(nn.Module):
    """uint8 to 0..1."""

    def forward(self, images):
        return images.float() / 255


@pytest.fixture
def two_threads(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_thread_count_is_measured_on_a_few_examples_and_handed_back(two_threads, monkeypatch):
    counts, encoder = [], Counting().eval()

    def one_is_faster(work):
        work()
        counts.append(torch.get_num_threads())
        return float(torch.get_num_threads())

    monkeypatch.setattr(thread_choice, "_seconds_of_a_step", one_is_faster)
    said = []
    with ThreadChoice(torch.device("cpu"), say=said.append) as threads:
        features = extract_features(encoder, Part(numbered(200)), batch_size=100, threads=threads)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    assert counts == [2, 1]
    assert len(said) == 1
    assert torch.equal(features, extract_features(Counting().eval(), Part(numbered(200))))
    # The 64 examples of each measurement came on top; the features are of each example once.
    assert encoder.seen == [*range(64), *range(64), *range(200)]
