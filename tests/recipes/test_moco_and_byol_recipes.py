"""The recipes of MoCo and BYOL train, on small files of their data's format.

Those on digits are in tests/methods/test_momentum_methods_on_digits.py.
"""

import math
from dataclasses import replace

import pytest
from tests.data.source_files import write_cifar, write_fashion, write_images

from nearfar.recipes.assembly import assemble
from nearfar.recipes.names import recipe_named
from nearfar.run_folder.folder import RunFolder
from nearfar.training.loop import train
from nearfar.training.schedules import CosineSpec

IMAGENET = [
    f"{part}/n0144076{c}/{i}.png" for part in ("train", "val") for c in "45" for i in "0123"
]


def written(source: str, folder):
    """The source's files, small, and their folder."""
    if source == "cifar10":
        write_cifar(folder, 10, count=8)
    elif source == "fashion-mnist":
        write_fashion(folder, train=40)
    else:
        write_images(folder, IMAGENET, size=(40, 36))
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "moco1-fashion",
        "moco2-fashion",
        "byol-fashion",
        "moco-cifar10",
        "byol-cifar10",
        "moco2-imagenet",
    ],
)
def test_it_trains_on_files_of_its_format(name, tmp_path):
    recipe = recipe_named(name)
    source = recipe.data.name
    recipe = replace(
        recipe,
        data=replace(
            recipe.data,
            root=written(source, tmp_path / "data"),
            **({"workers": 0} if source == "imagenet" else {}),
        ),
        views=replace(recipe.views, size=32 if source == "imagenet" else None),
        training=replace(
            recipe.training,
            epochs=1,
            batch_size=4 if source == "imagenet" else 16,
            schedule=CosineSpec(warmup_share=0.0),
            device="cpu",
            knn_every=0,
        ),
    )
    run = assemble(recipe)
    folder = RunFolder.create(tmp_path / "run")
    train(run.method, run.views, run.batches, recipe.training, folder, seed=recipe.seed)
    steps = [record for record in folder.read_metrics() if record["kind"] == "step"]
    assert len(steps) == run.batches.steps_per_epoch >= 2
    assert all(math.isfinite(record["loss"]) and record["gradient_norm"] > 0 for record in steps)
