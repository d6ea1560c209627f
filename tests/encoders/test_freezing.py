"""Stages of encoders, and what it means that some of them are frozen."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.freezing import training_mode
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec
from nearfar.encoders.stages import layers, stages
from nearfar.errors import SettingError
from nearfar.methods.method_spec import MethodSpec
from nearfar.spec import as_spec
from nearfar.testing.resuming import CLASSES, SHORT, resumes_to_the_same_bits

FROM_THE_EXAMPLES_UP = {
    "small-resnet": ((3, 32, 32), 4, 7),
    "cifar-resnet20": ((3, 32, 32), 4, 10),
    "small-alexnet": ((3, 64, 64), 7, 7),
    "patch-gru": ((3, 32, 32), 4, 4),
    "series-resnet": ((2, 100), 4, 7),
    "series-gru": ((2, 100), 2, 2),
    "mlp": ((5,), 2, 2),
    "timm/resnet18": ((3, 32, 32), 5, 9),
    "timm/vit_tiny_patch16_224": ((3, 32, 32), 13, 13),
}
"""Shape of an example, stages and layers."""
HEADS = {"projection_hidden": 8, "projection_dim": 4}
MOMENTUM = {
    "moco": {"queue_size": 16, "batch_norm_splits": 2, **HEADS},
    "byol": {"prediction_hidden": 8, **HEADS},
    "paco": {"queue_size": 16, **HEADS},
    "supcon-queue": {"queue_size": 16, **HEADS},
}
FOLLOWER = dict.fromkeys(MOMENTUM, "momentum_encoder") | {"byol": "target_encoder"}


def of_stages(state: dict, prefix: str, names: tuple[str, ...] = ("stem", "stages.0")) -> dict:
    """What the first stages of a SmallResNet hold, batch-norm's statistics too."""
    return {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.removeprefix(prefix).startswith(names) and name.startswith(prefix)
    }


def encoder_with(adapt: AdaptSpec) -> nn.Module:
    torch.manual_seed(0)
    encoder = SmallResNetSpec(width=4).build((1, 8, 8))
    adapt.apply(encoder)
    return encoder


@pytest.mark.parametrize("name", FROM_THE_EXAMPLES_UP)
def test_stages_and_layers_hold_every_parameter_once_from_the_examples_up(name):
    shape, stage_count, layer_count = FROM_THE_EXAMPLES_UP[name]
    encoder = as_spec(EncoderSpec, name).build(shape)
    names = [each for each, _ in encoder.named_parameters()]
    for groups, count in ((stages(encoder), stage_count), (layers(encoder), layer_count)):
        assert len(groups) == count
        assert sorted(each for group in groups for each in group) == sorted(names)
    first, last = stages(encoder)[0], stages(encoder)[-1]
    assert names[0] in first
    assert names[-1] in last


def test_an_encoder_without_stages_can_only_be_frozen_whole():
    plain = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(SettingError, match="Sequential does not tell its stages"):
        AdaptSpec(freeze=1).apply(plain)
    AdaptSpec(freeze="backbone").apply(plain)
    assert not any(each.requires_grad for each in plain.parameters())


@pytest.mark.parametrize(
    ("adapt", "said"),
    [
        ({"freeze": 4}, "this encoder has 4 stages: freeze fewer, or backbone"),
        ({"freeze": 0}, "adapt.freeze"),
        ({"freeze": "head"}, "adapt.freeze"),
    ],
)
def test_what_cannot_be_frozen_is_refused(adapt, said):
    with pytest.raises(SettingError, match=said):
        encoder_with(AdaptSpec(**adapt))
    with pytest.raises(SettingError, match="no batch-norm"):
        AdaptSpec(freeze_batch_norm=True).apply(nn.Linear(2, 2))


def test_training_mode_is_that_of_all_that_is_not_frozen():
    encoder = encoder_with(AdaptSpec(freeze=2))
    assert not any(layer.training for layer in encoder.stem.modules())
    training_mode(encoder.eval())
    assert not any(layer.training for layer in encoder.stem.modules())
    assert not any(layer.training for layer in encoder.stages[0].modules())
    assert all(layer.training for layer in encoder.stages[1].modules())
    assert encoder.training


@pytest.mark.parametrize("name", MOMENTUM)
def test_a_frozen_stage_and_its_follower_stay_to_the_bit_while_the_rest_is_trained(name):
    def build():
        encoder = encoder_with(AdaptSpec(freeze=2))
        spec = as_spec(MethodSpec, {"name": name, **MOMENTUM[name]})
        return spec.build(encoder, class_counts=torch.full((CLASSES,), 11))

    state = resumes_to_the_same_bits(build, replace(SHORT, epochs=2))
    before = encoder_with(AdaptSpec()).state_dict()
    frozen = of_stages(before, "")
    assert len(frozen) > 20
    for network in ("encoder", FOLLOWER[name]):
        prefix = f"method.{network}."
        found = of_stages(state, prefix)
        assert found.keys() == frozen.keys()
        assert all(torch.equal(found[each], frozen[each]) for each in frozen)
        trained = of_stages(state, prefix, ("stages.2",))
        assert not any(
            torch.equal(value, before[each])
            for each, value in trained.items()
            if each.endswith("conv1.weight")
        )
    assert not any(each.startswith("optimizer.") and "encoder.stem" in each for each in state)


def test_frozen_batch_norm_keeps_its_statistics_and_learns_its_scales():
    def build():
        encoder = encoder_with(AdaptSpec(freeze_batch_norm=True))
        return as_spec(MethodSpec, {"name": "moco", **MOMENTUM["moco"]}).build(encoder)

    state = resumes_to_the_same_bits(build)
    for network in ("encoder", "momentum_encoder"):
        kept = {n: v for n, v in state.items() if n.startswith(f"method.{network}.")}
        assert all((v == 0).all() for n, v in kept.items() if n.endswith("running_mean"))
        assert all((v == 1).all() for n, v in kept.items() if n.endswith("running_var"))
    assert not torch.equal(state["method.encoder.stem.1.weight"], torch.ones(4))


def test_a_frozen_backbone_takes_no_gradient_and_its_dropout_is_off():
    vit = as_spec(EncoderSpec, "timm/vit_tiny_patch16_224").build((3, 32, 32))
    AdaptSpec(freeze="backbone").apply(vit)
    training_mode(vit)
    assert not any(module.training for module in vit.modules())
    features = vit(torch.randn(2, 3, 32, 32))
    assert not features.requires_grad
    assert not any(isinstance(module, _BatchNorm) for module in vit.modules())
