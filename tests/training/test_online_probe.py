"""A probe that learns beside a run: right by its equations, and without a trace in the run."""

from dataclasses import replace

import pytest
import torch
from test_killed import assert_same_run, metrics
from tiny_run import TINY, build_method, images
from torch import nn
from torch.nn import functional as F

from nearfar.data.batches import TrainingBatches
from nearfar.errors import SettingError
from nearfar.run_folder.folder import RunFolder
from nearfar.training.loop import train
from nearfar.training.online_probe import DECAY, MOMENTUM, RATE, OnlineProbe
from nearfar.views.specs import DigitsViewsSpec

LABELS = torch.arange(33) % 3


def train_beside(path, probe, *, resume=False, config=TINY, at=None):
    """A tiny run with labels; `at` is called with each check."""
    torch.set_num_threads(1)
    method = build_method()

    def check(encoder, classify=None):
        if at is not None:
            at(method)
        held = (
            {} if classify is None else {"online_probe": float(classify(torch.ones(1, 16)).max())}
        )
        return {"top1": 0.5, **held}

    train(
        method,
        DigitsViewsSpec().build((1, 8, 8), mean=(0.5,), std=(0.5,)),
        TrainingBatches(images(), LABELS, batch_size=8, seed=3, device="cpu"),
        config,
        RunFolder(path) if resume else RunFolder.create(path),
        seed=3,
        resume=resume,
        knn=check,
        probe=probe,
    )
    return method


def probe():
    return OnlineProbe(build_method().encoder.num_features, 3)


def test_it_is_softmax_regression_by_sgd():
    draws = torch.Generator().manual_seed(0)
    learnt, slow = OnlineProbe(5, 4), nn.Linear(5, 4)
    nn.init.zeros_(slow.weight)
    nn.init.zeros_(slow.bias)
    optimizer = torch.optim.SGD(slow.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    norm = nn.BatchNorm1d(5, affine=False)
    for _ in range(6):
        features = 3 + 2 * torch.randn(9, 5, generator=draws)
        labels = torch.randint(4, (9,), generator=draws)
        learnt.step(features, labels)
        optimizer.zero_grad()
        F.cross_entropy(slow(norm(features)), labels).backward()
        optimizer.step()
    torch.testing.assert_close(learnt.weight[:, :5], slow.weight.detach())
    torch.testing.assert_close(learnt.weight[:, 5], slow.bias.detach())


def test_it_learns_and_counts_before_it_learns():
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 8, generator=draws)
    learnt = OnlineProbe(8, 3)
    seen = []
    for _ in range(30):
        labels = torch.randint(3, (16,), generator=draws)
        learnt.step(centres[labels] + 0.1 * torch.randn(16, 8, generator=draws), labels)
        right, asked = learnt.take_answers().tolist()
        assert asked == 16
        seen.append(right / asked)
    assert seen[0] < 0.7
    assert seen[-1] == 1
    assert learnt.take_answers().tolist() == [0, 0]
    torch.testing.assert_close(learnt.shares(centres).sum(dim=1), torch.ones(3))
    assert learnt.shares(centres).argmax(dim=1).tolist() == [0, 1, 2]


def test_the_run_is_the_same_to_the_bit_with_it_and_without(tmp_path):
    beside, alone = probe(), None
    with_it = train_beside(tmp_path / "beside", beside).state_dict()
    without = train_beside(tmp_path / "alone", alone).state_dict()
    assert all(torch.equal(with_it[name], without[name]) for name in without)
    for one, other in zip(metrics(tmp_path / "beside"), metrics(tmp_path / "alone"), strict=True):
        assert "online_probe" in one
        assert {name: value for name, value in one.items() if name != "online_probe"} == other
    assert beside.weight.abs().sum() > 0


def test_it_goes_on_to_the_same_bits(tmp_path):
    train_beside(tmp_path / "whole", probe())

    class CutError(Exception):
        pass

    checks = []

    def cut(_):
        checks.append(1)
        if len(checks) == 2:
            raise CutError

    with pytest.raises(CutError):
        train_beside(tmp_path / "run", probe(), at=cut)
    train_beside(tmp_path / "run", probe(), resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_without_labels_it_is_refused():
    config = replace(TINY, online_probe=True)
    config.require_examples(40, labelled=True)
    with pytest.raises(SettingError, match=r"training.online_probe is True: it learns labels"):
        config.require_examples(40, labelled=False)
