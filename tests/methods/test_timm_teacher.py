"""Distillation from a model of timm by its name; no network is needed."""

import io
import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from rich.console import Console
from tests.recipes.small_recipe import light_recipe, write_images

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.distill import Distill
from nearfar.methods.distill_spec import DistillSpec
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.testing import run_on_ranks
from nearfar.training.checkpoints import load_newest
from nearfar.training.ends import EndedEarly
from nearfar.training.gradient_caching import cached_gradients

QUIET = Console(quiet=True)

NAME = "test_resnet"
CONFIG = timm.get_pretrained_cfg(NAME)


def planted(seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm.create_model(NAME).eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights of all of the model, its classifier too."""
    file = tmp_path_factory.mktemp("weights") / "model.safetensors"
    safetensors.torch.save_file(planted().state_dict(), file)
    return file


def student(views=None, **settings):
    settings = {"teacher": f"timm/{NAME}", "projection_hidden": 8, "queue_size": 16} | settings
    channels = 3 if views is None else views.shape[0]
    return Distill(DistillSpec(**settings), SmallResNetSpec(width=4).build((channels, 8, 8)), views)


def features_of(model, images, mean, std):
    """Features as timm's own pipeline takes them, but that the whole image is seen."""
    size = CONFIG.input_size[1]
    whole = torch.nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))
    with torch.no_grad():
        return model.forward_head(model.forward_features((whole - mean) / std), pre_logits=True)


def test_the_teacher_keeps_its_own_size_and_statistics(weights):
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = SimpleNamespace(shape=(3, 8, 8), mean=(0.2, 0.3, 0.4), std=(0.7, 0.6, 0.5), columns=None)
    method = student(seen, teacher_weights=str(weights))
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (seen.mean, seen.std))
    (_, rows) = method.embed(((images - mean) / std,))
    expected = features_of(planted(), images, CONFIG.mean, CONFIG.std)
    torch.testing.assert_close(rows, expected, rtol=1e-3, atol=1e-4)
    assert method._teacher.shape == CONFIG.input_size
    assert method._teacher.mean.tolist() == pytest.approx(CONFIG.mean)
    told = method.told["teacher"]
    assert str(weights) in told
    assert "160" in told


def test_grey_views_reach_it_as_three_equal_channels(weights):
    """Its first layer is summed over the channels; of equal deviations that is the same picture."""
    grey = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = SimpleNamespace(shape=(1, 8, 8), mean=(0.0,), std=(1.0,), columns=None)
    method = student(seen, teacher_weights=str(weights))
    (_, rows) = method.embed((grey,))
    mean, std = [sum(CONFIG.mean) / 3] * 3, [sum(CONFIG.std) / 3] * 3
    expected = features_of(planted(), grey.expand(-1, 3, -1, -1), mean, std)
    torch.testing.assert_close(rows, expected, rtol=1e-3, atol=1e-4)


def fill_cache(folder, monkeypatch, model=None):
    """The Hub's cache, and the network away."""
    if model is not None:
        revision = "0" * 40
        repo = folder / f"models--{CONFIG.hf_hub_id.replace('/', '--')}"
        (repo / "refs").mkdir(parents=True)
        (repo / "refs" / "main").write_text(revision)
        snapshot = repo / "snapshots" / revision
        snapshot.mkdir(parents=True)
        safetensors.torch.save_file(model.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_timms_own_weights_come_from_its_cache(tmp_path, monkeypatch):
    fill_cache(tmp_path, monkeypatch, planted(3))
    method = student()
    assert torch.equal(method._teacher.backbone.conv1[0].weight, planted(3).conv1[0].weight)
    assert f"timm's weights {NAME}.{CONFIG.tag}" in method.told["teacher"]


def test_without_a_network_one_line_says_what_to_do(tmp_path, monkeypatch):
    fill_cache(tmp_path, monkeypatch)
    with pytest.raises(NearfarError, match="neither in the cache nor to be had") as refused:
        student()
    assert "--method.teacher-weights FILE" in str(refused.value)
    assert "encoder.start" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"teacher": "hf-hub:someone/model"}, r"method.teacher hf-hub:.*download the file"),
        ({"teacher": "timm/resnet81"}, r"did you mean 'timm/resnet18'"),
        ({"teacher": "timm/resnet18.a1_in1k"}, r"method.teacher_weights pretrained:a1_in1k"),
        ({"teacher_weights": "hf-hub:x/y"}, r"method.teacher_weights hf-hub:x/y: .*download"),
        ({"teacher_output": "embedding"}, r"timm/test_resnet has no projection head"),
        ({"teacher": "runs/a", "teacher_weights": "random"}, r"it is for a model of timm"),
        ({"teacher": None, "teacher_weights": "random"}, r"it is for a model of timm"),
    ],
)
def test_what_names_no_teacher_is_refused_before_any_work(settings, said):
    with pytest.raises(SettingError, match=said):
        DistillSpec(**{"teacher": f"timm/{NAME}"} | settings)


