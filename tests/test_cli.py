import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image
from tests.uses.tiny_encoder import KINDS, write_encoder

import nearfar
from nearfar.cli import app, main
from nearfar.cli.arguments import option_names, parse
from nearfar.data.specs import CIFAR10Spec, FolderSpec, SourceSpec
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.recipes.config_json import read_recipe
from nearfar.spec import Nested
from nearfar.training.schedules import ScheduleSpec
from nearfar.training.specs import OptimizerSpec
from nearfar.uses.features_file import load_features
from nearfar.views.specs import ViewsSpec

# A run of seconds on the digits, given as a person would give it.
QUICK = ["train", "--training.epochs", "1", "--encoder.width", "4", "--training.device", "cpu"]
QUICK += ["--evaluation.knn.votes", "5", "0.1", "--evaluation.few-labels.labels-per-class", "1"]
QUICK += ["--evaluation.few-labels.draws", "2"]


def refusal(capsys, *words):
    """The one line that a refused command prints."""
    code = main(words)
    told = capsys.readouterr().err
    assert told.startswith("nearfar: ")
    assert told.count("\n") == 1
    return code, told.removeprefix("nearfar: ").rstrip("\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("cli") / "run"
    assert main([*QUICK, "--out", str(run)]) == 0
    return run


@pytest.fixture
def pictures(tmp_path):
    """Six images in two folders; the first two are all but equal."""
    folder = tmp_path / "pictures"
    random = np.random.default_rng(0)
    for number in range(6):
        file = folder / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (12, 12), dtype=np.uint8)
        if number == 0:
            first = pixels
        if number == 1:
            pixels = first ^ 1
        Image.fromarray(pixels).save(file)
    return folder


