"""Embedding in parts leaves what one graph over all parts would leave: gradients and all state."""

import copy
import weakref
from dataclasses import replace

import pytest
import torch
from test_killed import metrics, weights
from tiny_run import TINY, build_method, train_tiny
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from nearfar.errors import NearfarError, SettingError
from nearfar.methods.method import Method
from nearfar.methods.simclr import SimCLR
from nearfar.objectives import nt_xent
from nearfar.run_folder.folder import RunFolder
from nearfar.testing import run_on_ranks
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.schedules import CosineSpec

BATCH = 11


def two_views(batch: int = BATCH, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(11)
    images = torch.randn(batch, 1, 8, 8, generator=generator)
    noise = torch.randn(2, batch, 1, 8, 8, generator=generator)
    return tuple((images + noise / 3).to(dtype))


def labels_of(batch: int = BATCH) -> torch.Tensor:
    return torch.arange(batch) % 3


def row_by_row_simclr() -> SimCLR:
    """SimCLR in which every row depends on its own example alone."""
    method = build_method()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        method.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.LayerNorm(16), nn.GELU())
        method.projection = nn.Linear(16, 4)
    return method


class Projected(Method):
    """What the methods below share: a small encoder, and a loss of two views."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), *layers, nn.Linear(16, 4))

    def embed(self, views):
        return tuple(self.encoder(view) for view in views)

    def loss(self, embedded, labels=None):
        return nt_xent(*embedded, temperature=0.2)


class CountsCalls(Projected):
    """Its embeddings depend on a buffer that every call moves."""

    def __init__(self):
        super().__init__(nn.Tanh())
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

    def embed(self, views):
        self.calls += 1
        return tuple(self.encoder(view * (1 + 0.1 * self.calls)) for view in views)


class Target(Projected):
    """A predictor against a target network without gradient, whose rows are put in a queue."""

    def __init__(self):
        super().__init__(nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3))
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)
        self.predictor = nn.Linear(4, 4)
        self.register_buffer("queue", torch.randn(20, 4, dtype=torch.float64))

    def embed(self, views):
        with torch.no_grad():
            order = torch.randperm(len(views[1]))
            targets = self.target(views[1][order])[order.argsort()]
        return self.predictor(self.encoder(views[0])), targets

    def loss(self, embedded, labels=None):
        predictions, targets = embedded
        assert not targets.requires_grad
        self.queue.copy_(torch.cat((targets, self.queue))[: len(self.queue)])
        return (predictions - targets).square().mean() + (predictions @ self.queue.T).mean()


class Centres(Projected):
    """Labels, parameters of the loss alone, rows of more dimensions, and rows it does not use."""

    def __init__(self):
        super().__init__(nn.Tanh())
        self.centres = nn.Parameter(torch.randn(3, 4))

    def embed(self, views):
        first, second = super().embed(views)
        return torch.stack((first, second), dim=1), first * 2, torch.arange(len(first))

    def loss(self, embedded, labels=None):
        assert labels is not None
        both, _, positions = embedded
        assert positions.dtype == torch.int64
        scores = both @ self.centres.T
        return nn.functional.cross_entropy(scores.flatten(0, 1), labels.repeat_interleave(2))


METHODS = {
    "simclr, row by row": row_by_row_simclr,
    "simclr, batch-norm": build_method,
    "dropout": lambda: Projected(nn.Dropout(0.4), nn.Tanh()),
    "batch-norm": lambda: Projected(nn.BatchNorm1d(16), nn.ReLU()),
    "spectral norm": lambda: Projected(spectral_norm(nn.Linear(16, 16)), nn.Tanh()),
    "own buffer": CountsCalls,
    "target and queue": Target,
    "centres and labels": Centres,
}


def built(name: str) -> Method:
    torch.manual_seed(4)
    return METHODS[name]().double()


def in_one_graph(method, views, labels, micro_batch_size):
    """The same split, with all activations kept: what caching must equal."""
    count = -(-len(views[0]) // micro_batch_size)
    parts = zip(*(view.tensor_split(count) for view in views), strict=True)
    embedded = [method.embed(part) for part in parts]
    loss = method.loss(tuple(torch.cat(kind) for kind in zip(*embedded, strict=True)), labels)
    loss.backward()
    return loss.detach()


def outcome(compute, method, *arguments):
    torch.manual_seed(21)
    loss = compute(method, *arguments)
    gradients = {name: parameter.grad for name, parameter in method.named_parameters()}
    return loss, gradients, method.state_dict(), torch.get_rng_state(), method.scalars


@pytest.mark.parametrize("micro_batch_size", [3, 4, 6, BATCH])
@pytest.mark.parametrize("name", METHODS)
def test_it_leaves_what_one_graph_over_the_parts_leaves(name, micro_batch_size):
    arguments = (two_views(), labels_of(), micro_batch_size)
    found = outcome(cached_gradients, built(name), *arguments)
    expected = outcome(in_one_graph, built(name), *arguments)
    exact = {"rtol": 1e-10, "atol": 1e-10}
    assert not found[0].requires_grad
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=0)
    torch.testing.assert_close(found[1], expected[1], **exact)
    torch.testing.assert_close(found[2], expected[2], rtol=0, atol=0)
    assert torch.equal(found[3], expected[3])
    assert found[4] == expected[4]


@pytest.mark.parametrize(("dtype", "closeness"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
@pytest.mark.parametrize("micro_batch_size", [1, 2, 4, BATCH])
def test_of_independent_rows_it_is_the_gradient_of_the_whole_batch(
    dtype, closeness, micro_batch_size
):
    views = two_views(dtype=dtype)
    method, whole = (row_by_row_simclr().to(dtype) for _ in range(2))
    loss = cached_gradients(method, views, None, micro_batch_size)
    expected = whole(views)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=0, atol=closeness)
    for one, other in zip(method.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=closeness)
    assert method.scalars == pytest.approx(whole.scalars, abs=closeness)


def test_one_part_is_the_whole_batch_for_batch_norm_and_dropout_too():
    for name in ("simclr, batch-norm", "dropout"):
        found = outcome(cached_gradients, built(name), two_views(), None, BATCH)
        expected = outcome(
            lambda method, views: in_one_graph(method, views, None, BATCH), built(name), two_views()
        )
        torch.testing.assert_close(found[1], expected[1], rtol=0, atol=1e-12)


def test_gradients_add_to_those_that_are_there():
    method = built("dropout")
    torch.manual_seed(5)
    cached_gradients(method, two_views(), None, 4)
    once = [parameter.grad.clone() for parameter in method.parameters()]
    torch.manual_seed(5)
    cached_gradients(method, two_views(), None, 4)
    for parameter, gradient in zip(method.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["simclr, batch-norm", "dropout"])
def test_autocast_holds_for_both_passes_and_the_loss(name):
    def under_autocast(compute):
        def computed(method, *arguments):
            method.float()
            seen = []
            linear = next(m for m in method.modules() if isinstance(m, nn.Linear))
            hook = linear.register_forward_hook(lambda *held: seen.append(held[2].dtype))
            with torch.autocast("cpu", torch.bfloat16):
                loss = compute(method, *arguments)
            hook.remove()
            assert set(seen) == {torch.bfloat16}
            return loss

        return computed

    arguments = (two_views(dtype=torch.float32), None, 4)
    found = outcome(under_autocast(cached_gradients), built(name), *arguments)
    expected = outcome(under_autocast(in_one_graph), built(name), *arguments)
    assert torch.equal(found[0], expected[0])
    for key, gradient in found[1].items():
        # Weights' gradients of the parts are each rounded to bfloat16 before they are added.
        largest = float(expected[1][key].abs().max())
        torch.testing.assert_close(gradient, expected[1][key], rtol=0, atol=0.02 * largest)


def test_the_network_never_holds_more_than_a_part_for_its_backward_pass():
    method = build_method()
    with_graph, without = [], []

    def seen(module, inputs, output):
        (with_graph if torch.is_grad_enabled() else without).append(len(output))

    method.encoder.register_forward_hook(seen)
    cached_gradients(method, two_views(16, torch.float32), None, 4)
    assert with_graph == [8] * 4  # two views an example
    assert without == [8] * 3


def test_activations_held_shrink_with_the_parts():
    method = build_method().double()
    held = {"now": 0, "most": 0}

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            size = tensor.numel() * tensor.element_size()
            held["now"] += size
            held["most"] = max(held["most"], held["now"])
            weakref.finalize(self, lambda: held.update(now=held["now"] - size))

    def most(micro_batch_size):
        held.update(now=0, most=0)
        with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
            cached_gradients(method, two_views(64), None, micro_batch_size)
        return held["most"]

    whole = most(64)
    assert most(8) < 0.15 * whole
    assert most(16) < 0.3 * whole


@pytest.mark.parametrize("micro_batch_size", [1, 2])
def test_a_part_of_one_example_is_refused_before_batch_norm_sees_it(micro_batch_size):
    method = build_method()
    with pytest.raises(
        SettingError, match=f"micro_batch_size is {micro_batch_size}: .* batch of 3"
    ):
        cached_gradients(method, two_views(3, torch.float32), None, micro_batch_size)
    assert not any(parameter.grad is not None for parameter in method.parameters())
    method.eval()
    cached_gradients(method, two_views(3, torch.float32), None, micro_batch_size)


def test_a_method_that_stacks_its_views_is_refused():
    method = Projected().double()
    method.embed = lambda views: (method.encoder(torch.cat(views)),)
    with pytest.raises(
        NearfarError, match=r"Projected.embed gave a tensor of shape \(8, 4\) for 4"
    ):
        cached_gradients(method, two_views(), None, 4)


def test_a_run_in_parts_differs_from_a_run_without_and_resumes_to_the_same_bits(tmp_path):
    config = replace(TINY, epochs=2, micro_batch_size=3)
    train_tiny(tmp_path / "whole", config)
    train_tiny(tmp_path / "at once", replace(config, micro_batch_size=None))
    assert metrics(tmp_path / "whole") != metrics(tmp_path / "at once")  # batch-norm of parts
    path = tmp_path / "cut"
    train_tiny(path, config)
    for newest in sorted((path / "checkpoints").glob("step-00000008*")):
        newest.unlink()
    train_tiny(path, config, resume=True)
    assert metrics(path) == metrics(tmp_path / "whole")
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(path)[name]), name


def test_without_batch_norm_a_run_in_parts_is_the_same_run(tmp_path):
    config = replace(TINY, epochs=2)
    train_tiny(tmp_path / "parts", replace(config, micro_batch_size=3), method=row_by_row_simclr())
    train_tiny(tmp_path / "whole", config, method=row_by_row_simclr())
    for one, other in zip(metrics(tmp_path / "parts"), metrics(tmp_path / "whole"), strict=True):
        assert one.pop("kind") == other.pop("kind")
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)


def test_going_on_with_other_parts_is_refused(tmp_path):
    config = replace(TINY, epochs=1, schedule=CosineSpec(warmup_share=1.0))
    train_tiny(tmp_path / "run", config)
    with pytest.raises(NearfarError, match="it was made with micro_batch_size None, not 4"):
        train_tiny(tmp_path / "run", replace(config, micro_batch_size=4), resume=True)
    assert RunFolder(tmp_path / "run").checkpoints.exists()


COUNTS = (7, 4)


def gradients_on_a_rank(rank, world):
    """Of a SimCLR whose ranks hold different rows, in different parts."""
    method = row_by_row_simclr().double()
    views = tuple(view.split(COUNTS)[rank] for view in two_views())
    loss = cached_gradients(method, views, None, 3)
    return loss, [parameter.grad for parameter in method.parameters()], method.scalars


def test_ranks_in_parts_average_to_the_gradient_of_the_global_batch(tmp_path):
    found = run_on_ranks(2, gradients_on_a_rank, tmp_path)
    whole = row_by_row_simclr().double()
    expected = whole(two_views())
    expected.backward()
    for loss, _, scalars in found:
        torch.testing.assert_close(loss, expected.detach(), rtol=0, atol=1e-10)
        assert scalars == pytest.approx(whole.scalars, abs=1e-10)
    for index, parameter in enumerate(whole.parameters()):
        average = (found[0][1][index] + found[1][1][index]) / 2
        torch.testing.assert_close(average, parameter.grad, rtol=0, atol=1e-10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_each_part_drops_what_it_dropped_in_the_first_pass():
    views = tuple(view.cuda() for view in two_views())
    found = outcome(cached_gradients, built("dropout").cuda(), views, None, 4)
    expected = outcome(in_one_graph, built("dropout").cuda(), views, None, 4)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-9, atol=1e-9)
