from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import EncoderSpec
from nearfar.modality import channels_of
from nearfar.spec import as_spec
from nearfar.torch_defaults import own_defaults


@pytest.fixture
def wide():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_default_type_comes_back_when_the_last_thread_has_left(wide):
    meeting = Barrier(4)

    @own_defaults()
    def meet(_):
        meeting.wait()
        return torch.get_default_dtype()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(meet, range(8))) == {torch.float32}
    assert torch.get_default_dtype() == torch.float64


def test_it_comes_back_after_an_error_too(wide):
    with pytest.raises(ValueError, match="wrong"), own_defaults():
        raise ValueError("wrong")
    assert torch.get_default_dtype() == torch.float64


SHAPES = {"images": (1, 64, 64), "series": (2, 32), "vectors": (5,), "texts": (16,)}


@pytest.mark.parametrize("name", EncoderSpec.owners("width"))
def test_encoders_load_and_answer_in_float32_whatever_the_default(tmp_path, name):
    takes = EncoderSpec.known()[name].takes
    shape = SHAPES[takes]
    config = as_spec(EncoderSpec, {"name": name, "width": 4})
    encoder = config.build(shape)
    channels = channels_of(takes, shape)
    mean, std = [0.1] * channels, [2.0] * channels
    save_encoder(tmp_path, encoder, config, shape=shape, mean=mean, std=std)
    examples = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    examples = examples if takes in ("images", "texts") else examples.float()
    with torch.no_grad():
        expected = load_encoder(tmp_path)(examples)
        torch.set_default_dtype(torch.float64)
        try:
            found = load_encoder(tmp_path)(examples)
        finally:
            torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