def test_help_names_every_command(capsys):
    assert main(["--help"]) == main([]) == 0
    told = capsys.readouterr().out
    assert all(f"\n  {command} " in told for command in app.COMMANDS)
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("command", app.COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: nearfar {command}" in capsys.readouterr().out


def test_help_of_training_fits_two_screens_and_names_all_that_can_be_chosen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = capsys.readouterr().out
    assert len(told.splitlines()) <= 2 * 24
    assert max(map(len, told.splitlines())) <= 80
    known = [EncoderSpec, MethodSpec, ObjectiveSpec, OptimizerSpec, ScheduleSpec, ViewsSpec]
    assert not {name for kind in known for name in kind.known()} - set(re.findall(r"[^\s,]+", told))
    assert {"optimizer.learning-rate,", "objective.temperature,", "knn-every,"} <= set(told.split())
    assert "nearfar train RECIPE --help" in told


def test_help_of_a_recipe_shows_its_own_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["train", "simclr-cifar10", "--help"])
    assert "timm/resnet18" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nearfar {nearfar.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian", "unknown command 'trian': did you mean 'train'?"),
        ("train simclr-digit", "unknown recipe 'simclr-digit': did you mean 'simclr-digits'?"),
        (
            "train --training.epocs 3",
            "unknown setting '--training.epocs': did you mean '--training.epochs'?",
        ),
        ("train --training.batch_sise=3", "did you mean '--training.batch-size'?"),
        ("train --evaluation.leave-out map kn", "did you mean 'knn'?"),
        ("train --epochs 3", "did you mean '--training.epochs'?"),
        ("train --training.epochs many", "--training.epochs is 'many': it must be a whole number"),
        ("train --training.optimizer adam", "did you mean 'adamw'"),
        ("train --views.crop-scale 0.1", "is '0.1': it must be 2 values, each a number"),
        (
            "train --method.objective.temperature 0",
            "temperature is 0.0: it must be 0.0001 to 10,000",
        ),
        ("train --training.batch-size 2000", "which is 1167"),
        ("train --encoder.name timm/resnet5O", "did you mean 'timm/resnet50'?"),
        ("train --data.name folder", "folder needs --data.root"),
        ("train --data.name folder --data.root no/where", "no/where"),
        ("train simclr-digits more", "train does not know what to do with 'more'"),
        ("train --resume runs/x --seed 3", "leave every other option out"),
        ("evaluate", "missing RUN"),
        ("report", "at least one run folder"),
        ("embed", "missing ENCODER, --data DATA, --out FILE"),
        ("embed run --data . --out vectors.csv", "must end in .parquet, .npz or .npy"),
        ("embed run --data . --out no/where/vectors.npz", "there is no folder no/where"),
        ("embed --oot vectors.npz", "did you mean '--out'?"),
        ("neighbors run image.png --data . --k 0", "--k is 0"),
        ("neighbors run image.png --data . --k 3000000000", "--k is 3000000000"),
        ("neighbors run image.png --data . --max-corrupt nan", "--max-corrupt is nan"),
        ("embed run --data . --out v.npz --max-corrupt inf", "--max-corrupt is inf"),
        ("mi x.npy z.npy --seed 4294967296", "seed is 4294967296"),
        ("mi x.npy z.npy --in-memory-mib -1", "--in-memory-mib is -1"),
        ("train --seed 4294967296", "seed is 4294967296"),
        ("train --evaluation.seed 4294967296", "evaluation.seed is 4294967296"),
        (
            "train --evaluation.knn.votes 5 inf",
            "votes is inf: it must be a finite number",
        ),
        ("train --training.epochs=1.5", "--training.epochs is '1.5': it must be a whole number"),
        ("train --training.epochs", "--training.epochs has no value: it must be a whole number"),
        ("train --training.clip-norm x", "--training.clip-norm is 'x': it must be a number"),
        ("train --views.crop_scale a 1", "crop-scale is 'a 1': it must be 2 values, each a number"),
        (
            "train --training.knn-vote 5.5 1 --seed 0",
            "knn-vote is '5.5 1': it must be a whole number and then a number",
        ),
        (
            "train --evaluation.knn.votes 5 a",
            "votes is '5 a': it must be values, each a whole number and then a number",
        ),
        (
            "train --evaluation.retrieval.queries x",
            "queries is 'x': it must be auto or all or a whole number",
        ),
        ("train --training.device", "--training.device has no value: it must be a word"),
        ("mi x.npy z.npy --seed x", "--seed is 'x': it must be a whole number"),
        (f"train --encoder.width {10**30}", "encoder.width is a number of 31 digits"),
        (f"train --views.size {10**9}", "views.size is 1000000000"),
        (f"train --evaluation.few-labels.draws {2**63}", "evaluation.few_labels.draws is"),
        (
            "train --evaluation.labels-per-class 1",
            "did you mean '--evaluation.few-labels.labels-per-class'?",
        ),
        (f"train --seed {'9' * 5000}", "--seed"),
        ("data --all", "unknown setting '--all': choose one of --json, --no-json"),
        ("objectives nt_xent more", "objectives does not know what to do with 'more'"),
        ("report --zzz dark", "unknown setting '--zzz': choose one of --out"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(words, said, capsys):
    code, told = refusal(capsys, *words.split())
    assert code == 2
    assert said in told


@pytest.mark.parametrize(
    "words",
    [
        "train --training.epochs many",
        "train --training.epochs",
        "train --training.optimizer adam",
        "train --views.crop-scale 0.1",
        "evaluate",
        "embed",
    ],
)
def test_a_refusal_has_no_colours_of_its_maker_in_it(words, monkeypatch, capsys):
    plain = refusal(capsys, *words.split())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert refusal(capsys, *words.split()) == plain
    assert "\\x1b" not in plain[1]


@pytest.mark.parametrize(
    "words",
    [
        "evaluate no/run",
        "report no/run",
        "train --resume no/run",
        "embed no/run --data . --out v.npz",
    ],
)
def test_a_run_that_is_not_there_is_one_line_and_exit_code_1(words, capsys):
    code, told = refusal(capsys, *words.split())
    assert code == 1
    assert "no/run" in told


def test_a_message_of_several_lines_is_told_in_one(monkeypatch, capsys):
    def fail(words):
        raise NearfarError("first\n  second")

    monkeypatch.setattr("nearfar.cli.data.run", fail)
    assert refusal(capsys, "data") == (1, "first second")


def test_an_interrupt_is_exit_code_130(monkeypatch, capsys):
    def interrupt(words):
        raise KeyboardInterrupt

    monkeypatch.setattr("nearfar.cli.data.run", interrupt)
    assert refusal(capsys, "data") == (130, "interrupted")


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "nearfar", "data"],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.stderr == b""
    assert done.returncode in (1, 128 + signal.SIGPIPE)  # 1 is rich's choice


@dataclass(frozen=True)
class Wanted:
    """What the tests below read."""

    sure: bool = True
    data: Nested[SourceSpec] = field(default_factory=CIFAR10Spec)


def test_switches_can_be_turned_off_and_are_known():
    assert "--no-sure" in option_names(Wanted)
    assert "--data.no-download" in option_names(Wanted, default=Wanted())
    words = ["--no-sure", "--data.no-download", "--data.held_out=0.5"]
    wanted = parse(Wanted, "test", words, Wanted())
    assert wanted == Wanted(sure=False, data=CIFAR10Spec(held_out=0.5))


def test_a_misspelt_switch_is_refused():
    with pytest.raises(SettingError, match="did you mean '--no-sure'"):
        parse(Wanted, "test", ["--no-shure"])


def test_train_follows_the_overrides(trained, capsys):
    recipe = read_recipe(trained)
    assert (recipe.recipe, recipe.training.epochs, recipe.encoder.width) == ("simclr-digits", 1, 4)
    assert (trained / "report.html").is_file()


def test_an_impossible_warmup_is_refused(capsys):
    code, told = refusal(
        capsys, "train", "--training.epochs", "2", "--training.schedule.warmup-share", "3"
    )
    assert code == 2
    assert "training.schedule.warmup_share is 3.0: it must be 0 to 1" in told


def test_train_refuses_a_taken_folder(trained, capsys):
    code, told = refusal(capsys, *QUICK, "--out", str(trained))
    assert code == 1
    assert "--overwrite" in told


def test_without_out_every_run_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    from nearfar.cli.train_arguments import new_folder

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "simclr-digits").mkdir(parents=True)
    assert str(new_folder("simclr-digits")) == "runs/simclr-digits-2"
    assert str(new_folder("simclr-fashion")) == "runs/simclr-fashion"


