import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from source_files import write_images

from nearfar.data import normalisation
from nearfar.data.normalisation import channel_statistics
from nearfar.data.source import Part, StreamedExamples
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 4)))
def test_mean_and_spread_are_numpy_s(images):
    mean, std = channel_statistics(Part(torch.from_numpy(images.copy())))
    channels = images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1) / 255
    np.testing.assert_allclose(mean, channels.mean(1), atol=1e-12)
    np.testing.assert_allclose(std, channels.std(1).clip(1 / 255), atol=1e-7)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_constant_channel_can_be_divided_by(level):
    mean, std = channel_statistics(Part(torch.full((4, 2, 3, 3), level, dtype=torch.uint8)))
    assert mean == pytest.approx((level / 255,) * 2)
    assert std == (1 / 255, 1 / 255)


def test_images_are_taken_from_the_whole_part(monkeypatch):
    monkeypatch.setattr(normalisation, "MOST_EXAMPLES", 10)
    levels = torch.arange(200, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    mean, _ = channel_statistics(Part(levels))
    assert mean[0] * 255 == pytest.approx(levels[::20].float().mean().item())


def test_streamed_images_are_taken_from_the_whole_part(monkeypatch):
    class Levels(StreamedExamples):
        shape = (1, 1, 1)

        def __len__(self):
            return 200

        def __getitem__(self, index):
            return torch.full((1, 1, 1), index, dtype=torch.uint8)

    monkeypatch.setattr(normalisation, "MOST_STREAMED", 10)
    mean, _ = channel_statistics(Part(Levels()))
    assert mean[0] * 255 == pytest.approx(np.arange(0, 200, 20).mean())


def test_streamed_images_count_as_held_ones(tmp_path):
    write_images(tmp_path, [f"{n}.png" for n in range(12)])
    parts = [load_source(FolderSpec(root=tmp_path, in_memory_mib=mib)).train for mib in (0, 64)]
    assert channel_statistics(parts[0]) == channel_statistics(parts[1])
