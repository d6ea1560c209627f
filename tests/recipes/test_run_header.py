"""What a person reads before a run begins."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from small_recipe import small_recipe

from nearfar.recipes.assembly import assemble
from nearfar.recipes.console import print_header
from nearfar.training.schedules import DropsSpec
from nearfar.training.specs import AdamWSpec, SGDSpec


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "2 epochs of 4 steps of 16, adamw at 0.01, cosine"),
        (
            {
                "epochs": 9,
                "optimizer": SGDSpec(),
                "schedule": DropsSpec(warmup_share=0.0, epochs=(4.0, 7.5)),
            },
            "9 epochs of 4 steps of 16, sgd at 0.03, a tenth after epoch 4 and 7.5",
        ),
    ],
)
def test_the_header_says_how_the_rate_goes(tmp_path, changes, said):
    recipe = small_recipe(tmp_path)
    training = {"epochs": 2, "batch_size": 16, "optimizer": AdamWSpec(learning_rate=0.01)}
    recipe = replace(recipe, training=replace(recipe.training, **training | changes))
    console = Console(file=io.StringIO(), width=100)
    print_header(console, assemble(recipe), tmp_path / "run")
    assert said in console.file.getvalue()


@pytest.mark.parametrize(
    ("held_out", "knn_every", "said"),
    [
        (0.1, 1, "held out for the kNN check)"),
        (0.0, 1, "(none held out: the kNN check asks some that are trained on)"),
        (0.0, 0, None),
    ],
)
def test_the_header_says_what_the_check_asks(tmp_path, held_out, knn_every, said):
    recipe = small_recipe(tmp_path)
    recipe = replace(
        recipe,
        data=replace(recipe.data, held_out=held_out),
        training=replace(recipe.training, knn_every=knn_every),
    )
    console = Console(file=io.StringIO(), width=200)
    print_header(console, assemble(recipe), tmp_path / "run")
    text = console.file.getvalue()
    assert "kNN check" not in text if said is None else said in text