def test_evaluate_takes_what_the_run_had(trained, capsys):
    assert main(["evaluate", str(trained), "--evaluation.few-labels.labels-per-class", "2"]) == 0
    told = capsys.readouterr().out
    assert "2 labels per class" in told
    assert "k = 5, T = 0.1" in told
    # Where there is no terminal, lines tell what is under way.
    assert told.startswith("judging the encoder\nfeatures of 1297 images: encoder\n")


def test_evaluate_leaves_protocols_out_and_takes_them_up_again(trained, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    few = ["--evaluation.leave-out", "linear_probe", "few_labels", "map", "geometry"]
    assert main(["evaluate", str(run), *few]) == 0
    told = capsys.readouterr().out
    assert "kNN" in told
    assert "Linear probe" not in told
    # Kept with the run, until all is asked for again.
    assert read_recipe(run).evaluation.leave_out == tuple(few[1:])
    assert main(["evaluate", str(run), "--evaluation.leave-out"]) == 0
    assert "Linear probe" in capsys.readouterr().out
    assert read_recipe(run).evaluation.leave_out == ()


def test_report_writes_where_it_is_told(trained, tmp_path, capsys):
    assert main(["report", str(trained), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_embed_names_every_image(trained, pictures, tmp_path, ending):
    out = tmp_path / f"vectors.{ending}"
    assert main(["embed", str(trained), "--data", str(pictures), "--out", str(out)]) == 0
    if ending == "npz":
        found = np.load(out, allow_pickle=False)
        names, features = found["names"].tolist(), found["features"]
    else:
        import pandas as pd

        table = pd.read_parquet(out)
        names, features = table["names"].tolist(), np.stack(table["features"].tolist())
    assert sorted(names) == [f"{'ab'[number % 2]}/{number}.png" for number in (0, 2, 4, 1, 3, 5)]
    assert features.dtype == np.float32
    expected = nearfar.load_encoder(trained).num_features
    assert features.shape == (6, expected)


def _embedded(trained, folder, out, *words):
    assert main(["embed", str(trained), "--data", str(folder), "--out", str(out), *words]) == 0
    found = np.load(out, allow_pickle=False)
    return dict(zip(found["names"].tolist(), found["features"], strict=True))


def test_embed_sees_the_whole_of_images_that_are_not_square(trained, tmp_path):
    """Two that differ at their ends alone, which a centre square has lost."""
    folder = tmp_path / "wide"
    folder.mkdir()
    pixels = np.full((20, 60, 3), 128, np.uint8)
    for name, level in (("a", 0), ("b", 255)):
        pixels[:, :15] = level
        Image.fromarray(pixels).save(folder / f"{name}.png")
    found = _embedded(trained, folder, tmp_path / "out.npz")
    assert not np.allclose(found["a.png"], found["b.png"], atol=1e-2)
    padded = _embedded(trained, folder, tmp_path / "out.npz", "--fit", "pad")
    assert not np.allclose(padded["a.png"], padded["b.png"], atol=1e-2)
    cut = _embedded(trained, folder, tmp_path / "out.npz", "--fit", "crop")
    np.testing.assert_array_equal(cut["a.png"], cut["b.png"])
    whole = nearfar.load_encoder(trained)
    images = torch.from_numpy(np.asarray(Image.fromarray(pixels).convert("L")).copy())
    with torch.no_grad():
        same = whole(images[None, None].expand(1, whole.shape[0], 20, 60))[0].numpy()
    similarity = same @ found["b.png"] / np.linalg.norm(same) / np.linalg.norm(found["b.png"])
    assert similarity > 0.99


def test_embed_brings_images_to_squares_as_the_run_learnt_but_whole(tmp_path):
    from nearfar.cli.given_data import fit_for
    from nearfar.recipes.config_json import recipe_to_json
    from nearfar.recipes.recipe import Recipe
    from nearfar.run_folder.folder import RunFolder

    assert fit_for(tmp_path, None) == "squash"  # an encoder without its run
    for learnt, expected in (("crop", "squash"), ("pad", "pad"), ("squash", "squash")):
        run = tmp_path / learnt
        recipe = Recipe(data=FolderSpec(root=tmp_path, fit=learnt))
        RunFolder.create(run).write_config(recipe_to_json(recipe, run=run))
        assert fit_for(run, None) == fit_for(run / "encoder.safetensors", None) == expected
        assert fit_for(run, "crop") == "crop"


def test_embed_reads_every_image_however_the_folder_is_laid_out(trained, tmp_path):
    """Also what training leaves out or refuses: three parts, images beside sub-folders."""
    folder = tmp_path / "mixed"
    names = ["0.png", "test/cat/1.png", "test/cat/train/5.png", "train/cat/2.png", "val/3.png"]
    for level, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 50 * level).save(folder / name)
    (folder / "notes.txt").touch()
    assert list(_embedded(trained, folder, tmp_path / "out.npz")) == names


def test_neighbors_puts_the_twin_first_and_leaves_the_image_out(trained, pictures, capsys):
    image = pictures / "a" / "0.png"
    words = ["neighbors", str(trained), str(image), "--data", str(pictures), "--k", "3"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.strip()[:1].isdigit()]
    assert len(rows) == 3
    assert rows[0][2] == "b/1.png"
    assert all(row[2] != "a/0.png" for row in rows)
    similarities = [float(row[1]) for row in rows]
    assert similarities == sorted(similarities, reverse=True)


@pytest.mark.parametrize("kind", ["vectors", "series"])
def test_embed_takes_every_kind_of_examples(kind, tmp_path):
    source = {"vectors": "wine", "series": "japanese-vowels"}[kind]
    run = write_encoder(tmp_path / "run", kind)
    out = tmp_path / "features.npz"
    assert main(["embed", str(run), "--data", source, "--data.seed", "1", "--out", str(out)]) == 0
    found = load_features(out)
    assert len(found) == {"vectors": 178, "series": 640}[kind]
    assert set(found.parts) == {"train", "test"}
    assert found.about.data["source"]["name"] == source
    # The same as a file, without its name as a source.
    examples = np.random.default_rng(0).normal(size=(5, *KINDS[kind][1]))
    np.savez(tmp_path / "given.npz", **{kind: examples, "labels": list("abcab")})
    words = ["embed", str(run), "--data", str(tmp_path / "given.npz"), "--out", str(out)]
    assert main(words) == 0
    assert [load_features(out).class_of(row) for row in range(5)] == list("abcab")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--data nowhere", "no such folder or file: nowhere"),
        ("--data . --data.root x", "--data . is none"),
        ("--data digts --data.seed 3", "--data digts is none"),
        ("--data digits --data.sed 3", "did you mean '--data.seed'?"),
        ("--data folder --data.root no/where", "data.root=no/where: no such folder"),
    ],
)
def test_embed_refuses_data_that_are_not_there(words, said, tmp_path, capsys):
    run = write_encoder(tmp_path / "run")
    code, told = refusal(
        capsys, "embed", str(run), *words.split(), "--out", str(tmp_path / "out.npz")
    )
    assert code == 2
    assert said in told