def test_weights_that_leave_parts_of_it_random_are_refused(tmp_path):
    state = planted().state_dict()
    lacking = [name for name in state if name.startswith("layer4")]
    for name in lacking:
        del state[name]
    safetensors.torch.save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(SettingError, match=rf"{len(lacking)} tensors of timm/{NAME}.* stay random"):
        student(teacher_weights=str(tmp_path / "half.safetensors"))
    with pytest.raises(SettingError, match=r"method.teacher_weights mine: no such run or file"):
        student(teacher_weights="mine")
    with pytest.raises(SettingError, match=r"method.teacher_weights pretrained:mine: timm has no"):
        student(teacher_weights="pretrained:mine")


def test_what_is_no_image_is_refused(weights):
    seen = SimpleNamespace(shape=(2, 40), mean=(0.0,) * 2, std=(1.0,) * 2, columns=None)
    with pytest.raises(SettingError, match=r"method.teacher does not fit these data: .*3 channels"):
        student(seen, teacher_weights=str(weights))


def test_random_weights_are_had_by_name_alone():
    method = student(teacher_weights="random")
    assert "at random weights" in method.told["teacher"]


def test_paths_are_found_from_any_folder_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = DistillSpec(teacher=f"timm/{NAME}", teacher_weights="w.safetensors")
    found = spec.with_absolute_paths()
    assert (found.teacher, found.teacher_weights) == (
        f"timm/{NAME}",
        str(tmp_path / "w.safetensors"),
    )
    for words in ("random", "pretrained", "pretrained:a1_in1k", None):
        assert replace(spec, teacher_weights=words).with_absolute_paths().teacher_weights == words
    path = DistillSpec(teacher=f"./timm/{NAME}").with_absolute_paths()
    assert path.teacher == str(tmp_path / "timm" / NAME)


def test_in_parts_the_gradients_are_the_same(weights):
    views = tuple(
        torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (0, 1)
    )
    gradients = []
    for part in (None, 2):
        torch.manual_seed(0)
        method = student(teacher_weights=str(weights)).eval().double()
        given = tuple(view.double() for view in views)
        if part is None:
            method(given).backward()
        else:
            cached_gradients(method, given, None, part)
        gradients.append([each.grad for each in method.parameters()])
    torch.testing.assert_close(*gradients)


def _on_rank(rank, ranks, file):
    torch.manual_seed(0)
    method = student(teacher_weights=file).eval().double()
    views = [torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (0, 1)]
    count = 4 // ranks
    own = slice(rank * count, (rank + 1) * count)
    method(tuple(view.double()[own] for view in views)).backward()
    return [each.grad for each in method.parameters()]


@pytest.mark.slow  # each rank loads timm; the method's cases hold ranks for other teachers
def test_two_ranks_learn_what_one_learns(weights, tmp_path):
    whole = _on_rank(0, 1, str(weights))
    halves = run_on_ranks(2, _on_rank, tmp_path, str(weights))
    mean = [sum(each) / 2 for each in zip(*halves, strict=True)]
    torch.testing.assert_close(mean, whole)


def test_a_cut_run_goes_on_to_the_same_bits_and_only_with_the_same_weights(tmp_path, weights):
    held = tmp_path / "model.safetensors"
    shutil.copy(weights, held)
    method = DistillSpec(
        teacher=f"timm/{NAME}", teacher_weights=str(held), projection_hidden=8, queue_size=50
    )
    few = {name: each[:32] for name, each in np.load(write_images(tmp_path / "all.npz")).items()}
    np.savez(tmp_path / "images.npz", **few)
    recipe = light_recipe(tmp_path, method=method, encoder=SmallResNetSpec(width=2))
    training = replace(recipe.training, batch_size=8, knn_every=1)
    recipe = replace(recipe, training=training)
    told = Console(width=200, record=True, file=io.StringIO())
    run_recipe(recipe, tmp_path / "whole", console=told, judge=False)
    assert re.search(r"teacher +the file .*model.safetensors, sees images", told.export_text())
    with pytest.raises(EndedEarly):
        run_recipe(
            recipe,
            tmp_path / "cut",
            console=QUIET,
            judge=False,
            after_check=lambda epochs, _: "enough" if epochs == 1 else None,
        )
    state = safetensors.torch.load_file(held)
    safetensors.torch.save_file({n: v + 1 for n, v in state.items()}, held)
    with pytest.raises(NearfarError, match=r"made with teacher \(content\)"):
        resume_run(tmp_path / "cut", console=QUIET, judge=False)
    shutil.copy(weights, tmp_path / "moved.safetensors")
    config = tmp_path / "cut" / "config.json"
    record = json.loads(config.read_text())
    record["method"]["teacher_weights"] = str(tmp_path / "moved.safetensors")
    config.write_text(json.dumps(record))
    RunFolder(tmp_path / "cut").manifest.accept(["config.json"])
    resume_run(tmp_path / "cut", console=QUIET, judge=False)
    for name in ("encoder.safetensors", "head.safetensors"):
        whole, cut = ((tmp_path / run / name).read_bytes() for run in ("whole", "cut"))
        assert whole == cut
    found = load_newest(RunFolder(tmp_path / "cut").checkpoints).checkpoint
    assert not any("teacher" in name for name in found.tensors)
