"""What is told while an encoder is judged: lines now and then, or a bar with the time left."""

import io
import itertools
import re

import pytest
import torch
from rich.console import Console
from torch import nn

from nearfar.data.source import Part, Source
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, LinearProbeSpec
from nearfar.evaluation.judged import Judged
from nearfar.recipes import under_way
from nearfar.recipes.under_way import saying


@pytest.fixture(scope="module")
def told():
    """What the probes of 3000 classes say, as (what, done), with fits that are cut short."""
    labels = torch.cat((torch.arange(3000), torch.arange(300)))
    features = torch.randn(3300, 4, generator=torch.Generator().manual_seed(0))
    train = Part(features, labels, modality="vectors")
    test = Part(features[:50], labels[:50], modality="vectors")
    said = []
    judged = Judged(
        "encoder",
        nn.Identity(),
        Source("many", train, test),
        say=lambda what, done=None: said.append((what, done)),
    )
    assert judged.labelled  # so that features are taken before
    said.clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nearfar.evaluation.softmax_regression.MAX_STEPS", 2)
        patched.setattr("nearfar.evaluation.linear_probe.FORM_LIMIT", 300)
        patched.setattr("nearfar.evaluation.few_labels.FORM_LIMIT", 300)
        patched.setattr("nearfar.evaluation.linear_probe.CHOICE_LIMIT", 300)
        for protocol in (LinearProbeSpec(), FewLabelsSpec(labels_per_class=(1,), draws=1)):
            protocol.run(judged)
    return said


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second whenever something is told."""
    seconds = itertools.count()
    monkeypatch.setattr(under_way.time, "monotonic", lambda: float(next(seconds)))


def console_of(width, *, terminal):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def test_probes_of_thousands_of_classes_say_how_far_they_are(told):
    assert [what for what, done in told if done is None] == [
        "linear probe: encoder",
        "probes with few labels: encoder",
    ]
    for piece in ("linear probe: encoder, ", "few labels: encoder, 1 per class, "):
        shares = [done for what, done in told if what.startswith(piece)]
        assert len(shares) > 10
        assert shares == sorted(shares)
        assert 0 <= shares[0] < 0.2
        assert 0.7 < shares[-1] <= 1


def test_elsewhere_than_on_a_terminal_lines_now_and_then_say_so(told, clock):
    console = console_of(200, terminal=False)
    with saying(console, "judging the encoder") as say:
        for what, done in told:
            say(what, done)
    lines = console.file.getvalue().splitlines()
    assert lines[:2] == ["judging the encoder", "linear probe: encoder"]
    further = [line for line in lines if "%" in line]
    assert 2 < len(further) < len(told) / 5
    left = r"linear probe: encoder, .*, penalty .*, step \d+ · \d+ % · \d+:\d\d left"
    assert re.fullmatch(left, further[0])


def test_short_work_says_no_more_than_its_name():
    console = console_of(200, terminal=False)
    with saying(console, "judging") as say:
        for share in range(100):
            say("probe", share / 100)
    assert console.file.getvalue() == "judging\n"


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_has_a_bar_and_the_time_left(told, monkeypatch, width):
    monkeypatch.setattr(under_way.Progress, "update", drawn_at_once(under_way.Progress.update))
    console = console_of(width, terminal=True)
    with saying(console, "judging the encoder") as say:
        for what, done in told:
            say(what, done)
    drawn = re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", console.file.getvalue()).split("\r")
    assert any(re.search(r"linear probe.* ━.* \d+:\d\d left", line) for line in drawn)
    assert all(len(line.rstrip("\n")) <= width for line in drawn)
    # The bar goes when work begins whose end is not known.
    assert any("probes with few labels" in line and "━" not in line for line in drawn)


def drawn_at_once(update):
    """Drawn whenever it changes, not ten times a second."""
    return lambda self, *given, **named: update(self, *given, **named, refresh=True)


def test_a_terminal_that_cannot_move_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    console = console_of(80, terminal=True)
    with saying(console, "judging the encoder") as say:
        say("map")
    assert console.file.getvalue() == "judging the encoder\nmap\n"
