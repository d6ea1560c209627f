"""CPC over the tokens of texts: what is behind the end of a text is no step."""

import math

import pytest
import torch
from tests.methods.test_cpc import EXACT, gradients_of

from nearfar.encoders.step_encoders import PartialStepEncoder
from nearfar.encoders.text_specs import TextCausalTransformerSpec, TextGRUSpec
from nearfar.errors import SettingError
from nearfar.methods.cpc import CPC
from nearfar.methods.cpc_spec import CPCSpec
from nearfar.testing import run_on_ranks
from nearfar.text_bytes import encoded
from nearfar.training.averaging import StepAverage
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.ranks import Ranks

TEXTS = ["waves", "a hill", "", "the road by it", "x", "ship", "on a sea"]


def rows_of(texts=TEXTS, length: int = 16) -> torch.Tensor:
    return encoded(texts, length)[0]


GRU = TextGRUSpec(width=3, dropout=0.0)
EITHER = [GRU, TextCausalTransformerSpec(width=4, heads=2, dropout=0.0)]
either_encoder = pytest.mark.parametrize("spec", EITHER, ids=lambda spec: spec.name)


def cpc(steps: int = 3, length: int = 16, spec=GRU) -> CPC:
    with torch.random.fork_rng():
        torch.manual_seed(6)
        encoder = spec.build((length,))
        return CPC(CPCSpec(prediction_steps=steps), encoder).double()


def slow_loss(method: CPC, texts: list[str]) -> torch.Tensor:
    """The definition, each text encoded alone and as long as it is, one prediction at a time."""
    alone = [method.encoder.steps(rows_of([text])) for text in texts]
    vectors = [
        (z[0, : len(text.encode()), 0], c[0, : len(text.encode()), 0])
        for text, (z, c) in zip(texts, alone, strict=True)
    ]
    by_step = []
    for ahead, predictor in enumerate(method.predictors, start=1):
        losses = []
        for z, c in vectors:
            for t in range(len(z) - ahead):
                candidates = [other[t + ahead] for other, _ in vectors if len(other) > t + ahead]
                if len(candidates) < 2:
                    continue
                predicted = predictor.weight @ c[t]
                total = sum((each @ predicted).exp() for each in candidates)
                losses.append(-((z[t + ahead] @ predicted).exp() / total).log())
        by_step.append(sum(losses) / len(losses))
    return sum(by_step) / len(by_step)


@either_encoder
def test_loss_and_gradient_are_those_of_the_definition_over_what_each_text_has(spec):
    found, expected = cpc(spec=spec), cpc(spec=spec)
    loss = found((rows_of(),))
    loss.backward()
    slow = slow_loss(expected, TEXTS)
    slow.backward()
    torch.testing.assert_close(loss, slow, **EXACT)
    torch.testing.assert_close(gradients_of(found), gradients_of(expected), **EXACT)
    scalars = found.scalars
    # Six texts have a first token, five a second: 5, 5, 5, 5, 3… have the next of some step.
    assert 0 < scalars["mutual_information_ceiling"] < math.log(len(TEXTS))
    assert scalars["bound_1"] < scalars["mutual_information_ceiling"]


@either_encoder
def test_room_behind_the_texts_and_a_text_that_goes_on_alone_change_nothing(spec):
    method = cpc(spec=spec)
    expected = method((rows_of(),))
    longer = cpc(length=30, spec=spec)
    longer.load_state_dict(method.state_dict())
    torch.testing.assert_close(longer((rows_of(length=30),)), expected, **EXACT)
    alone = [text + " and on alone" if text.startswith("the") else text for text in TEXTS]
    torch.testing.assert_close(longer((rows_of(alone, 30),)), expected, **EXACT)


def test_of_several_views_each_is_compared_by_itself():
    method, one, other = cpc(), rows_of(), rows_of(TEXTS[::-1])
    both = method((one, other))
    torch.testing.assert_close(both, (method((one,)) + method((other,))) / 2, **EXACT)


def test_texts_too_short_to_predict_anything_of_give_no_loss_and_no_nan():
    method = cpc()
    loss = method((rows_of(["", "a", "b"]),))
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(torch.isfinite(value) for value in map(torch.tensor, method.scalars.values()))
    gradients = gradients_of(method)
    assert all(each is None or not each.any() for each in gradients.values())


@either_encoder
@pytest.mark.parametrize("at", [0, 3, 8])
def test_nothing_of_a_step_depends_on_a_later_token(at, spec):
    encoder = cpc(spec=spec).encoder
    assert isinstance(encoder, PartialStepEncoder)
    text = "a ship on waves"
    z, c = encoder.steps(rows_of([text]))
    other_z, other_c = encoder.steps(rows_of([text[: at + 1] + "#" * 5]))
    for found, other in ((z, other_z), (c, other_c)):
        assert found.shape == (1, 16, 1, spec.width)
        torch.testing.assert_close(found[:, : at + 1], other[:, : at + 1], **EXACT)
        assert not torch.allclose(found[:, at + 1], other[:, at + 1])
    there = encoder.steps_there(rows_of([text, ""]))
    assert there.sum(dim=1).tolist() == [15, 0]


def test_in_parts_the_gradient_is_that_of_the_whole_batch():
    whole, parts, views = cpc(), cpc(), (rows_of(), rows_of(TEXTS[::-1]))
    expected = whole(views)
    expected.backward()
    found = cached_gradients(parts, views, None, 3)
    torch.testing.assert_close(found, expected.detach(), **EXACT)
    torch.testing.assert_close(gradients_of(parts), gradients_of(whole), **EXACT)
    assert parts.scalars == pytest.approx(whole.scalars, abs=1e-6)


def step_on_a_rank(rank: int, world: int) -> dict:
    """One step of a rank's own texts; gradients averaged as training does."""
    method = cpc()
    loss = method((rows_of([TEXTS[:3], TEXTS[3:]][rank]),))
    loss.backward()
    loss = loss.detach()
    StepAverage(method, list(method.parameters()), Ranks(rank, world)).finish(loss)
    return {"loss": loss, "gradients": gradients_of(method), "scalars": method.scalars}


def test_two_ranks_with_texts_of_other_lengths_are_one_process_with_all(tmp_path):
    whole = cpc()
    loss = whole((rows_of(),))
    loss.backward()
    for each in run_on_ranks(2, step_on_a_rank, tmp_path):
        torch.testing.assert_close(each["loss"], loss.detach(), **EXACT)
        torch.testing.assert_close(each["gradients"], gradients_of(whole), **EXACT)
        assert each["scalars"] == pytest.approx(whole.scalars, abs=1e-6)


def test_more_steps_ahead_than_a_text_can_have_are_refused():
    with pytest.raises(SettingError, match=r"prediction_steps is 16: the encoder makes 16 steps"):
        cpc(steps=16)
