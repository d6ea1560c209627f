"""`nearfar train --from RUN`, and `--extend`: what is taken over, what is refused, what stays."""

import hashlib
import io
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tests.dying import die_at_call
from tests.recipes.small_recipe import small_recipe

from nearfar.cli.app import main
from nearfar.errors import NearfarError
from nearfar.recipes import extending
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.extending import extend_run
from nearfar.recipes.run import run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.testing.rank_processes import FORKS
from nearfar.training.checkpoints import load_newest
from nearfar.training.resuming import Saver


def light(folder: Path, epochs: int):
    recipe = small_recipe(folder)
    left_out = ("few_labels", "linear_probe", "map", "gallery", "geometry")
    return replace(
        recipe,
        training=replace(recipe.training, epochs=epochs, knn_every=0),
        evaluation=replace(recipe.evaluation, leave_out=left_out),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("from")
    run_recipe(light(folder, 2), folder / "run", console=Console(quiet=True))
    return folder / "run"


def contents(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_another_objective_begins_with_the_runs_encoder_and_settings(run, tmp_path, capsys):
    before = contents(run)
    words = ["--method.objective", "align_uniform", "--training.epochs", "1", "--seed", "4"]
    assert main(["train", "--from", str(run), *words, "--out", str(tmp_path / "on")]) == 0
    told = capsys.readouterr().out
    assert "its projection head too; all else of the method begins anew" in told
    assert contents(run) == before
    old, new = read_recipe(run), read_recipe(tmp_path / "on")
    assert new.method.objective.name == "align_uniform"
    assert new.encoder == replace(old.encoder, start=str(run.absolute()))
    assert new.views == old.views
    assert (new.training.epochs, new.training.batch_size, new.seed) == (1, 32, 4)
    start = RunFolder(tmp_path / "on").read_start()
    assert str(run) in start["title"]
    assert start["share"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from"], "--from needs RUN"),
        (["--extend", "3"], "name the run, by --from RUN"),
        (["simclr-digits", "--from", "{run}"], "leave the recipe's name out"),
        (["--from", "{run}", "--extend", "0"], "--extend is 0"),
        (["--from", "{run}", "--extend", "many"], "--extend is many"),
        (["--from", "{run}", "--extend", "3", "--seed", "9"], "leave every other option"),
        (["--from", "{run}", "--method", "mocco"], "did you mean"),
        (["--from", "{run}/nothing"], "no run folder at"),
        (["--from", "{run}", "--resume", "{run}"], "leave --from out"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(run, words, said, capsys, tmp_path):
    filled = [word.format(run=run) for word in words]
    assert main(["train", *filled, "--out", str(tmp_path / "out")]) in (1, 2)
    told = capsys.readouterr().err
    assert said in " ".join(told.split())
    assert not (tmp_path / "out").exists()


def test_an_extended_run_goes_on_with_all_its_state(run, tmp_path):
    before, console = contents(run), Console(file=io.StringIO(), width=400)
    extend_run(run, 2, tmp_path / "longer", console=console)
    assert contents(run) == before
    printed = console.file.getvalue()
    assert "extended from 2 to 4 epochs: the schedule (cosine) is that of all" in printed
    longer = RunFolder(tmp_path / "longer")
    assert read_recipe(longer.path).training.epochs == 4
    steps = [each["step"] for each in longer.read_metrics() if each["kind"] == "step"]
    assert steps == list(range(1, 9))
    assert longer.read_environment()["extends"] == str(run)
    rates = [each["learning_rate"] for each in longer.read_metrics() if each["kind"] == "step"]
    assert rates[4] > rates[3] > 0
    # The second half is that of a run of four epochs: its rates, and the order of its data.
    whole = tmp_path / "whole"
    run_recipe(light(run.parent, 4), whole, console=Console(quiet=True))
    expected = [e["learning_rate"] for e in RunFolder(whole).read_metrics() if e["kind"] == "step"]
    assert rates[4:] == expected[4:]
    ends = [
        load_newest(folder / "checkpoints").checkpoint.tensors for folder in (whole, longer.path)
    ]
    generators = [name for name in ends[0] if name.startswith("generator")]
    assert generators
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in generators)
    first, last = (load_file(folder / "encoder.safetensors") for folder in (run, longer.path))
    assert not torch.equal(first["stem.0.weight"], last["stem.0.weight"])


def test_what_cannot_be_extended_is_refused_and_nothing_is_left(run, tmp_path):
    with pytest.raises(NearfarError, match="is the run itself"):
        extend_run(run, 1, run, console=Console(quiet=True))
    bare = tmp_path / "bare"
    recipe = light(run.parent, 1)
    run_recipe(recipe, bare, console=Console(quiet=True))
    for file in (bare / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(NearfarError, match="begin with the encoder alone: nearfar train --from"):
        extend_run(bare, 1, tmp_path / "out", console=Console(quiet=True))
    (bare / "encoder.safetensors").unlink()
    with pytest.raises(NearfarError, match="has not come to its end"):
        extend_run(bare, 1, tmp_path / "out", console=Console(quiet=True))
    assert not (tmp_path / "out").exists()


def _begin_and_die(run: Path, out: Path, number: int | None) -> None:
    extending.resume_run = lambda target, console=None: target
    if number is not None:
        die_at_call(number, [(os, "fsync"), (os, "replace")])
    extend_run(run, 1, out, overwrite=True, console=Console(quiet=True))


def test_killed_while_it_copies_the_run_stays_and_the_same_call_begins_anew(run, tmp_path):
    before, ends = contents(run), []
    for number in range(3, 1000, 14):
        out = tmp_path / f"longer-{number}"
        for die_at in (number, None):
            process = FORKS.Process(target=_begin_and_die, args=(run, out, die_at))
            process.start()
            process.join()
            ends.append(process.exitcode)
        assert contents(run) == before
        loaded = load_newest(out / "checkpoints")
        assert loaded.checkpoint.scalars["settings"]["epochs"] == 3
        assert loaded.damaged == ()
        assert read_recipe(out).training.epochs == 3
        if ends[-2] == 0:
            break
        assert ends[-2:] == [-signal.SIGKILL, 0]
    assert ends.count(-signal.SIGKILL) >= 2


def test_adapters_train_resume_and_are_merged_through_the_command_line(tmp_path, monkeypatch):
    quick = ["--encoder", "mlp", "--encoder.width", "8", "--training.device", "cpu"]
    quick += ["--training.epochs", "2", "--training.batch-size", "32", "--training.threads", "1"]
    quick += ["--training.knn-every", "0", "--evaluation.leave-out", "few_labels", "linear_probe"]
    quick += ["map", "gallery", "geometry", "retrieval"]
    lora = ["--adapt.lora-rank", "2", "--adapt.lora-layers", "linear"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(["train", "simclr-wine", *quick, *lora, "--out", str(whole)]) == 0
    real = Saver.save

    def save_once(self, step, position):
        real(self, step, position)
        raise NearfarError("cut")

    monkeypatch.setattr(Saver, "save", save_once)
    assert main(["train", "simclr-wine", *quick, *lora, "--out", str(cut)]) == 1
    monkeypatch.undo()
    loaded = load_newest(cut / "checkpoints")
    assert any("parametrizations" in name for name in loaded.checkpoint.tensors)
    assert main(["train", "--resume", str(cut)]) == 0
    saved = load_file(whole / "encoder.safetensors")
    weights = [(each / "encoder.safetensors").read_bytes() for each in (whole, cut)]
    assert weights[0] == weights[1]
    plain = read_recipe(whole).encoder.build((13,)).state_dict()
    assert saved.keys() == plain.keys()
    on = ["train", "--from", str(whole), "--training.epochs", "1", "--out", str(tmp_path / "on")]
    assert main(on) == 0
    assert read_recipe(tmp_path / "on").adapt.lora_rank == 2
    assert RunFolder(tmp_path / "on").read_start()["share"] == 1
    assert load_file(tmp_path / "on" / "encoder.safetensors").keys() == plain.keys()
