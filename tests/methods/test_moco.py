"""MoCo's loss, queue and momentum, step by step, are those of the slow algorithm."""

import math
from dataclasses import replace

import pytest
import torch
from tests.training.tiny_run import TINY
from torch import nn

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import SettingError
from nearfar.methods.method import Method
from nearfar.methods.moco import MoCo
from nearfar.methods.unlabelled_specs import MoCoSpec
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import SHORT, resumes_to_the_same_bits
from nearfar.training.averaging import StepAverage
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.ranks import Ranks

SMALL = MoCoSpec(
    head="linear", projection_dim=4, temperature=0.3, queue_size=8, momentum=0.9, symmetric=False
)
BATCHES = (5, 3, 11, 4, 8)  # some larger than the queue, none a divisor of it but the last
EXACT = {"rtol": 1e-10, "atol": 1e-10}


class Rowwise(nn.Module):
    """An encoder without batch-norm: every row depends on its own image alone."""

    num_features = 6

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(10, 6)

    def forward(self, images):
        return torch.tanh(self.layer(images.flatten(1)))


def moco(config: MoCoSpec = SMALL, *, seed: int = 5) -> MoCo:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MoCo(config, Rowwise()).double()


def with_batch_norm(**settings) -> MoCo:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = SmallResNetSpec(width=4).build((1, 8, 8))
        return MoCo(replace(SMALL, projection_dim=4, queue_size=20, **settings), encoder)


def views_of_step(step: int, batch: int, shape: tuple[int, ...] = (10,)):
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(batch, *shape, generator=generator).double()
    noise = torch.randn(2, batch, *shape, generator=generator).double()
    return images + noise[0] / 2, images + noise[1] / 2


def sgd(method: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD([each for each in method.parameters() if each.requires_grad], lr=0.5)


def step_of(method: MoCo, optimizer: torch.optim.Optimizer, views) -> torch.Tensor:
    loss = method(views)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    method.after_step(0.5)
    return loss.detach()


class SlowMoCo:
    """Algorithm 1 of He et al. 2020 in loops: lists of keys, weights as plain tensors."""

    def __init__(self, method: MoCo):
        def weights(*layers):
            return [each.detach().clone() for layer in layers for each in layer.parameters()]

        self.spec = method.spec
        self.weights = weights(method.encoder, method.head)
        self.slow = weights(method.encoder, method.head)
        self.slots: dict[int, torch.Tensor] = {}
        self.place = 0

    def encode(self, weights, image):
        row = torch.tanh(weights[0] @ image + weights[1])
        row = weights[2] @ row + weights[3]
        return row / row.square().sum().sqrt()

    def step(self, views):
        weights = [each.clone().requires_grad_() for each in self.weights]
        ways = [(views[0], views[1])]
        if self.spec.symmetric:
            ways.append((views[1], views[0]))
        loss, entering = torch.zeros(()).double(), []
        for query_view, key_view in ways:
            keys = [self.encode(self.slow, image) for image in key_view]
            for i, image in enumerate(query_view):
                query = self.encode(weights, image)
                negatives = list(self.slots.values()) or keys[:i] + keys[i + 1 :]
                scores = [query @ other / self.spec.temperature for other in [keys[i], *negatives]]
                loss = loss - (scores[0] - sum(s.exp() for s in scores).log()) / len(query_view)
            entering += keys
        gradients = torch.autograd.grad(loss, weights)
        m = self.spec.momentum
        self.weights = [w - 0.5 * g for w, g in zip(self.weights, gradients, strict=True)]
        self.slow = [m * s + (1 - m) * w for s, w in zip(self.slow, self.weights, strict=True)]
        for key in entering:
            self.slots[self.place % self.spec.queue_size] = key
            self.place += 1
        return loss.detach()


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_steps_are_those_of_the_slow_algorithm(symmetric, momentum):
    method = moco(replace(SMALL, symmetric=symmetric, momentum=momentum))
    slow, optimizer = SlowMoCo(method), sgd(method)
    for step, batch in enumerate(BATCHES):
        views = views_of_step(step, batch)
        torch.testing.assert_close(step_of(method, optimizer, views), slow.step(views), **EXACT)
        held = [slow.slots[slot] for slot in range(len(slow.slots))]
        torch.testing.assert_close(method.queue.rows("keys"), torch.stack(held), **EXACT)
        found = [*method.encoder.parameters(), *method.head.parameters()]
        torch.testing.assert_close([each.detach() for each in found], slow.weights, **EXACT)
        found = [*method.momentum_encoder.parameters(), *method.momentum_head.parameters()]
        torch.testing.assert_close([each.detach() for each in found], slow.slow, **EXACT)


def test_with_momentum_0_both_encoders_are_one_and_with_1_the_keys_stay_frozen():
    for momentum in (0.0, 1.0):
        method = moco(replace(SMALL, momentum=momentum, head="mlp"))
        first = {key: value.clone() for key, value in method.state_dict().items()}
        optimizer = sgd(method)
        for step in range(3):
            step_of(method, optimizer, views_of_step(step, 5))
        state = method.state_dict()
        for name in state:
            if name.startswith("momentum_"):
                led_by = state[name.removeprefix("momentum_")]
                assert torch.equal(state[name], first[name] if momentum else led_by)
                assert not torch.equal(state[name], led_by if momentum else first[name])


def test_it_is_a_method_whose_keys_no_optimiser_and_no_gradient_reaches():
    method = moco(replace(SMALL, symmetric=True))
    assert isinstance(method, Method)
    seen = {
        id(each) for group in TINY.optimizer.build(method).param_groups for each in group["params"]
    }
    slow = [*method.momentum_encoder.parameters(), *method.momentum_head.parameters()]
    assert not seen & set(map(id, slow))
    assert len(seen) == len(slow)
    embedded = method.embed(views_of_step(0, 5))
    assert [rows.requires_grad for rows in embedded] == [True, False, True, False]
    method(views_of_step(0, 5)).backward()
    assert all(each.grad is None for each in slow)
    assert all(each.grad is not None for each in method.encoder.parameters())


def test_the_keys_of_a_step_enter_only_after_it():
    method = moco()
    method(views_of_step(0, 5))
    assert len(method.queue) == 0
    method(views_of_step(1, 3))  # a step that was given up, such as one that was not finite
    method.after_step(0.5)
    assert len(method.queue) == 3
    norms = method.queue.rows("keys").norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(3).double())


