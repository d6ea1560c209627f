"""Another kind of examples needs its source, views and encoder, and nothing elsewhere.

Spectrograms have as many sides as images: no shape could tell them apart.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from rich.console import Console
from torch import nn

from nearfar.data.source import Part, Source
from nearfar.data.specs import SourceSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import run_recipe
from nearfar.training.specs import TrainingSpec
from nearfar.views.float_views import FloatViews
from nearfar.views.specs import ViewsSpec


def load_tones(spec: Any) -> Source:
    """Tones low and high in noise, far from 0."""
    labels = torch.arange(96) % 2
    heard = torch.rand(96, 1, 6, 10, generator=torch.Generator().manual_seed(0)) + 50
    heard[labels == 0, :, :3] += 1
    heard[labels == 1, :, 3:] += 1
    parts = [
        Part(heard[rows], labels[rows], modality="spectrograms")
        for rows in (slice(0, 64), slice(64, 96))
    ]
    return Source(spec.name, *parts, class_names=("low", "high"))


class Bands(nn.Module):
    """The mean of each band, and a layer."""

    num_features = 4

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.layer = nn.Linear(bands, self.num_features)

    def forward(self, examples: torch.Tensor) -> torch.Tensor:
        return self.layer(examples.mean(dim=(1, 3)))


def louder(examples: torch.Tensor, most: float, generator: torch.Generator) -> torch.Tensor:
    return examples * (1 + most * torch.rand(len(examples), 1, 1, 1, generator=generator))


@dataclass(frozen=True)
class Kind:
    source: type[SourceSpec]
    views: type[ViewsSpec]
    encoder: type[EncoderSpec]


@pytest.fixture
def spectrograms():
    class TonesSpec(SourceSpec):
        target, modality = f"{__name__}:load_tones", "spectrograms"
        summary, size, licence = "tones", "6 bands × 10 steps", "none"
        classes, train_examples = 2, 64
        name: Literal["tones"] = "tones"

    class LouderSpec(ViewsSpec):
        takes = "spectrograms"
        name: Literal["louder"] = "louder"

        def build(self, shape, *, mean, std):
            given = {"mean": mean, "std": std, "modality": self.takes, "count": self.count}
            return FloatViews(louder, (0.5, 0.5), shape=shape, **given)

    class BandsSpec(EncoderSpec):
        takes = "spectrograms"
        target = f"{__name__}:Bands"
        name: Literal["bands"] = "bands"

        def arguments(self, shape):
            return {"bands": shape[1]}

    yield Kind(TonesSpec, LouderSpec, BandsSpec)
    for kind, name in ((SourceSpec, "tones"), (ViewsSpec, "louder"), (EncoderSpec, "bands")):
        del kind.choices[name]


def test_they_are_trained_judged_reported_and_encoded(spectrograms, tmp_path, capsys):
    training = TrainingSpec(epochs=1, batch_size=16, device="cpu", precision="fp32", knn_every=1)
    recipe = Recipe(
        data=spectrograms.source(),
        views=spectrograms.views(),
        encoder=spectrograms.encoder(),
        method=SimCLRSpec(projection_hidden=8, projection_dim=4),
        training=training,
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=((5, 0.1),)), FewLabelsSpec(labels_per_class=(1,), draws=2)
        ),
    )
    page = run_recipe(recipe, tmp_path / "run", console=Console(width=120, no_color=True))
    assert "tones: 58 spectrograms of shape (1, 6, 10)" in capsys.readouterr().out
    assert "Of spectrograms there are no pictures" in page.read_text()
    records = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert {record["features"] for record in records} == {
        "encoder",
        "embedding",
        "untrained",
        "raw",
    }
    encoder = load_encoder(tmp_path / "run")
    assert encoder.modality == "spectrograms"
    assert encoder(load_tones(recipe.data).test.examples).shape == (32, 4)


def test_what_takes_images_is_refused_and_what_fits_named(spectrograms):
    with pytest.raises(
        SettingError,
        match="small-resnet is for images, and the data are spectrograms: choose bands",
    ):
        Recipe(data=spectrograms.source(), views=spectrograms.views())
