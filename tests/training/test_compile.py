"""A compiled encoder: the same network, its own draws, and the same bits after a resume."""

import signal
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from test_killed import assert_same_run, metrics
from test_loop import DisturbedBatches, raise_signal
from tiny_run import TINY, fake_knn, train_tiny
from torch import nn

from nearfar.errors import NearfarError, SettingError
from nearfar.methods.byol import BYOL
from nearfar.methods.method import Method
from nearfar.methods.unlabelled_specs import BYOLSpec
from nearfar.training import compiled
from nearfar.training.compiled import compiled_encoders, require_compiler
from nearfar.training.generators import OwnDraws
from nearfar.training.interruption import Interrupted

CPU = torch.device("cpu")
COMPILED = replace(TINY, epochs=2, compile=True)


class Small(nn.Module):
    """A network with dropout and batch-norm."""

    num_features = 8

    def __init__(self, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 8, bias=False),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, batch):
        return self.layers(batch)


class Pull(Method):
    """The least there is of a method."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.encoder = Small(dropout)

    def embed(self, views):
        first, second = map(self.encoder, views)
        return first, second

    def loss(self, embedded, labels=None):
        first, second = embedded
        return (first - second).square().mean() - first.var()


class Inside(Pull):
    """Does not call its encoder as a whole."""

    def embed(self, views):
        assert isinstance(self.encoder, Small)
        first, second = map(self.encoder.layers, views)
        return first, second


def pull(dropout=0.0):
    torch.manual_seed(0)
    return Pull(dropout)


@pytest.mark.slow
def test_it_is_the_same_network_and_is_left_as_it_was(tmp_path):
    whole = train_tiny(tmp_path / "plain", replace(COMPILED, compile=None), method=pull())
    method = train_tiny(tmp_path / "compiled", COMPILED, method=pull())
    torch.testing.assert_close(method.state_dict(), whole.state_dict(), rtol=1e-4, atol=1e-5)
    for one, other in zip(metrics(tmp_path / "compiled"), metrics(tmp_path / "plain"), strict=True):
        assert one.pop("kind") == other.pop("kind")
        assert one == pytest.approx(other, rel=1e-3)
    assert isinstance(method.encoder, nn.Module)
    assert method.encoder._compiled_call_impl is None


@pytest.mark.slow
def test_it_draws_from_the_runs_own_generators_and_goes_on_to_the_same_bits(tmp_path):
    before = torch.get_rng_state()
    train_tiny(tmp_path / "whole", COMPILED, method=pull(0.5))
    torch.manual_seed(77)
    path = tmp_path / "run"
    batches = DisturbedBatches(5, raise_signal(signal.SIGINT))
    method = pull(0.5)
    torch.manual_seed(78)
    other = torch.get_rng_state()
    with pytest.raises(Interrupted):
        train_tiny(path, COMPILED, method=method, batches=batches)
    assert torch.equal(torch.get_rng_state(), other)
    train_tiny(path, COMPILED, method=pull(0.5), resume=True)
    assert_same_run(path, tmp_path / "whole")
    torch.set_rng_state(before)


@pytest.mark.slow
def test_only_a_step_is_compiled_and_each_call_draws_anew():
    method, views = pull(0.5), torch.randn(2, 6, 1, 8, 8).unbind()
    with compiled_encoders(method, CPU, wanted=True) as compiling:
        assert compiling is not None
        with OwnDraws(0):
            with compiling.in_use():
                first, second = method.encoder(views[0]), method.encoder(views[0])
            assert not torch.equal(first, second)
        with OwnDraws(0), compiling.in_use():
            again = method.encoder(views[0])
        assert torch.equal(first, again)
        plain = method.eval().encoder(views[0])
    torch.testing.assert_close(plain, method.encoder(views[0]), rtol=0, atol=0)


def test_copies_are_compiled_too_and_nothing_where_it_is_not_wanted():
    method = BYOL(BYOLSpec(projection_hidden=8, projection_dim=4), Small())
    with compiled_encoders(method, CPU, wanted=True):
        assert method.encoder._compiled_call_impl is not None
        assert method.target_encoder._compiled_call_impl is not None
    assert method.target_encoder._compiled_call_impl is None
    with compiled_encoders(method, CPU, wanted=False) as nothing:
        assert nothing is None
        assert method.encoder._compiled_call_impl is None


def test_a_method_that_does_not_call_its_encoder_is_refused(tmp_path):
    with pytest.raises(SettingError, match="Inside does not call its encoder as a whole"):
        train_tiny(tmp_path / "run", COMPILED, method=Inside())


def test_what_cannot_be_compiled_is_told_in_a_line(tmp_path, monkeypatch):
    from torch._dynamo.exc import Unsupported

    def refuse(module):
        def call(*given):
            raise Unsupported("a loop\nof many lines")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(NearfarError, match=r"cannot compile Small \(a loop.*\): leave it out$"):
        train_tiny(tmp_path / "run", COMPILED, method=pull())


def test_a_machine_without_a_compiler_is_told_so(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SettingError, match="a C\\+\\+ compiler, and no-such-compiler is not here"):
        require_compiler(CPU)
    monkeypatch.setattr(compiled, "version_of", lambda package: None)
    with pytest.raises(SettingError, match="the package triton"):
        require_compiler(torch.device("cuda"))


def test_a_run_is_not_gone_on_with_in_the_other_way(tmp_path):
    path = tmp_path / "run"
    batches = DisturbedBatches(1, raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted):
        train_tiny(path, replace(COMPILED, compile=None), method=pull(), batches=batches)
    with pytest.raises(NearfarError, match="made with compile None, not True"):
        train_tiny(path, COMPILED, method=pull(), resume=True, console=Console(), knn=fake_knn)
