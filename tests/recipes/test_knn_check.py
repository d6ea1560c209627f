from dataclasses import replace

import pytest
import torch
from small_recipe import small_recipe

from nearfar.data.held_out import hold_out
from nearfar.data.specs import STL10Spec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.knn_check import knn_check
from nearfar.run_folder.folder import RunFolder
from nearfar.training.loop import train


def test_the_check_is_right_for_pixels_that_name_the_class(tmp_path):
    judge = knn_check(assemble(small_recipe(tmp_path)))
    assert judge is not None
    pixels = torch.nn.Flatten()
    pixels.num_features = 64
    assert judge(pixels) == {"top1": 1.0, "top5": 1.0, "asked": "held out"}


def learns_by_heart(part):
    """An encoder that knows the label of every image of the part, and nothing of any other."""
    known = {bytes(image.numpy()): int(label) for image, label in zip(*part, strict=True)}

    class ByHeart(torch.nn.Module):
        num_features = 5

        def forward(self, images):
            pixels = (images * 255).round().to(torch.uint8).cpu()
            classes = [known.get(bytes(image.numpy()), 4) for image in pixels]
            return torch.nn.functional.one_hot(torch.tensor(classes), 5).float()

    return ByHeart()


@pytest.mark.parametrize(
    ("share", "asked", "top1"), [(0.1, "held out", 0.6), (0.0, "trained on", 1)]
)
def test_what_was_learnt_by_heart_helps_only_where_nothing_is_held_out(
    tmp_path, share, asked, top1
):
    recipe = small_recipe(tmp_path)
    assembly = assemble(replace(recipe, data=replace(recipe.data, held_out=share)))
    plain = replace(assembly, format=replace(assembly.format, mean=(0.0,), std=(1.0,)))
    judge = knn_check(plain)
    assert judge is not None
    found = judge(learns_by_heart((assembly.part.examples, assembly.part.labels)))
    assert found["asked"] == asked
    assert found["top1"] == 1 if top1 == 1 else found["top1"] <= top1


def test_what_is_held_out_is_in_no_batch_and_batches_number_images_as_the_source_does(tmp_path):
    assembly = assemble(small_recipe(tmp_path))
    train = assembly.source.train
    held_out = {bytes(image.numpy()) for image in assembly.taught.held_out.examples}
    assert len(held_out) == 8
    for epoch in range(3):
        for images, labels, numbers in assembly.batches.epoch(epoch):
            assert torch.equal(images, train.examples[numbers])
            assert torch.equal(labels, train.labels[numbers])
            assert not held_out & {bytes(image.numpy()) for image in images}


def test_of_an_unlabelled_part_no_labelled_image_is_learnt_from(tmp_path):
    recipe = small_recipe(tmp_path)
    assembly = assemble(replace(recipe, data=replace(recipe.data, held_out=0.0)))
    config = STL10Spec(train_part="unlabelled", held_out=0.0)
    judge = knn_check(replace(assembly, recipe=replace(assembly.recipe, data=config)))
    assert judge is not None
    assert judge(assembly.method.encoder)["asked"] == "held out"


def test_the_check_is_at_chance_for_an_encoder_that_sees_nothing(tmp_path):
    class Blind(torch.nn.Module):
        num_features = 2

        def forward(self, images):
            return torch.ones(len(images), 2)

    judge = knn_check(assemble(small_recipe(tmp_path)))
    assert judge is not None
    assert judge(Blind())["top1"] < 0.6


def test_without_labels_there_is_no_check(tmp_path):
    assembly = assemble(small_recipe(tmp_path))
    source = replace(assembly.source, train=replace(assembly.source.train, labels=None))
    assert knn_check(replace(assembly, source=source)) is None


def test_a_class_that_only_asks_counts_as_missed(tmp_path):
    recipe = small_recipe(tmp_path)
    recipe = replace(recipe, data=replace(recipe.data, held_out=0.0))
    assembly = assemble(recipe)
    train = assembly.source.train
    found = []
    for single in range(len(train)):  # a fifth of the images ask, so some of these do
        labels = (torch.arange(len(train)) == single).long()
        source = replace(assembly.source, train=replace(train, labels=labels))
        judge = knn_check(replace(assembly, source=source, taught=hold_out(source, recipe.data)))
        assert judge is not None
        found.append(judge(assembly.method.encoder)["top5"])
    asked = int(0.2 * len(train))
    assert found.count(1.0) == len(train) - asked
    assert found.count(1 - 1 / asked) == asked


def test_a_training_with_the_check_ends_with_the_same_bits_as_one_without(tmp_path):
    states = []
    for every in (0, 1):
        recipe = small_recipe(tmp_path)
        recipe = replace(recipe, training=replace(recipe.training, knn_every=every))
        assembly = assemble(recipe)
        train(
            assembly.method,
            assembly.views,
            assembly.batches,
            recipe.training,
            RunFolder.create(tmp_path / f"run-{every}"),
            seed=recipe.seed,
            knn=knn_check(assembly),
        )
        states.append(assembly.method.state_dict())
    without, with_check = states
    assert any("running_var" in name for name in without)
    for name, tensor in without.items():
        assert torch.equal(tensor, with_check[name]), name


def test_the_test_part_is_not_touched(tmp_path):
    assembly = assemble(small_recipe(tmp_path))
    untouchable = replace(assembly, source=replace(assembly.source, test=None))
    judge = knn_check(untouchable)
    assert judge is not None
    assert "top1" in judge(untouchable.method.encoder.eval())


def test_the_check_votes_as_it_is_asked_to(tmp_path):
    """Twelve neighbours near the query are of class 0, all others, farther away, of class 1."""
    recipe = small_recipe(tmp_path)
    assembly = assemble(replace(recipe, data=replace(recipe.data, held_out=0.1)))
    bank, queries = assembly.taught.source.train, assembly.taught.held_out
    angles = torch.where(torch.arange(len(bank)) < 12, 0.1, 0.5)
    truth = torch.where(angles < 0.3, 0, 1)
    teach = replace(
        assembly.taught,
        source=replace(assembly.taught.source, train=replace(bank, labels=truth)),
        held_out=replace(queries, labels=torch.zeros(len(queries), dtype=torch.long)),
    )

    class Angle(torch.nn.Module):
        num_features = 2

        def forward(self, images):
            at = angles if len(images) == len(bank) else torch.zeros(len(images))
            return torch.stack([at.cos(), at.sin()], 1)

    def top1(vote):
        training = replace(recipe.training, knn_vote=vote)
        judge = knn_check(
            replace(assembly, recipe=replace(recipe, training=training), taught=teach)
        )
        assert judge is not None
        return judge(Angle())["top1"]

    assert top1((20, 0.07)) == 1
    # All vote, and hot: the many far ones win.
    assert top1((1000, 10.0)) == 0
