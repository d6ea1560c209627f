import pytest
import torch

from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import EncoderSpec, MLPSpec, SeriesResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.spec import as_spec

SERIES = (SeriesResNetSpec(width=4), (3, 20))
VECTORS = (MLPSpec(width=16, depth=3), (5,))


@pytest.mark.parametrize("steps", [1, 2, 7, 29, 256, 257, 5000])
def test_the_series_resnet_takes_any_length_and_trains_all_of_its_weights(steps):
    encoder = SeriesResNetSpec(width=4).build((3, steps))
    assert encoder.stem(torch.randn(2, 3, steps)).shape[2] <= 256
    features = encoder(torch.randn(4, 3, steps))
    assert features.shape == (4, encoder.num_features) == (4, 16)
    features.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_the_mlp_has_its_width_and_depth():
    encoder = VECTORS[0].build(VECTORS[1])
    linear = [m for m in encoder.modules() if isinstance(m, torch.nn.Linear)]
    assert [m.weight.shape for m in linear] == [(16, 5), (16, 16), (16, 16)]
    assert encoder(torch.randn(4, 5)).shape == (4, encoder.num_features) == (4, 16)


@pytest.mark.parametrize(("config", "shape"), [SERIES, VECTORS])
def test_a_saved_encoder_comes_back_and_normalises_by_itself(tmp_path, config, shape):
    encoder = config.build(shape)
    encoder(torch.randn(32, *shape))  # batch-norm's statistics differ from the fresh ones
    mean, std = [0.5] * shape[0], [float(i + 1) for i in range(shape[0])]
    save_encoder(tmp_path, encoder, config, shape=shape, mean=mean, std=std)
    loaded = load_encoder(tmp_path)
    assert (loaded.shape, loaded.config) == (shape, config)
    examples = torch.randn(6, *shape)
    spread = torch.tensor(std).view(-1, *[1] * (len(shape) - 1))
    expected = encoder.eval()((examples - 0.5) / spread)
    torch.testing.assert_close(loaded(examples), expected)  # standardised in float64


@pytest.mark.parametrize(
    ("saved", "examples", "words"),
    [
        (
            SERIES,
            (2, 3, 21),
            "takes series of 3 channels × 20 steps, not series of 3 channels × 21",
        ),
        (SERIES, (2, 20), r"takes series .*, not examples of shape \(20,\)"),
        (VECTORS, (2, 6), "takes vectors of 5 features, not vectors of 6 features"),
    ],
)
def test_other_examples_are_refused(tmp_path, saved, examples, words):
    config, shape = saved
    ones = [1.0] * shape[0]
    save_encoder(tmp_path, config.build(shape), config, shape=shape, mean=ones, std=ones)
    with pytest.raises(NearfarError, match=words):
        load_encoder(tmp_path)(torch.randn(examples))


def test_examples_of_another_kind_are_refused_though_their_shape_would_do(tmp_path):
    config, shape = SERIES
    ones = [1.0] * shape[0]
    save_encoder(tmp_path, config.build(shape), config, shape=shape, mean=ones, std=ones)
    loaded = load_encoder(tmp_path)
    loaded.check(shape, "series")
    with pytest.raises(NearfarError, match=r"takes series of 3 .*, not texts of shape \(3, 20\)"):
        loaded.check(shape, "texts")


@pytest.mark.parametrize(
    ("name", "modality", "words"),
    [
        ("small-resnet", "series", "is for images, and the data are series: choose series-resnet"),
        ("timm/resnet18", "vectors", "is for images, and the data are vectors: choose mlp"),
        ("mlp", "images", "is for vectors, and the data are images: choose small-resnet"),
        ("mlp", "molecules", "is for vectors, and the data are molecules: no backbone takes them"),
    ],
)
def test_a_backbone_of_another_kind_is_refused(name, modality, words):
    with pytest.raises(SettingError, match=words):
        as_spec(EncoderSpec, {"name": name}).require_modality(modality)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("small-resnet", (3, 20), r"takes images \(channels, height, width\), and not a shape of"),
        ("timm/resnet18", (5,), r"takes images .*, and not a shape of \(5,\)"),
        ("mlp", (1, 8, 8), r"takes vectors \(features\), and not a shape of \(1, 8, 8\)"),
    ],
)
def test_a_shape_that_no_example_of_the_kind_has_is_refused(name, shape, words):
    with pytest.raises(SettingError, match=words):
        as_spec(EncoderSpec, {"name": name}).build(shape)


def test_impossible_depths_are_refused():
    with pytest.raises(SettingError, match=r"encoder\.depth is 0"):
        MLPSpec(depth=0)
    with pytest.raises(SettingError, match="series-resnet has no such setting, it belongs to mlp"):
        as_spec(EncoderSpec, {"name": "series-resnet", "depth": 3})
