"""Which rate and which decay each parameter is trained with."""

import pytest
import torch
from torch import nn

from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec
from nearfar.encoders.stages import layers
from nearfar.errors import SettingError
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.spec import as_spec
from nearfar.testing.resuming import resumes_to_the_same_bits
from nearfar.training.parameter_groups import parameter_groups, set_learning_rate
from nearfar.training.specs import AdamWSpec, OptimizerSpec, SGDSpec, TrainingSpec


def build(encoder: EncoderSpec | None = None, shape=(1, 8, 8)) -> nn.Module:
    torch.manual_seed(0)
    spec = SimCLRSpec(projection_hidden=8, projection_dim=4)
    return spec.build((encoder or SmallResNetSpec(width=4)).build(shape))


def by_name(module: nn.Module, key: str, **settings) -> dict[str, float]:
    names = {parameter: name for name, parameter in module.named_parameters()}
    return {
        names[parameter]: group[key]
        for group in parameter_groups(module, **settings)
        for parameter in group["params"]
    }


def test_without_decay_or_rates_there_are_two_groups_as_ever():
    method = build()
    weights, others = parameter_groups(method, weight_decay=0.1)
    assert [weights["weight_decay"], others["weight_decay"]] == [0.1, 0.0]
    trained = list(method.parameters())
    held = [id(each) for each in (*weights["params"], *others["params"])]
    assert held == [id(p) for p in trained if p.ndim > 1] + [id(p) for p in trained if p.ndim < 2]
    assert weights["rate_factor"] == others["rate_factor"] == 1


@pytest.mark.parametrize(
    ("encoder", "shape"),
    [(SmallResNetSpec(width=4), (1, 8, 8)), ("timm/vit_tiny_patch16_224", (3, 32, 32))],
)
def test_each_layer_has_the_rate_of_the_one_above_it_times_the_decay(encoder, shape):
    method = build(as_spec(EncoderSpec, encoder), shape)
    factors = by_name(method, "rate_factor", layer_decay=0.5, head_rate=3.0)
    assert factors.keys() == dict(method.named_parameters()).keys()
    expected = 1.0
    for layer in reversed(layers(method.encoder)):
        expected *= 0.5
        assert {factors[f"encoder.{name}"] for name in layer} == {expected}
    heads = {value for name, value in factors.items() if not name.startswith("encoder.")}
    assert heads == {3.0}


def test_decay_of_weights_does_not_depend_on_rates():
    method = build()
    plain = by_name(method, "weight_decay", weight_decay=0.1)
    scaled = by_name(method, "weight_decay", weight_decay=0.1, layer_decay=0.7, head_rate=2.0)
    assert plain == scaled


@pytest.mark.parametrize("optimizer", [{"name": "sgd", "momentum": 0.0}, {"name": "lars"}])
def test_a_step_is_as_long_as_its_rate_says(optimizer):
    settings = optimizer | {"learning_rate": 0.5, "weight_decay": 0.0}

    def moved(**rates) -> dict[str, torch.Tensor]:
        method = build()
        before = {name: value.detach().clone() for name, value in method.named_parameters()}
        made = as_spec(OptimizerSpec, settings | rates).build(method)
        for parameter in method.parameters():
            parameter.grad = torch.ones_like(parameter)
        set_learning_rate(made, 0.25)
        made.step()
        return {name: before[name] - value for name, value in method.named_parameters()}

    plain, scaled = moved(), moved(layer_decay=0.5, head_rate=2.0)
    factors = by_name(build(), "rate_factor", layer_decay=0.5, head_rate=2.0)
    for name, step in plain.items():
        torch.testing.assert_close(scaled[name], step * factors[name], rtol=1e-3, atol=1e-6)


def test_a_run_with_rates_of_its_own_goes_on_to_the_same_bits():
    config = TrainingSpec(
        epochs=2,
        batch_size=8,
        device="cpu",
        precision="fp32",
        optimizer=AdamWSpec(layer_decay=0.7, head_rate=4.0),
        clip_norm=0.01,
    )
    resumes_to_the_same_bits(build, config)


def test_an_encoder_without_layers_is_refused_where_they_are_needed():
    method = build()
    method.encoder = nn.Sequential(nn.Linear(3, 4))
    assert SGDSpec().build(method)
    with pytest.raises(SettingError, match="does not tell its stages"):
        SGDSpec(layer_decay=0.5).build(method)
