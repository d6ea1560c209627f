"""The catalogue, the settings and what is built from them agree."""

from typing import get_args

import pytest
import torch
from torch import nn

from nearfar.errors import SettingError
from nearfar.methods import config as settings
from nearfar.methods.build import build_method
from nearfar.methods.catalogue import METHODS
from nearfar.methods.check import check_labels, check_method
from nearfar.methods.method import Method


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


def test_every_settings_class_is_in_the_catalogue_under_its_name():
    classes = get_args(settings.MethodConfig) or (settings.MethodConfig,)
    assert {info.config for info in METHODS.values()} == set(classes)
    for name, info in METHODS.items():
        assert info.config().name == name
        check_method(info.config())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_built_and_follows_the_protocol(name):
    method = build_method(METHODS[name].config(), Encoder(), class_counts=torch.tensor([5, 3]))
    assert isinstance(method, Method)
    assert isinstance(method.encoder, Encoder)


def test_labels_are_asked_for_by_those_that_learn_from_them():
    for info in METHODS.values():
        check_labels(info.config(), labelled=True, source="a folder")
        if not info.needs_labels:
            check_labels(info.config(), labelled=False, source="a folder")
            continue
        with pytest.raises(SettingError, match=f"{info.title} learns from labels.*a folder"):
            check_labels(info.config(), labelled=False, source="a folder")
