"""CLIP with queues is the slow algorithm, step by step, and refuses what has no meaning."""

import copy
import math

import pytest
import torch
from tests.methods.test_clip_method import COUNT, batch, towers

from nearfar.errors import SettingError
from nearfar.methods.clip import CLIP
from nearfar.methods.clip_queue import MOMENTUM, QueuedCLIP
from nearfar.methods.clip_spec import ClipObjectiveSpec, CLIPSpec, SigmoidObjectiveSpec
from nearfar.objectives import clip
from nearfar.objectives.info_nce import among_keys_and_queue
from nearfar.objectives.precision import unit_rows

SIZE = 10  # no multiple of a batch


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


def by_hand(method, views, queues):
    """The loss pair by pair, and the keys of the step."""
    first, second, first_keys, second_keys = map(unit, method.embed(views))
    scale = method.log_scale.exp()
    loss = 0
    for queries, keys, queue in (
        (first, second_keys, queues[1]),
        (second, first_keys, queues[0]),
    ):
        for i in range(len(queries)):
            scores = [scale * (queries[i] * key).sum() for key in [*keys, *queue]]
            loss = loss - scores[i] + sum(score.exp() for score in scores).log()
    return loss / 2 / len(first), (first_keys, second_keys)


def test_steps_are_those_of_the_slow_algorithm():
    method = towers(queue_size=SIZE, momentum=0.9)
    assert isinstance(method, QueuedCLIP)
    trained = [each for each in method.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(trained, 0.3)
    queues, slow = ([], []), copy.deepcopy(method.second_encoder.state_dict())
    for step in range(4):
        views = tuple(view.roll(step, 0)[: COUNT - step % 2] for view in batch())
        expected, keys = by_hand(method, views, queues)
        wanted = torch.autograd.grad(expected, trained)
        loss = method(views)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
        optimizer.zero_grad()
        loss.backward()
        for each, gradient in zip(trained, wanted, strict=True):
            torch.testing.assert_close(each.grad, gradient, rtol=1e-9, atol=1e-12)
        optimizer.step()
        method.after_step(0.0)
        for queue, new in zip(queues, keys, strict=True):
            queue.extend(new)
            del queue[:-SIZE]
        fast = method.second_encoder.state_dict()
        slow = {name: 0.9 * value + 0.1 * fast[name] for name, value in slow.items()}
        held = method.second_momentum_encoder.state_dict()
        for name, value in held.items():
            torch.testing.assert_close(value, slow[name], rtol=1e-10, atol=1e-12)
        for name, queue in zip(("first", "second"), queues, strict=True):
            rows = method.queue.rows(name)
            assert {tuple(row.tolist()) for row in rows} == {tuple(row.tolist()) for row in queue}
    assert method.scalars["queue_filled"] == 1.0


def test_slow_encoders_take_no_gradient_and_the_first_step_has_the_batch_alone():
    method = towers(queue_size=SIZE)
    assert method.momentum == MOMENTUM
    method(batch()).backward()
    frozen = {name for name, each in method.named_parameters() if each.grad is None}
    assert frozen == {name for name, _ in method.named_parameters() if "momentum" in name}
    # At the start slow and fast encoders are one: the value is that of CLIP.
    first, second, *_ = method.embed(batch())
    expected = clip(first, second, scale=method.log_scale.exp())
    assert method(batch()).item() == pytest.approx(expected.item(), rel=1e-12)
    assert type(towers()) is CLIP
    assert towers(queue_size=SIZE).scalars == {}


def test_gradients_are_those_of_differences():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(n, 3, generator=generator).double() for n in (4, 4, 5)]
    queries, scale = rows[0].requires_grad_(), torch.tensor(3.0).double().requires_grad_()
    keys, queued = map(unit_rows, rows[1:])

    def loss(queries, scale):
        return among_keys_and_queue(queries, keys, queued, scale=scale)

    assert torch.autograd.gradcheck(loss, (queries, scale))
    assert torch.autograd.gradgradcheck(loss, (queries, scale))


def test_equal_rows_are_guessed_among_batch_and_queue():
    rows = torch.ones(4, 3)
    found = among_keys_and_queue(rows, unit_rows(rows), unit_rows(torch.ones(6, 3)), scale=5.0)
    assert found.item() == pytest.approx(math.log(10), rel=1e-6)


def test_what_has_no_meaning_is_refused():
    with pytest.raises(SettingError, match=r"method\.queue_size is 8: sigmoid asks of the pairs"):
        CLIPSpec(queue_size=8, objective=SigmoidObjectiveSpec())
    with pytest.raises(SettingError, match=r"method\.momentum is 0\.9: it is of the slow"):
        CLIPSpec(momentum=0.9)
    with pytest.raises(SettingError, match=r"method\.queue_size is -1: it must be 0 or more"):
        CLIPSpec(queue_size=-1)
    assert CLIPSpec(queue_size=8, objective=ClipObjectiveSpec()).chance_loss(4) is None
