"""CLIP against its equations, its heads and scale, and what it refuses."""

import math

import pytest
import torch
from torch import nn

from nearfar.encoders.freezing import freeze, training_mode
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec, TextTransformerSpec
from nearfar.errors import SettingError
from nearfar.methods.clip_spec import ClipObjectiveSpec, CLIPSpec, SigmoidObjectiveSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.spec import as_spec, to_json
from nearfar.text_bytes import encoded
from nearfar.training.generators import OwnDraws
from nearfar.training.gradient_caching import cached_gradients
from nearfar.views.specs import SimCSEViewsSpec, TextViewsSpec

COUNT = 6


def towers(**settings):
    """CLIP over images of 8 px and texts, in float64; images have no batch-norm to couple rows."""
    with OwnDraws(3):
        texts = TextTransformerSpec(width=16, depth=1, heads=2, dropout=0.0).build((12,))
        images = _Flat()
        spec = CLIPSpec(**{"projection_dim": 5, "projection_hidden": 8} | settings)
        return spec.build(images, second_encoder=texts).double()


class _Flat(nn.Module):
    num_features = 7

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 7)

    def forward(self, images):
        return self.layer(images.flatten(1)).tanh()


def batch(count=COUNT):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 1, 8, 8, generator=generator).double()
    texts, _ = encoded([f"text of {number}" for number in range(count)], 12)
    return images, texts


def by_hand(method, views):
    """The loss pair by pair, in Python's own numbers."""
    first, second = method.embed(views)
    first, second = (rows / rows.norm(dim=1, keepdim=True) for rows in (first, second))
    scale, count = method.log_scale.exp(), len(first)
    scores = [[scale * (first[i] * second[j]).sum() for j in range(count)] for i in range(count)]
    if method.bias is not None:
        signs = [[1 if i == j else -1 for j in range(count)] for i in range(count)]
        return (
            -sum(
                nn.functional.logsigmoid(signs[i][j] * (scores[i][j] + method.bias))
                for i in range(count)
                for j in range(count)
            )
            / count
        )
    loss = 0
    for i in range(count):
        rows = sum(scores[i][j].exp() for j in range(count))
        columns = sum(scores[j][i].exp() for j in range(count))
        loss = loss + (rows.log() - scores[i][i]) / 2 + (columns.log() - scores[i][i]) / 2
    return loss / count


@pytest.mark.parametrize("objective", [ClipObjectiveSpec(), SigmoidObjectiveSpec()])
def test_value_and_gradients_are_those_of_the_equation(objective):
    method, views = towers(objective=objective), batch()
    expected = by_hand(method, views)
    trained = [each for each in method.parameters() if each.requires_grad]
    wanted = torch.autograd.grad(expected, trained)
    loss = method(views)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for ours, theirs in zip(torch.autograd.grad(loss, trained), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("objective", ["clip", "sigmoid"])
def test_parts_of_a_batch_give_the_gradients_of_the_whole(objective):
    gradients = []
    for size in (COUNT, 2):
        method = towers(objective=as_spec(CLIPSpec, {"objective": objective}).objective)
        loss = cached_gradients(method, batch(), None, size)
        gradients.append([loss, *(each.grad for each in method.parameters())])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-10, atol=1e-12)


def test_the_scale_is_learnt_and_kept_below_its_largest():
    method = towers()
    assert method.log_scale.exp().item() == pytest.approx(1 / 0.07)
    method(batch()).backward()
    assert method.log_scale.grad is not None
    with torch.no_grad():
        method.log_scale.fill_(7.0)
    method.after_step(0.0)
    assert method.log_scale.exp().item() == pytest.approx(100)
    # From there it can come back: the gradient is that of the scale itself.
    method.zero_grad()
    method(batch()).backward()
    assert method.log_scale.grad.abs() > 0
    sigmoid = towers(objective=SigmoidObjectiveSpec())
    with torch.no_grad():
        sigmoid.log_scale.fill_(7.0)
    sigmoid.after_step(0.0)
    assert sigmoid.log_scale.item() == 7.0
    assert sigmoid.bias.item() == -10


def test_a_scale_that_is_not_learnt_stays():
    for objective in (ClipObjectiveSpec(learned=False), SigmoidObjectiveSpec(learned=False)):
        method = towers(objective=objective)
        method(batch()).backward()
        assert method.log_scale.grad is None
        assert method.bias is None or method.bias.grad is None