def test_neighbors_of_saved_features_are_those_of_the_folder(trained, pictures, tmp_path, capsys):
    saved = tmp_path / "saved.parquet"
    _embed = ["embed", str(trained), "--data", str(pictures), "--out", str(saved)]
    assert main(_embed) == 0
    image, answers = str(pictures / "a" / "0.png"), []
    for data in (pictures, saved):
        capsys.readouterr()
        words = ["neighbors", str(trained), image, "--data", str(data), "--k", "3", "--json"]
        assert main(words) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    assert answers[0][0]["query"] == image
    assert answers[0][0]["neighbors"][0]["name"] == "b/1.png"


def test_neighbors_of_all_make_a_table_and_a_page(trained, pictures, tmp_path, capsys):
    table, page = tmp_path / "near.csv", tmp_path / "near.html"
    words = ["neighbors", str(trained), "--data", str(pictures), "--k", "2"]
    assert main([*words, "--out", str(table), "--page", str(page)]) == 0
    lines = table.read_text().splitlines()
    assert lines[0] == "query,rank,neighbor,similarity"
    assert len(lines) == 1 + 6 * 2
    assert page.read_text().count("<img") == 6 * 3


def test_neighbors_refuse_features_of_another_encoder(trained, pictures, tmp_path, capsys):
    other = write_encoder(tmp_path / "other")
    saved = str(tmp_path / "saved.npz")
    assert main(["embed", str(other), "--data", str(pictures), "--out", saved]) == 0
    image = str(pictures / "a" / "0.png")
    code, told = refusal(capsys, "neighbors", str(trained), image, "--data", saved)
    assert code == 1
    assert "another encoder" in told


def test_neighbors_refuses_what_is_no_image(trained, pictures, capsys):
    (pictures / "fake.png").write_text("no image")
    fake = str(pictures / "fake.png")
    code, told = refusal(capsys, "neighbors", str(trained), fake, "--data", str(pictures))
    assert code == 1
    assert "fake.png" in told


def test_a_cut_run_says_how_to_go_on_and_does(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "nearfar"]
    long = [*command, *QUICK, "--training.epochs", "100000", "--out", str(run)]
    with subprocess.Popen(long, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        for _ in range(1200):
            if list(run.glob("checkpoints/*.json")) or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        told = io.TextIOWrapper(process.stderr).read()
        assert process.wait(60) == 130
    assert f"nearfar train --resume {run}" in told.splitlines()[-1]
