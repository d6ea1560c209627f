"""Low-rank adapters: the equation, what is trained, resuming, and what is left on disk."""

import pytest
import timm
import torch
from torch import nn

from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.freezing import training_mode
from nearfar.encoders.lora import LowRank, merged
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import MLPSpec, SmallResNetSpec, TimmSpec
from nearfar.errors import SettingError
from nearfar.methods.method_spec import MethodSpec
from nearfar.spec import as_spec
from nearfar.testing.resuming import resumes_to_the_same_bits

VIT = TimmSpec("timm/test_vit")


def vit(adapt: AdaptSpec | None = None, shape=(1, 32, 32)) -> nn.Module:
    torch.manual_seed(0)
    encoder = VIT.build(shape)
    (adapt or AdaptSpec(lora_rank=2, lora_alpha=6)).apply(encoder)
    return encoder


def disturbed(encoder: nn.Module) -> nn.Module:
    """With adapters that change something."""
    torch.manual_seed(1)
    for module in encoder.modules():
        if isinstance(module, LowRank):
            nn.init.normal_(module.b)
    return encoder.eval()


def adapters(encoder: nn.Module) -> list[LowRank]:
    return [module for module in encoder.modules() if isinstance(module, LowRank)]


def test_an_adapted_weight_is_the_equation():
    weight = torch.randn(5, 7)
    adapter = LowRank(weight, rank=2, alpha=6.0)
    assert torch.equal(adapter(weight), weight)
    nn.init.normal_(adapter.b)
    a, b = adapter.a.tolist(), adapter.b.tolist()
    expected = [
        [float(weight[i, j]) + 6.0 / 2 * sum(b[i][k] * a[k][j] for k in range(2)) for j in range(7)]
        for i in range(5)
    ]
    torch.testing.assert_close(adapter(weight), torch.tensor(expected))


def test_an_encoder_begins_as_it_was_and_only_adapters_get_gradients():
    images = torch.randn(2, 1, 32, 32)
    torch.manual_seed(0)
    plain, adapted = VIT.build((1, 32, 32)), vit()
    assert torch.equal(plain.eval()(images), adapted.eval()(images))
    training_mode(adapted)(images).square().sum().backward()
    inside = {id(each) for adapter in adapters(adapted) for each in adapter.parameters()}
    trained = {id(each) for each in adapted.parameters() if each.requires_grad}
    assert trained == inside != set()
    with_gradient = {id(each) for each in adapted.parameters() if each.grad is not None}
    assert with_gradient == inside
    assert all(bool(adapter.b.grad.abs().sum() > 0) for adapter in adapters(adapted))


@pytest.mark.parametrize(
    ("encoder", "shape", "layers"),
    [
        (VIT, (1, 32, 32), "attention"),
        (VIT, (1, 32, 32), "linear"),
        (TimmSpec("timm/beit_base_patch16_224"), (3, 32, 32), "attention"),
        (MLPSpec(), (5,), "linear"),
    ],
)
def test_merged_equals_unmerged_and_has_the_names_that_it_had(encoder, shape, layers):
    if "beit" in encoder.name and shape[1] < 224:
        torch.manual_seed(0)
        built = timm.create_model("beit_base_patch16_224", num_classes=0, img_size=32, depth=1)
    else:
        built = encoder.build(shape)
    names = set(built.state_dict())
    AdaptSpec(lora_rank=2, lora_layers=layers).apply(built)
    before = built.eval()(torch.ones(2, *shape))
    disturbed(built)
    examples = torch.randn(3, *shape)
    together = merged(built)
    assert set(together.state_dict()) == names
    assert adapters(built)
    assert not adapters(together)
    assert not torch.allclose(built(torch.ones(2, *shape)), before)
    torch.testing.assert_close(together(examples), built(examples), rtol=1e-4, atol=1e-5)


def test_a_run_is_measured_with_adapters_before_it_is_built():
    with torch.device("meta"):
        encoder = vit()
    assert adapters(encoder)
    assert all(each.is_meta for each in encoder.parameters())


def test_attention_of_torch_is_adapted_too():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    AdaptSpec(lora_rank=2).apply(layer)
    assert len(adapters(layer)) == 2
    disturbed(layer)
    examples = torch.randn(2, 3, 8)
    torch.testing.assert_close(merged(layer)(examples), layer(examples))


def test_what_is_saved_is_a_plain_timm_model(tmp_path):
    adapted = disturbed(vit())
    together = merged(adapted)
    save_encoder(tmp_path, together, VIT, shape=(1, 32, 32), mean=(0.5,), std=(0.5,))
    images = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    loaded = load_encoder(tmp_path)
    assert torch.equal(loaded(images), together((images.float() / 255 - 0.5) / 0.5))
    assert merged(loaded) is loaded


@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_a_run_with_adapters_goes_on_to_the_same_bits_and_keeps_the_weights(name):
    settings = {"projection_hidden": 8, "projection_dim": 4}

    def build():
        torch.manual_seed(0)
        encoder = timm.create_model("test_vit", num_classes=0, in_chans=1, img_size=8, patch_size=4)
        AdaptSpec(lora_rank=2).apply(encoder)
        return as_spec(MethodSpec, {"name": name, **settings}).build(encoder)

    before = build().state_dict()
    state = resumes_to_the_same_bits(build)
    kept = [key for key in before if "encoder" in key and not key.endswith((".a", ".b"))]
    assert all(torch.equal(state[f"method.{key}"], before[key]) for key in kept)
    moved = [key for key in before if key.startswith("encoder") and key.endswith(".b")]
    assert moved
    assert not any(torch.equal(state[f"method.{key}"], before[key]) for key in moved)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lora_rank": 2}, "a SmallResNet has none: choose adapt.freeze instead"),
        ({"lora_alpha": 4.0}, "give adapt.lora_rank too"),
        ({"lora_rank": 2, "freeze": "backbone"}, "leave it out"),
        ({"lora_rank": 0}, "adapt.lora_rank"),
    ],
)
def test_what_cannot_be_adapted_is_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        AdaptSpec(**settings).apply(SmallResNetSpec(width=4).build((1, 8, 8)))


def test_a_rank_above_a_layers_width_or_the_wrong_layers_are_refused():
    with pytest.raises(SettingError, match="a layer is only 5 wide"):
        AdaptSpec(lora_rank=6, lora_layers="linear").apply(MLPSpec().build((5,)))
    with pytest.raises(SettingError, match=r"choose adapt.lora_layers linear"):
        AdaptSpec(lora_rank=2).apply(MLPSpec().build((5,)))
