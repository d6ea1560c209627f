"""What the specs of methods say, and what is built from them."""

import pytest
import torch
from cases.methods import default
from torch import nn

from nearfar.errors import SettingError
from nearfar.methods.method import Method
from nearfar.methods.method_spec import MethodSpec


class Encoder(nn.Module):
    """Four pixels, or four channels of each of six steps, to three features."""

    num_features = 3
    num_steps = 6

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, images):
        return self.layer(images.flatten(1))

    def steps(self, series):
        vectors = self.layer(series.transpose(1, 2)).unsqueeze(2)
        return vectors, vectors.cumsum(dim=1)


@pytest.mark.parametrize("name", MethodSpec.known())
def test_every_method_is_built_and_follows_the_protocol(name):
    method = default(MethodSpec.known()[name]).build(Encoder(), class_counts=torch.tensor([5, 3]))
    assert isinstance(method, Method)
    assert isinstance(method.encoder, Encoder)


@pytest.mark.parametrize("name", MethodSpec.known())
def test_every_method_says_what_it_is_and_needs(name):
    spec = MethodSpec.known()[name]
    assert all(isinstance(each, str) for each in (spec.title, spec.summary, spec.source))
    assert spec().name == name
    assert 1 <= spec.least_views <= (spec.most_views or 100)


def test_labels_are_asked_for_by_those_that_learn_from_them():
    for kind in MethodSpec.known().values():
        kind().require_labels(True, "a folder")
        if not kind.needs_labels:
            kind().require_labels(False, "a folder")
            continue
        with pytest.raises(SettingError, match=f"{kind.title} learns from labels.*a folder"):
            kind().require_labels(False, "a folder")