def test_the_heads_are_those_of_both_versions():
    assert isinstance(moco().head, nn.Linear)
    hidden, _, out = moco(replace(SMALL, head="mlp")).head
    assert (hidden.out_features, out.out_features) == (6, 4)
    hidden, _, _ = moco(replace(SMALL, head="mlp", projection_hidden=9)).head
    assert hidden.out_features == 9


@pytest.mark.parametrize("symmetric", [False, True])
def test_in_parts_the_gradient_is_that_of_the_whole_batch(symmetric):
    config = replace(SMALL, symmetric=symmetric)
    whole, parts = moco(config), moco(config)
    for step, batch in enumerate((5, 11, 7)):
        views = views_of_step(step, batch)
        for method in (whole, parts):
            method.zero_grad()
        expected = whole(views)
        expected.backward()
        found = cached_gradients(parts, views, None, 3)
        torch.testing.assert_close(found, expected.detach(), **EXACT)
        for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, **EXACT)
        for method in (whole, parts):
            method.after_step(0.5)
        torch.testing.assert_close(parts.queue.keys, whole.queue.keys, **EXACT)


COUNTS = (3, 5)


def steps_on_a_rank(rank: int, world: int, symmetric: bool, in_parts: bool) -> dict:
    """Three steps of a rank's own rows; gradients averaged as training does."""
    method = moco(replace(SMALL, symmetric=symmetric, queue_size=11))
    optimizer = sgd(method)
    trained = [each for each in method.parameters() if each.requires_grad]
    average = StepAverage(method, trained, Ranks(rank, world))
    losses = []
    for step in range(3):
        views = tuple(view.split(COUNTS)[rank] for view in views_of_step(step, 8))
        optimizer.zero_grad()
        if in_parts:
            loss = cached_gradients(method, views, None, 2, average.last_pass)
        else:
            (loss,) = average.last_pass(method(views))
            loss.backward()
        losses.append(loss.detach())
        average.finish(losses[-1])
        optimizer.step()
        method.after_step(step / 3)
    return {"losses": losses, "state": method.state_dict(), "scalars": method.scalars}


@pytest.mark.parametrize(("symmetric", "in_parts"), [(False, False), (True, True)])
def test_two_ranks_are_one_process_with_the_global_batch(tmp_path, symmetric, in_parts):
    found = run_on_ranks(2, steps_on_a_rank, tmp_path, symmetric, in_parts)
    whole = moco(replace(SMALL, symmetric=symmetric, queue_size=11))
    optimizer = sgd(whole)
    losses = [step_of(whole, optimizer, views_of_step(step, 8)) for step in range(3)]
    for each in found:
        torch.testing.assert_close(each["losses"], losses, **EXACT)
        torch.testing.assert_close(each["state"], dict(whole.state_dict()), **EXACT)
        assert each["scalars"] == pytest.approx(whole.scalars, abs=1e-10)
    for name, value in found[0]["state"].items():
        assert torch.equal(value, found[1]["state"][name]), name


