"""Features by place: where they lie, what their mean is, and which networks have none."""

import pytest
import torch

from nearfar.encoders.feature_maps import feature_maps
from nearfar.encoders.head_specs import LinearHeadSpec
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import (
    CIFARResNet20Spec,
    MLPSpec,
    PatchGRUSpec,
    SeriesResNetSpec,
    SmallAlexNetSpec,
    SmallResNetSpec,
    TimmSpec,
)
from nearfar.errors import NearfarError

POOLED = {
    "small-resnet": (SmallResNetSpec(width=4), (3, 32, 32), (16, 4, 4)),
    "small-resnet of few pixels": (SmallResNetSpec(width=4), (1, 8, 8), (16, 2, 2)),
    "cifar-resnet20": (CIFARResNet20Spec(width=4), (3, 32, 32), (16, 8, 8)),
    "timm resnet": (TimmSpec("timm/resnet18", stem="small"), (1, 24, 24), (512, 3, 3)),
    "channels last": (TimmSpec("timm/swin_tiny_patch4_window7_224"), (3, 64, 64), (768, 2, 2)),
    "tokens": (TimmSpec("timm/vit_tiny_patch16_224"), (3, 64, 64), (192, 4, 4)),
}


def saved(folder, spec, shape):
    """A backbone on disk whose batch-norm statistics are not those it was born with."""
    torch.manual_seed(0)
    network = spec.build(shape)
    network.train()(torch.randn(4, *shape))
    channels = [0.4] * shape[0], [0.3] * shape[0]
    save_encoder(folder, network, spec, shape=shape, mean=channels[0], std=channels[1])
    return load_encoder(folder)


def drawn(shape, count=3, sides=None):
    torch.manual_seed(1)
    return torch.randint(0, 256, (count, shape[0], *(sides or shape[1:])), dtype=torch.uint8)


@pytest.mark.parametrize("name", POOLED)
@torch.no_grad()
def test_maps_have_places_and_their_mean_is_what_is_pooled(name, tmp_path):
    spec, shape, expected = POOLED[name]
    encoder = saved(tmp_path, spec, shape)
    images = drawn(shape)
    maps = encoder.dense(images)
    assert maps.shape == (3, *expected)
    if name == "tokens":  # whose features are the class token
        rows = encoder.backbone.forward_features((images / 255 - 0.4) / 0.3)[:, 1:]
        torch.testing.assert_close(maps[:, :, 1, 2], rows[:, 1 * 4 + 2])
    else:
        torch.testing.assert_close(maps.mean(dim=(2, 3)), encoder(images), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_place_is_where_it_lies_in_the_image(tmp_path):
    encoder = saved(tmp_path, SmallResNetSpec(width=4), (1, 64, 64))
    plain = torch.full((1, 1, 64, 64), 100, dtype=torch.uint8)
    marked = plain.clone()
    marked[..., 52:60, 4:12] = 255  # below, on the left
    changed = (encoder.dense(marked) - encoder.dense(plain)).abs().sum(dim=1)[0]
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    centre = [float((changed * each).sum() / changed.sum()) for each in (rows, columns)]
    assert centre[0] > 4.5
    assert centre[1] < 2.5


@torch.no_grad()
def test_the_alexnet_has_the_map_of_each_convolution_as_its_layers_leave_it(tmp_path):
    shape = (3, 64, 64)
    encoder = saved(tmp_path, SmallAlexNetSpec(width=4), shape)
    images = drawn(shape)
    sides = [encoder.dense(images, stage).shape[1:] for stage in range(-5, 0)]
    assert sides == [(4, 31, 31), (8, 15, 15), (16, 15, 15), (16, 15, 15), (8, 7, 7)]
    flat = encoder.backbone.convolutions((images / 255 - 0.4) / 0.3)
    torch.testing.assert_close(encoder.dense(images).flatten(1), flat)


@pytest.mark.parametrize(
    ("spec", "sides"),
    [
        (SmallResNetSpec(width=4), [(4, 32), (8, 16), (16, 8)]),
        (CIFARResNet20Spec(width=4), [(4, 64), (8, 32), (16, 16)]),
        (TimmSpec("timm/resnet18"), [(64, 32), (64, 16), (128, 8), (256, 4), (512, 2)]),
        (TimmSpec("timm/vit_tiny_patch16_224"), [(192, 4)] * 12),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
@torch.no_grad()
def test_earlier_stages_are_finer(spec, sides, tmp_path):
    shape = (3, 64, 64)
    encoder = saved(tmp_path, spec, shape)
    images = drawn(shape, count=1)
    found = [tuple(encoder.dense(images, -place).shape[1:]) for place in range(len(sides), 0, -1)]
    assert found == [(channels, side, side) for channels, side in sides]
    with pytest.raises(NearfarError, match=rf"has {len(sides)} stages: .*, not -{len(sides) + 1}"):
        encoder.dense(images, -len(sides) - 1)


@torch.no_grad()
def test_other_sizes_are_squashed_and_types_kept_as_features_have_them(tmp_path):
    shape = (3, 32, 32)
    encoder = saved(tmp_path, SmallResNetSpec(width=4), shape)
    images = drawn(shape, sides=(50, 21))
    assert encoder.dense(images[:1]).shape == (1, 16, 4, 4)
    torch.testing.assert_close(encoder.dense(images).mean(dim=(2, 3)), encoder(images))
    half = encoder.bfloat16()
    assert half.dense(images).dtype == torch.bfloat16
    with pytest.raises(NearfarError, match="takes images as uint8, 0 to 255, not float32"):
        encoder.dense(images.float())
    with pytest.raises(NearfarError, match="images of 3 channels, 32×32, not images of 1 channel"):
        encoder.dense(images[:, :1])


@pytest.mark.parametrize(
    ("spec", "shape", "told"),
    [
        (PatchGRUSpec(width=4), (1, 16, 16), "PatchGRU has no features by place: it gives one"),
        (SeriesResNetSpec(width=4), (2, 40), "are of images, and this encoder takes series"),
        (MLPSpec(width=4), (5,), "are of images, and this encoder takes vectors"),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_networks_without_places_say_so(spec, shape, told, tmp_path):
    encoder = saved(tmp_path, spec, shape)
    examples = torch.zeros(2, *shape, dtype=torch.uint8)
    with pytest.raises(NearfarError, match=told):
        encoder.dense(examples)


def test_an_embedding_has_no_places(tmp_path):
    spec, head = SmallResNetSpec(width=4), LinearHeadSpec(dim=3)
    encoder = saved(tmp_path, spec, (1, 8, 8)).with_head((head, head.build(16)))
    with pytest.raises(NearfarError, match="an embedding has no places"):
        encoder.dense(drawn((1, 8, 8)))


def test_what_is_no_map_is_refused_by_its_shape():
    class Odd(torch.nn.Module):
        def forward_features(self, images):
            return images.new_zeros(len(images), 7, 5)

    with pytest.raises(NearfarError, match=r"Odd gives no features by place .*\(2, 7, 5\)"):
        feature_maps(Odd(), torch.zeros(2, 3, 8, 8))
    with pytest.raises(NearfarError, match="Odd gives maps of its last stage alone"):
        feature_maps(Odd(), torch.zeros(2, 3, 8, 8), -2)
