"""SimCLR: the loss is NT-Xent of projected features, and a step on it learns."""

import math

import pytest
import torch

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import SettingError
from nearfar.methods.method import Method
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.simclr import SimCLR
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.objectives import alignment, nt_xent, uniformity


def simclr(temperature=0.5):
    encoder = SmallResNetSpec(width=8).build((1, 8, 8))
    objective = NTXentSpec(temperature=temperature)
    return SimCLR(SimCLRSpec(objective=objective, projection_hidden=16, projection_dim=4), encoder)


def two_views(batch=12):
    images = torch.randn(batch, 1, 8, 8)
    return images + 0.1 * torch.randn_like(images), images + 0.1 * torch.randn_like(images)


def test_it_is_a_method():
    assert isinstance(simclr(), Method)


def test_the_loss_is_nt_xent_of_both_views_projected_together():
    method, views = simclr(temperature=0.3), two_views()
    embeddings = method.projection(method.encoder(torch.cat(views)))
    expected = nt_xent(embeddings[:12], embeddings[12:], temperature=0.3)
    torch.testing.assert_close(method(views), expected)


def test_without_a_hidden_layer_the_head_is_linear():
    encoder = SmallResNetSpec(width=8).build((1, 8, 8))
    method = SimCLR(SimCLRSpec(projection_hidden=None, projection_dim=4), encoder)
    features = torch.randn(3, 32)
    expected = features @ method.projection.weight.T + method.projection.bias
    torch.testing.assert_close(method.projection(features), expected)


def test_scalars_are_of_the_last_call():
    method = simclr()
    assert method.scalars == {}
    method(two_views())
    views = two_views()
    method(views)
    with torch.no_grad():
        first, second = method.projection(method.encoder(torch.cat(views))).chunk(2)
    scalars = method.scalars
    assert scalars["alignment"] == pytest.approx(float(alignment(first, second)), abs=1e-5)
    assert scalars["uniformity"] == pytest.approx(
        float((uniformity(first) + uniformity(second)) / 2), abs=1e-5
    )
    nearest = 0
    rows = torch.cat((first, second)).double()
    for i, row in enumerate(rows):
        cosines = [float(torch.cosine_similarity(row, other, dim=0)) for other in rows]
        cosines[i] = -math.inf
        nearest += cosines.index(max(cosines)) == (i + 12) % 24
    assert scalars["nearest_is_positive"] == pytest.approx(nearest / 24)


def test_nearest_is_positive_when_views_coincide():
    method = simclr()
    view = torch.randn(12, 1, 8, 8)
    method((view, view.clone()))
    assert method.scalars["nearest_is_positive"] == 1
    assert method.scalars["alignment"] == pytest.approx(0, abs=1e-6)


def test_training_steps_lower_the_loss_and_move_every_parameter():
    method, views = simclr(), two_views()
    before = {name: value.clone() for name, value in method.named_parameters()}
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    losses = []
    for step in range(20):
        loss = method(views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step((step + 1) / 20)
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    assert all(not torch.equal(before[name], value) for name, value in method.named_parameters())


def test_the_state_holds_everything():
    method, views = simclr(), two_views()
    for _ in range(3):
        method(views)
    other = simclr()
    other.load_state_dict(method.state_dict())
    assert torch.equal(method.eval()(views), other.eval()(views))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objective": {"name": "nt_xent", "temperature": 0.0}}, "temperature is 0.0: it must be"),
        ({"objective": {"name": "nt_xent", "temperature": math.nan}}, "must be a finite number"),
        ({"projection_dim": 0}, "method.projection_dim is 0: it must be 1 to 1,048,576"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        SimCLRSpec(**settings)
