"""Projection heads that are taken over from a run: which are, which are not, and what is said."""

import functools
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from small_recipe import small_recipe

from launched_ranks import end_of
from nearfar.cli.app import main
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.saved import load_head
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.labelled_specs import CrossEntropySpec, PaCoSpec, SupConQueueSpec, SupConSpec
from nearfar.methods.method import Tower
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.experiment import experiment_of
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.recipes.start import start_again
from nearfar.run_folder.folder import RunFolder
from nearfar.training.ends import EndedEarly
from nearfar.training.ranks import Ranks


def recipe_from(folder: Path, start: Path | str | None, head: str = "start", **changes):
    """Two epochs on a few pictures."""
    adapt = AdaptSpec(head=head) if start else AdaptSpec()
    encoder = SmallResNetSpec(width=4, start=start and str(start))
    return replace(small_recipe(folder, encoder=encoder, adapt=adapt), **changes)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def trained(folder: Path, method) -> Path:
    """A run of some method, not judged."""
    run_recipe(
        recipe_from(folder, None, method=method), folder / "run", console=quiet(), judge=False
    )
    return folder / "run"


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run of SimCLR, whose head is linear, batch-norm, ReLU, linear."""
    method = SimCLRSpec(projection_hidden=8, projection_dim=4)
    return trained(tmp_path_factory.mktemp("first"), method)


def equal(module, file: Path) -> bool:
    held, state = load_file(file), module.state_dict()
    return held.keys() == state.keys() and all(torch.equal(state[n], held[n]) for n in held)


SAME = {"projection_hidden": 8, "projection_dim": 4}


@pytest.mark.parametrize(
    "method", [SimCLRSpec(**SAME), SupConSpec(**SAME), PaCoSpec(**SAME, queue_size=16)]
)
def test_a_head_that_is_built_alike_is_taken_over_by_any_method(first, tmp_path, method):
    assembly = assemble(recipe_from(tmp_path, first, method=method))
    assert equal(assembly.method.embedding_head, first / "head.safetensors")
    assert assembly.start.lines[-1] == "its projection head too; all else of the method begins anew"
    for follower in assembly.method.head_followers:
        assert equal(follower, first / "head.safetensors")
        assert not any(each.requires_grad for each in follower.parameters())
    assert all(each.requires_grad for each in assembly.method.embedding_head.parameters())


@pytest.mark.parametrize(
    "method",
    [
        MoCoSpec(projection_hidden=8, projection_dim=4, queue_size=16),
        SupConQueueSpec(**SAME, queue_size=16),
        BYOLSpec(**SAME, prediction_hidden=8),
    ],
)
def test_momentum_copies_begin_as_copies_of_what_was_taken_over(tmp_path, method):
    run = trained(tmp_path, method)
    assembly = assemble(recipe_from(tmp_path, run, method=method))
    (follower,) = assembly.method.head_followers
    for module in (assembly.method.embedding_head, follower):
        assert equal(module, run / "head.safetensors")
    copy = "target_encoder" if method.name == "byol" else "momentum_encoder"
    assert equal(getattr(assembly.method, copy), run / "encoder.safetensors")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"method": SimCLRSpec(projection_hidden=16, projection_dim=4)},
            "hidden is 8 there and 16",
        ),
        ({"method": SimCLRSpec(head="linear", projection_dim=4)}, "is mlp and the method's linear"),
        ({"method": MoCoSpec(projection_dim=4)}, "batch_norm is True there and False here"),
    ],
)
def test_a_head_that_is_built_otherwise_begins_anew_and_why_is_said(first, tmp_path, changes, said):
    taken = assemble(recipe_from(tmp_path, first, **changes))
    assert "the method's projection head begins anew" in taken.start.lines[-1]
    assert said in taken.start.lines[-1]
    anew = assemble(recipe_from(tmp_path, first, head="fresh", **changes))
    pairs = zip(taken.method.state_dict().values(), anew.method.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_where_there_is_no_head_or_the_encoder_fits_in_part_it_begins_anew(first, tmp_path):
    headless = trained(tmp_path / "headless", CrossEntropySpec())
    shutil.copy(first.parent / "images.npz", tmp_path / "images.npz")
    lines = assemble(recipe_from(tmp_path, headless)).start.lines
    assert lines[-1].endswith("begins anew: the start has no projection head")
    lines = assemble(recipe_from(tmp_path, headless, method=CrossEntropySpec())).start.lines
    assert not any("head" in line for line in lines)
    lines = assemble(recipe_from(tmp_path, first / "encoder.safetensors")).start.lines
    assert lines[-1].startswith("its projection head too")
    bare = tmp_path / "bare.safetensors"
    shutil.copy(first / "encoder.safetensors", bare)
    lines = assemble(recipe_from(tmp_path, bare)).start.lines
    assert lines[-1].endswith("the start has no projection head")
    with pytest.raises(SettingError, match=r"adapt.head is start, and encoder.start names none"):
        recipe_from(tmp_path, None, adapt=AdaptSpec(head="start"))


@pytest.mark.parametrize(
    "account",
    [
        {"did_not_fit": {"stem.0.weight": "1 × 1, not 3 × 3"}},
        {"random": ["stem.0.weight"]},
        {"left_out": ["layers.9.weight"]},  # of an encoder with more layers
    ],
)
def test_of_an_encoder_that_fits_in_part_the_head_is_not_taken_over(first, tmp_path, account):
    assembly = assemble(recipe_from(tmp_path, first))
    assembly.start.account |= account
    method, built = assembly.method, assembly.recipe.method.projection
    assembly.start.load_head_into(Tower(method.encoder, built, method.embedding_head))
    assert "would read other features" in assembly.start.lines[-1]


def test_a_cut_run_goes_on_to_the_same_bits_and_only_with_the_same_head(first, tmp_path):
    start = Path(shutil.copytree(first, tmp_path / "start"))
    recipe = recipe_from(tmp_path, start)
    run_recipe(recipe, tmp_path / "whole", console=quiet(), judge=False)
    with pytest.raises(EndedEarly):
        run_recipe(
            recipe,
            tmp_path / "cut",
            console=quiet(),
            judge=False,
            after_check=lambda epochs, _: "enough" if epochs == 1 else None,
        )
    shutil.rmtree(start)
    resume_run(tmp_path / "cut", console=quiet(), judge=False)
    for name in ("encoder.safetensors", "head.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    held = json.loads((tmp_path / "cut" / "start.json").read_text())
    assert held["head_taken_over"] is True
    assert not torch.equal(
        load_head(tmp_path / "cut")[1].state_dict()["0.weight"],
        load_head(first)[1].state_dict()["0.weight"],
    )


def test_before_the_first_checkpoint_another_head_is_refused(first, tmp_path):
    start = Path(shutil.copytree(first, tmp_path / "start"))
    recipe = recipe_from(tmp_path, start)
    run = RunFolder.create(tmp_path / "run")
    assembly = assemble(recipe)
    run.write_start(assembly.start.as_json())
    assert start_again(recipe.encoder, recipe.adapt, run, Ranks()).head is not None
    head = start / "head.safetensors"
    save_file({name: value + 1 for name, value in load_file(head).items()}, head)
    RunFolder(start).manifest.accept(["head.safetensors"])
    main(["accept", str(start), "encoder.json"])
    with pytest.raises(NearfarError, match="no longer those of"):
        start_again(recipe.encoder, recipe.adapt, run, Ranks())
    anew = experiment_of(assemble(recipe))
    differ = {name for name, value in experiment_of(assembly).items() if anew[name] != value}
    assert differ == {"adapt.head (content)"}


def test_with_from_the_head_goes_on_or_is_asked_to_be_fresh(first, tmp_path, capsys):
    quick = [
        "--seed",
        "7",
        "--training.epochs",
        "1",
        "--training.knn-every",
        "0",
        "--evaluation.baselines",
        "False",
    ]
    quick += ["--evaluation.leave-out", "few_labels", "linear_probe", "map", "gallery", "geometry"]
    asked = ["train", "--from", str(first), *quick, "--training.optimizer.learning-rate", "1e-12"]
    assert main([*asked, "--out", str(tmp_path / "on")]) == 0
    assert "its projection head too" in capsys.readouterr().out
    assert read_recipe(tmp_path / "on").adapt.head == "start"
    assert main([*asked, "--adapt.head", "fresh", "--out", str(tmp_path / "anew")]) == 0
    told = capsys.readouterr().out
    assert "the encoder alone is taken over: the method's heads begin anew" in told
    begun = load_file(first / "head.safetensors")["0.weight"]
    on, anew = (
        load_file(tmp_path / run / "head.safetensors")["0.weight"] for run in ("on", "anew")
    )
    torch.testing.assert_close(on, begun)
    assert not torch.allclose(anew, begun, atol=1e-4)


def begin_on_ranks(folder: Path, first: Path, ranks: Ranks) -> None:
    """Only the first rank has the run."""
    start = folder / "start"
    if ranks.first:
        shutil.copytree(first, start)
    recipe = recipe_from(folder, start)
    recipe = replace(recipe, training=replace(recipe.training, batch_size=22))
    assembly = assemble(recipe)
    ranks.begin_alike(assembly.method)
    assert equal(assembly.method.embedding_head, first / "head.safetensors")
    same = ranks.gather(experiment_of(assembly))
    assert same[0] == same[1]


def test_the_first_ranks_head_reaches_all(first, tmp_path):
    small_recipe(tmp_path)
    assert end_of(functools.partial(begin_on_ranks, tmp_path, first), tmp_path) == ([0, 0], [])