def test_at_equal_embeddings_the_loss_is_that_of_guessing():
    method = towers()
    with torch.no_grad():
        for parameter in (*method.projection.parameters(), *method.second_projection.parameters()):
            parameter.fill_(0.5)
    images, texts = (view[:1].expand(COUNT, *view.shape[1:]) for view in batch())
    assert float(method((images, texts))) == pytest.approx(CLIPSpec().chance_loss(COUNT))
    assert CLIPSpec().chance_loss(COUNT) == pytest.approx(math.log(COUNT))
    assert CLIPSpec(objective=SigmoidObjectiveSpec()).chance_loss(COUNT) is None


def test_what_is_logged_of_pairs():
    method = towers()
    assert method.scalars == {}
    method(batch())
    found = method.scalars
    assert found["mutual_information_ceiling"] == pytest.approx(math.log(COUNT))
    assert found["mutual_information_bound"] < found["mutual_information_ceiling"]
    assert found["scale"] == pytest.approx(1 / 0.07)
    with torch.no_grad():
        first, second = method.embed(batch())
        first, second = (rows / rows.norm(dim=1, keepdim=True) for rows in (first, second))
        cosines = first @ second.T
    gap = float((first.mean(dim=0) - second.mean(dim=0)).norm())
    assert found["modality_gap"] == pytest.approx(gap)
    own = torch.arange(COUNT)
    right = [(cosines.argmax(dim=each) == own).double().mean() for each in (0, 1)]
    assert found["nearest_is_positive"] == pytest.approx(float(sum(right)) / 2)
    # The bound and the loss of clip speak of the same similarities in one direction each.
    first_to_second = nn.functional.cross_entropy(cosines / 0.07, own)
    bound = math.log(COUNT) - float(first_to_second)
    assert found["mutual_information_bound"] == pytest.approx(bound, rel=1e-5)


def test_heads_make_one_space():
    def widths(**settings):
        method = towers(**settings)
        return [each.shape[1] for each in method.embed(batch())]

    assert widths() == [5, 5]
    assert widths(head="mlp", second_head="mlp") == [5, 5]
    assert widths(head="identity") == [7, 7]
    assert widths(second_head="identity") == [16, 16]
    with pytest.raises(SettingError, match="the encoders give 7 and 16 features"):
        widths(head="identity", second_head="identity")


def test_a_locked_first_encoder_stays_as_it_is_its_batch_norm_too():
    with OwnDraws(0):
        images = SmallResNetSpec(width=4).build((1, 8, 8))
        texts = TextBagSpec(width=8, buckets=50).build((12,))
    freeze(images)
    method = CLIPSpec(projection_dim=4, head="identity").build(images, second_encoder=texts)
    before = {name: value.clone() for name, value in method.encoder.state_dict().items()}
    optimizer = torch.optim.SGD([each for each in method.parameters() if each.requires_grad], 1.0)
    views = batch()[0].float(), batch()[1]
    losses = []
    for _ in range(5):
        training_mode(method)
        loss = method(views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    for name, value in method.encoder.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_copy_of_the_first_encoder_stands_in_for_a_second():
    with OwnDraws(0):
        method = CLIPSpec(projection_dim=4).build(_Flat())
    assert method.second_encoder is not method.encoder
    assert torch.equal(method.second_encoder.layer.weight, method.encoder.layer.weight)


def test_its_settings_make_the_same_again_and_impossible_ones_are_refused():
    spec = CLIPSpec(
        objective=SigmoidObjectiveSpec(bias=-5.0),
        second_encoder=TextBagSpec(width=8),
        second_views=TextViewsSpec(count=1),
    )
    assert as_spec(CLIPSpec, to_json(spec)) == spec
    with pytest.raises(SettingError, match=r"method\.second_views\.count is 2"):
        CLIPSpec(second_views=SimCSEViewsSpec())
    with pytest.raises(SettingError, match=r"least_temperature 0\.5: begin at or above it"):
        CLIPSpec(objective=ClipObjectiveSpec(least_temperature=0.5))
    with pytest.raises(SettingError, match=r"method\.objective\.bias is 5: clip has no"):
        as_spec(CLIPSpec, {"objective": {"name": "clip", "bias": 5}})
    with pytest.raises(SettingError, match=r"views\.count is 2"):
        CLIPSpec().require_views(2)


def test_kinds_that_do_not_fit_are_refused():
    CLIPSpec().require_kinds("texts", "pairs")
    with pytest.raises(SettingError, match="CLIP learns from pairs of two kinds, and digits gives"):
        CLIPSpec().require_kinds(None, "digits")
    with pytest.raises(
        SettingError,
        match=r"method\.second_encoder text-transformer is for texts, and pairs pairs its examples "
        "with series: choose series-resnet",
    ):
        CLIPSpec().require_kinds("series", "pairs")
    with pytest.raises(SettingError, match="pairs its examples with texts, and SimCLR learns from"):
        SimCLRSpec().require_kinds("texts", "captioned-folder")
