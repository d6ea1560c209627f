"""The average of the weights: against a plain loop, resumed, on ranks, and as what is kept."""

from dataclasses import replace

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from test_training_ranks import SHORT, state_of, train_row_by_row
from tests.recipes.small_recipe import small_recipe
from tiny_run import TINY, build_method, train_tiny

from nearfar.encoders.saved import load_encoder
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.recipes.run import run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import SHORT as CUT
from nearfar.testing.resuming import resumes_to_the_same_bits
from nearfar.training.checkpoints import load_newest
from nearfar.training.specs import TrainingSpec
from nearfar.training.weight_average import WeightAverage

AVERAGED = replace(TINY, epochs=2, ema=0.6)


def remembering(method):
    """The method, and its encoder and head after each step, in float64."""
    held, own = [], method.after_step

    def after_step(progress):
        own(progress)
        held.append({name: each.double().clone() for name, each in method.state_dict().items()})

    method.after_step = after_step
    return method, held


def averaged_by_loop(first, steps, decay):
    """Each tensor's average over the steps, as plain numbers."""
    average = {name: each.double() for name, each in first.items()}
    for k, weights in enumerate(steps):
        m = min(decay, (1 + k) / (10 + k))
        for name, weight in weights.items():
            counts = not first[name].is_floating_point()
            average[name] = weight if counts else m * average[name] + (1 - m) * weight
    return average


def test_it_is_the_loop_of_its_definition(tmp_path):
    first = {name: each.clone() for name, each in build_method().state_dict().items()}
    method, steps = remembering(build_method())
    train_tiny(tmp_path, AVERAGED, method=method)
    expected = averaged_by_loop(first, steps, 0.6)
    assert len(steps) == 8
    for name, found in method.state_dict().items():
        torch.testing.assert_close(found.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_the_weights_that_are_trained_are_those_without_it(tmp_path):
    plain, method = build_method(), build_method()
    train_tiny(tmp_path / "plain", replace(AVERAGED, ema=None), method=plain)
    train_tiny(tmp_path / "averaged", AVERAGED, method=method)
    held = load_newest(RunFolder(tmp_path / "averaged").checkpoints).checkpoint.tensors
    for name, each in plain.state_dict().items():
        assert torch.equal(held[f"method.{name}"], each), name
    averages = {name for name in held if name.startswith("average.")}
    kept = len(plain.encoder.state_dict()) + len(plain.projection.state_dict())
    assert len(averages) == kept
    for name, each in method.encoder.state_dict().items():
        assert torch.equal(held[f"average.encoder.{name}"], each), name
    assert not torch.equal(method.projection[0].weight, plain.projection[0].weight)


def test_a_share_of_0_is_the_weights_themselves(tmp_path):
    plain, method = build_method(), build_method()
    train_tiny(tmp_path / "plain", replace(AVERAGED, ema=None), method=plain)
    train_tiny(tmp_path / "averaged", replace(AVERAGED, ema=0.0), method=method)
    for name, each in plain.state_dict().items():
        assert torch.equal(method.state_dict()[name], each), name


def test_a_cut_run_ends_with_the_same_average():
    state = resumes_to_the_same_bits(build_method, replace(CUT, ema=0.9))
    assert any(name.startswith("average.encoder.") for name in state)


def test_a_finished_run_is_left_with_its_average_again(tmp_path):
    method, again = build_method(), build_method()
    train_tiny(tmp_path, AVERAGED, method=method)
    train_tiny(tmp_path, AVERAGED, method=again, resume=True)
    for name, each in method.encoder.state_dict().items():
        assert torch.equal(again.encoder.state_dict()[name], each), name


def test_another_share_is_not_gone_on_with(tmp_path):
    train_tiny(tmp_path, replace(AVERAGED, ema=None))
    with pytest.raises(NearfarError, match=r"made with ema None, not 0.6"):
        train_tiny(tmp_path, AVERAGED, resume=True)


def test_two_ranks_hold_the_average_of_one_process(tmp_path):
    config = replace(SHORT, ema=0.8)
    (tmp_path / "meeting").mkdir()
    ranks = run_on_ranks(2, train_row_by_row, tmp_path / "meeting", tmp_path / "two", config)
    alone = train_row_by_row(0, 1, tmp_path / "one", config)
    for found in ranks:
        torch.testing.assert_close(found, alone, rtol=1e-9, atol=1e-9)


def test_encoder_head_and_classifier_are_averaged():
    method = CrossEntropySpec().build(build_method().encoder, class_counts=torch.tensor([4, 4]))
    average = WeightAverage(method, 0.5)
    before = state_of(method)
    with torch.no_grad():
        for each in method.parameters():
            each.add_(1)
    average.after_step(100)
    average.put_in_place()
    for name, each in method.named_parameters():
        torch.testing.assert_close(each.detach(), before[name] + 0.5)


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(SettingError, match=r"training.ema is .*: it must be 0 or more"):
        TrainingSpec(ema=share)


def test_the_average_is_what_a_run_saves_and_says(tmp_path):
    recipe = small_recipe(tmp_path)
    left_out = ("few_labels", "linear_probe", "map", "gallery")
    recipe = replace(
        recipe,
        training=replace(recipe.training, ema=0.5),
        evaluation=replace(recipe.evaluation, leave_out=left_out),
    )
    with (tmp_path / "told").open("w") as told:
        run_recipe(recipe, tmp_path / "run", console=Console(width=200, file=told))
    assert "weights averaged (0.5)" in (tmp_path / "told").read_text()
    held = load_newest(RunFolder(tmp_path / "run").checkpoints).checkpoint.tensors
    saved = load_file(tmp_path / "run" / "encoder.safetensors")
    for name, each in saved.items():
        assert torch.equal(each, held[f"average.encoder.{name}"]), name
    name = next(name for name in saved if name.endswith("weight"))
    assert not torch.equal(saved[name], held[f"method.encoder.{name}"])
    head = load_encoder(tmp_path / "run", "embedding").head.state_dict()
    for name, each in head.items():
        assert torch.equal(each, held[f"average.head.{name}"]), name
