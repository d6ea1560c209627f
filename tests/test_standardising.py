"""Examples without their mean, whatever their offset, also where there is no float64."""

import pytest
import torch

from nearfar.data.batches import TrainingBatches
from nearfar.errors import SettingError
from nearfar.standardising import in_float64, in_two_parts, standardised


@pytest.mark.parametrize("offset", [0.0, 3.7, -1e4, 123456.789])
def test_two_parts_of_float32_are_as_good_as_float64(offset):
    draws = torch.Generator().manual_seed(0)
    examples = (offset + torch.randn(50, 3, 7, generator=draws, dtype=torch.float64)).float()
    mean = examples.double().mean(dim=(0, 2))
    std = examples.double().std(dim=(0, 2))
    exact = standardised(examples, mean, std)
    sides = (-1, 1)
    parts = in_two_parts(examples, mean.view(sides), std.view(sides))
    assert parts.dtype == torch.float32
    torch.testing.assert_close(parts, exact, rtol=0, atol=1e-6)
    if abs(offset) > 1e5:  # which the plain way in float32 is not
        plain = (examples - mean.float().view(sides)) / std.float().view(sides)
        assert (plain - exact).abs().max() > 1e-4


def test_float64_is_made_where_it_can_be():
    assert in_float64(torch.ones(2)).dtype == torch.float64


def test_data_that_need_float64_are_refused_where_there_is_none():
    vectors = torch.zeros(8, 2, dtype=torch.float64)
    with pytest.raises(SettingError, match=r"device is mps, which has no float64, and the"):
        TrainingBatches(vectors, None, batch_size=4, seed=0, device="mps", modality="vectors")
