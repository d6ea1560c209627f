"""Small runs of pairs of two kinds: images of 8×8 and texts that say what is bright in them."""

from pathlib import Path

import numpy as np
from rich.console import Console
from tests.recipes.small_recipe import light_recipe

from nearfar.data.paired_specs import ImagePairsNpzSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import DigitsViewsSpec

PLACES = ("top left", "top right", "bottom left", "bottom right")
QUIET = Console(quiet=True)


def write_pairs(folder: Path) -> Path:
    """96 images of 8×8 with a bright quarter on noise, and texts that say which."""
    random = np.random.default_rng(0)
    labels = np.arange(96) % 4
    images = random.integers(0, 100, (96, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = 4 * (label // 2), 4 * (label % 2)
        image[top : top + 4, left : left + 4] += 120
    texts = [f"bright at the {PLACES[label]}, number {n}" for n, label in enumerate(labels)]
    file = folder / "pairs.npz"
    np.savez(file, first=images, second=np.array(texts), labels=np.array(PLACES)[labels])
    return file


def recipe(pairs: Path, **changed) -> Recipe:
    """Two epochs of CLIP, with changes of its rooms; those of method and training are added."""
    method = {
        "projection_dim": 8,
        "second_encoder": TextBagSpec(
            width=16, buckets=512, dropout=0.0, tokens="bpe", vocabulary=300
        ),
    }
    settings = {
        "data": ImagePairsNpzSpec(root=pairs, length=48),
        "views": DigitsViewsSpec(count=1),
        "method": CLIPSpec(**method | changed.pop("method", {})),
        "training": TrainingSpec(
            **{"epochs": 2, "batch_size": 16, "device": "cpu", "precision": "fp32", "threads": 1}
            | {"knn_every": 2}
            | changed.pop("training", {})
        ),
    }
    return light_recipe(pairs.parent, **settings | changed)
