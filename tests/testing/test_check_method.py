"""`check_method` passes what is right, and says which property of what is wrong fails."""

from typing import Literal

import pytest
import torch
from cases.methods import sized
from torch import nn

from nearfar.encoders.mlp import ProjectionHead
from nearfar.methods.labelled_specs import SupConSpec
from nearfar.methods.method import Method
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.unlabelled_specs import MoCoSpec, SimCLRSpec
from nearfar.objectives import nt_xent
from nearfar.similarity.gathering import gather_rows
from nearfar.testing import check_method


class Plain(Method):
    """SimCLR in a few lines; what is wrong is derived from it."""

    def __init__(self, spec, encoder):
        super().__init__()
        self.encoder = encoder
        self.head = ProjectionHead(encoder.num_features, hidden=8, dim=4)

    def embed(self, views):
        return tuple(self.head(self.encoder(view)) for view in views)

    def loss(self, embedded, labels=None):
        return nt_xent(*(gather_rows(each) for each in embedded))


class StacksViews(Plain):
    def embed(self, views):
        return (torch.cat(super().embed(views)),)

    def loss(self, embedded, labels=None):
        return super().loss(embedded[0].chunk(2))


class ForgetsToGather(Plain):
    def loss(self, embedded, labels=None):
        return nt_xent(*embedded)


class ComparesPartsAlone(Plain):
    def embed(self, views):
        embedded = super().embed(views)
        return tuple(each - each.mean(dim=0) for each in embedded)


class KeepsStateAside(Plain):
    """What it remembers is neither a parameter nor a buffer."""

    steps = 0

    def loss(self, embedded, labels=None):
        return super().loss(embedded) * (1 + self.steps / 10)

    def after_step(self, progress):
        self.steps += 1


class LogsTensors(Plain):
    @property
    def scalars(self):
        return {"weight": torch.tensor(1.0)}


class LogsItsOwnRows(Plain):
    def loss(self, embedded, labels=None):
        self.mean = embedded[0].mean().item()
        return super().loss(embedded)

    @property
    def scalars(self):
        return {"mean": self.mean}


class TrainsNothingWithItsHead(Plain):
    def __init__(self, spec, encoder):
        super().__init__(spec, encoder)
        self.spare = nn.Linear(2, 2)


class NeedsLabels(Plain):
    def loss(self, embedded, labels=None):
        return super().loss(embedded) + 0 * labels.sum()


class GivesRows(Plain):
    def loss(self, embedded, labels=None):
        return embedded[0].sum(dim=1)


class NoMethod(nn.Module):
    def __init__(self, spec, encoder):
        super().__init__()
        self.encoder = encoder


@pytest.fixture
def spec_of(monkeypatch):
    """The spec of a method of this module, which is a choice as long as the test lasts."""
    monkeypatch.setattr(MethodSpec, "choices", dict(MethodSpec.known()))

    def make(method: type) -> MethodSpec:
        class OwnSpec(MethodSpec):
            target = f"{method.__module__}:{method.__name__}"
            title = summary = source = "own"
            name: Literal["own"] = "own"

        return OwnSpec()

    return make


class OwnSpec(MethodSpec):
    """A spec that other processes find, where ranks are checked."""

    target = f"{__name__}:ForgetsToGather"
    title = summary = source = "own"
    name: Literal["forgets-to-gather"] = "forgets-to-gather"


class OwnScalarsSpec(MethodSpec):
    target = f"{__name__}:LogsItsOwnRows"
    title = summary = source = "own"
    name: Literal["logs-its-own-rows"] = "logs-its-own-rows"


class RightSpec(MethodSpec):
    target = f"{__name__}:Plain"
    title = summary = source = "own"
    name: Literal["plain"] = "plain"


for each in (OwnSpec, OwnScalarsSpec, RightSpec):
    del MethodSpec.choices[each.name]  # no other test shall see it


@pytest.fixture
def chosen(monkeypatch):
    """The three above are choices as long as the test lasts."""
    more = {each.name: each for each in (OwnSpec, OwnScalarsSpec, RightSpec)}
    monkeypatch.setattr(MethodSpec, "choices", MethodSpec.known() | more)


def test_right_ones_pass(chosen):
    check_method(RightSpec())
    check_method(sized(SupConSpec()), modality="vectors", ranks=False)
    check_method(sized(MoCoSpec(symmetric=True)), modality="series", ranks=False)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        # The first two by type checks, which only tests have; else in our own words.
        (NoMethod, "it must build: .*NoMethod"),
        (GivesRows, r"it must take steps on images: .*12"),
        (TrainsNothingWithItsHead, r"images: spare\.weight is trained and has no gradient"),
        (LogsTensors, "images: scalar weight is a Tensor"),
        (NeedsLabels, "its spec must say whether it needs labels: AttributeError: 'NoneType'"),
        (StacksViews, r"\(gradient caching\): .*gave a tensor of shape \(6, 4\) for 3 examples"),
        (ComparesPartsAlone, r"parts of a batch must be the whole batch .*loss: .*not close"),
        (KeepsStateAside, "a run that was cut must go on to the same bits: other bits in .*weight"),
    ],
)
def test_a_wrong_one_is_caught_in_words(spec_of, method, words):
    with pytest.raises(AssertionError, match=f"(?s)^own: .*{words}"):
        check_method(spec_of(method), ranks=False)


@pytest.mark.parametrize(
    ("spec", "words"), [(OwnSpec, "loss: .*not close"), (OwnScalarsSpec, "scalars: .*not close")]
)
def test_a_wrong_one_is_caught_on_two_ranks(chosen, spec, words):
    with pytest.raises(AssertionError, match=f"(?s)two ranks must take the steps of .*{words}"):
        check_method(spec())


def test_what_makes_no_sense_for_it_is_left_out(spec_of):
    check_method(spec_of(StacksViews), apart=("in parts",), ranks=False)


def test_settings_that_do_not_do_are_told(spec_of):
    with pytest.raises(AssertionError, match="no such property: parts"):
        check_method(SimCLRSpec(), apart=("parts",))
