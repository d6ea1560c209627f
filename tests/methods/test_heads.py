"""The head of a method as a setting, and what of a method's embedding can be judged."""

from dataclasses import replace

import pytest
import torch
from cases.methods import default, sized
from torch import nn

from nearfar.errors import SettingError
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.cpc_spec import CPCSpec
from nearfar.methods.labelled_specs import CrossEntropySpec, PaCoSpec, SupConSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec
from nearfar.recipes.names import recipe_named
from nearfar.testing import MethodCase
from nearfar.testing.methods import takes_steps

WITH_HEAD = (SimCLRSpec(), MoCoSpec(), BYOLSpec(), SupConSpec(), PaCoSpec())


@pytest.mark.parametrize("head", ["identity", "linear"])
@pytest.mark.parametrize("spec", WITH_HEAD, ids=lambda each: each.name)
def test_every_method_with_a_head_trains_with_another(spec, head):
    sizes = {"projection_dim": 4, "prediction_hidden": 8, "queue_size": 11}
    case = MethodCase(spec.name, replace(sized(spec, sizes), head=head))
    takes_steps(case, "images")
    built = case.seeded().embedding_head
    assert isinstance(built, {"identity": nn.Identity, "linear": nn.Linear}[head])


@pytest.mark.parametrize(
    ("head", "layers"),
    [
        ("mlp", [nn.Linear, nn.ReLU, nn.Linear]),
        ("batch-norm", [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]),
        ("three-layer", [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]),
    ],
)
def test_pacos_heads(head, layers):
    built = PaCoSpec(head=head, projection_hidden=8, projection_dim=4).projection.build(6)
    assert [type(each) for each in built] == layers
    assert (built[0].bias is None) == (head == "batch-norm")


def test_with_an_identity_head_the_loss_is_of_the_features():
    with_identity = MethodCase("simclr", SimCLRSpec(head="identity")).seeded()
    views = tuple(torch.randn(6, 1, 8, 8) for _ in range(2))
    features = with_identity.encoder(torch.cat(views)).chunk(2)
    assert torch.equal(with_identity(views), with_identity.objective(features))


@pytest.mark.parametrize("name", MethodSpec.known())
def test_a_method_has_a_head_or_says_why_not(name):
    spec = sized(default(MethodSpec.known()[name]))
    modality = "images"
    method = MethodCase(name, spec).seeded(modality)
    assert (spec.projection is None) == (method.embedding_head is None)
    if spec.projection is not None:
        spec.require_head("evaluation.embeddings is True")
        features = torch.randn(3, method.encoder.num_features)
        head = method.head_spec or spec.projection
        width = head.width(method.encoder.num_features)
        assert method.embedding_head(features).shape == (3, width)
        return
    with pytest.raises(SettingError, match=rf"^asked: {spec.title} has no head, it") as caught:
        spec.require_head("asked")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (CrossEntropySpec(), "cross-entropy has no head, its classifier reads the features"),
        (CPCSpec(), "CPC has no head, it compares vectors of steps, which are the encoder's own"),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_embeddings_of_a_method_without_are_refused_before_anything(method, said):
    recipe = recipe_named("cpc-digits" if method.name == "cpc" else "simclr-digits")
    with pytest.raises(SettingError, match=f"evaluation.embeddings is True: {said}"):
        replace(recipe, method=method, evaluation=EvaluationSpec.by(embeddings=True))


def test_none_as_hidden_width_is_a_linear_head():
    assert SimCLRSpec(projection_hidden=None).projection == SimCLRSpec(head="linear").projection


@pytest.mark.parametrize("head", ["identity", "linear"])
def test_moco_refuses_a_hidden_width_where_there_is_no_hidden_layer(head):
    with pytest.raises(SettingError, match=f"the {head} head has no hidden layer"):
        MoCoSpec(head=head, projection_hidden=8)