def batch_norm_on_a_rank(rank: int, world: int) -> tuple:
    """Two steps with batch-norm, in parts, whose keys pass shuffled over the ranks."""
    method = with_batch_norm()
    torch.manual_seed(50 + rank)
    companies = []
    method.momentum_encoder.register_forward_pre_hook(
        lambda _, inputs: companies.append(inputs[0][:, 0, 0, 0].tolist())
    )
    own = []
    for step in range(2):
        views = tuple(
            view.float().split(6)[rank] for view in views_of_step(step, 12, shape=(1, 8, 8))
        )
        own.append(views[1][:, 0, 0, 0].tolist())
        cached_gradients(method, views, None, 3)
        trained = [each for each in method.parameters() if each.requires_grad]
        StepAverage(method, trained, Ranks(rank, world)).finish(torch.zeros(()))
        method.after_step(0.5)
    return own, companies, method.state_dict()


def test_with_batch_norm_keys_pass_in_the_company_of_other_ranks(tmp_path):
    first, second = run_on_ranks(2, batch_norm_on_a_rank, tmp_path)
    for name, value in first[2].items():
        assert torch.equal(value, second[2][name]), name
    assert first[2]["queue.entered"] == 24
    for own, companies, _ in (first, second):
        # For each step: both parts in the first pass, the first of them again in the second.
        assert len(companies) == 2 * 3
        assert companies[0] == companies[2]
        assert companies[3] == companies[5]
        mixed = [set(companies[0] + companies[1]) - set(own[0])]
        mixed += [set(companies[3] + companies[4]) - set(own[1])]
        assert any(mixed)


def test_with_splits_keys_pass_in_random_order_and_else_in_their_own():
    images = views_of_step(0, 8, shape=(1, 8, 8))[1].float()
    for splits in (1, 2):
        method = with_batch_norm(batch_norm_splits=splits)
        companies = []
        method.momentum_encoder.register_forward_pre_hook(
            lambda _, inputs, seen=companies: seen.append(inputs[0][:, 0, 0, 0].tolist())
        )
        _, keys = method.embed((images, images))
        queries, _ = method.embed((images, images))
        own = images[:, 0, 0, 0].tolist()
        assert sorted(companies[0]) == sorted(own)
        assert (companies[0] == own) == (splits == 1)
        assert torch.allclose(queries, keys, atol=1e-5) == (splits == 1)
    drawn = torch.get_rng_state()
    rowwise = moco()
    rowwise.embed(views_of_step(0, 5))
    method.eval()
    method.embed((images, images))
    assert torch.equal(torch.get_rng_state(), drawn)


def test_scalars_are_of_the_last_call():
    method = moco()
    assert method.scalars == {}
    method(views_of_step(3, 6))
    method.after_step(0.5)
    method(views_of_step(4, 6))
    queries, keys = method._last
    queries, keys = (rows / rows.norm(dim=1, keepdim=True) for rows in (queries, keys))
    scalars = method.scalars
    assert scalars["queue_filled"] == 6 / 8
    assert scalars["alignment"] == pytest.approx(float((queries - keys).square().sum(1).mean()))
    nearest = sum(int((keys @ query).argmax()) == i for i, query in enumerate(queries))
    assert scalars["nearest_is_positive"] == pytest.approx(nearest / 6)
    distances = [
        float((queries[i] - queries[j]).square().sum())
        for i in range(6)
        for j in range(6)
        if i != j
    ]
    mean = sum(math.exp(-2 * each) for each in distances) / len(distances)
    assert scalars["uniformity"] == pytest.approx(math.log(mean))


@pytest.mark.parametrize("micro_batch_size", [None, 4])
def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits(micro_batch_size):
    config = replace(SHORT, micro_batch_size=micro_batch_size)
    state = resumes_to_the_same_bits(
        lambda: with_batch_norm(batch_norm_splits=2, symmetric=True), config
    )
    assert state["method.queue.entered"] == 2 * 4 * 16
    assert "generator.cpu" in state


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "method.temperature is 0.0: it must be 0.0001 to 10,000"),
        ({"queue_size": 0}, "method.queue_size is 0: it must be 1 or more"),
        ({"batch_norm_splits": 0}, "method.batch_norm_splits is 0: it must be 1 or more"),
        ({"momentum": 1.1}, "method.momentum is 1.1: it must be 0 to 1"),
        ({"momentum": math.nan}, "method.momentum is nan: it must be a finite number"),
        ({"projection_hidden": 8}, "method.projection_hidden is 8: the linear head has no hidden"),
        ({"head": "mlp", "projection_hidden": 0}, "method.projection_hidden is 0"),
        ({"batch_norm_splits": 2}, "the encoder has no batch-norm to split"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        moco(replace(SMALL, **settings))


def test_an_unknown_head_is_refused():
    with pytest.raises(SettingError, match=r"method.head 'mpl': did you mean 'mlp'"):
        replace(SMALL, head="mpl")


def test_more_than_two_views_are_refused():
    views = views_of_step(0, 4)
    with pytest.raises(SettingError, match=r"views.count is 3: MoCo compares 2 views"):
        moco()((*views, views[0]))
