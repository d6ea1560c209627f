"""A run that takes seconds: small images of four classes in an .npz file, a narrow encoder."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nearfar.data.specs import NpzSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import CosineSpec
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import DigitsViewsSpec


def write_images(file: Path, *, channels: int = 1, seed: int = 0) -> Path:
    """96 images of 8×8: a bright quarter, which names the class, on noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(96) % 4
    images = random.integers(0, 100, (96, 8, 8, channels), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = 4 * (label // 2), 4 * (label % 2)
        image[top : top + 4, left : left + 4] += 120
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, images=images, labels=labels)
    return file


def small_recipe(folder: Path, **changes) -> Recipe:
    """Two epochs on the images of `write_images`."""
    file = folder / "images.npz"
    if not file.exists():
        write_images(file)
    recipe = Recipe(
        recipe="simclr-digits",
        data=NpzSpec(root=file),
        views=DigitsViewsSpec(),
        encoder=SmallResNetSpec(width=4),
        method=SimCLRSpec(projection_hidden=8, projection_dim=4),
        training=TrainingSpec(
            epochs=2,
            batch_size=32,
            schedule=CosineSpec(warmup_share=0.0),
            device="cpu",
            precision="fp32",
            knn_every=1,
        ),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=((5, 0.1),)), FewLabelsSpec(labels_per_class=(1,), draws=2)
        ),
    )
    return replace(recipe, **changes)


def light_recipe(folder: Path, **changes) -> Recipe:
    """For what is not about scores: probes take most of the time of a judgement."""
    recipe = small_recipe(folder, **changes)
    left_out = ("few_labels", "linear_probe")
    return replace(recipe, evaluation=replace(recipe.evaluation, leave_out=left_out))
