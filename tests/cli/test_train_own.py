"""`nearfar train PATH`: a folder or a file of one's own, without a recipe."""

import json

import numpy as np
import pytest
from PIL import Image

from nearfar.cli import main
from nearfar.cli.train_own import own_path
from nearfar.recipes import own_run
from nearfar.recipes.config_json import read_recipe

QUICK = [
    *("--evaluation.leave-out", "map", "gallery", "geometry", "linear_probe"),
    *("--evaluation.few-labels.labels-per-class", "2", "--evaluation.few-labels.draws", "2"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "my pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 100, (8, 8), dtype=np.uint8) + np.uint8(120 * (number % 2))
        Image.fromarray(np.repeat(pixels[..., None], 3, axis=2)).save(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_run, "_measure", lambda assembly: (0.01, 1.0))
    return tmp_path


def test_a_folder_becomes_a_run_that_says_what_was_chosen_and_why(folder, capsys):
    words = ["train", "my pictures", "--minutes", "0.02", "--encoder.width", "4", *QUICK]
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    run = folder / "runs" / "my pictures"
    recipe = read_recipe(run)
    # 1.2 s less 8 % and 1 s of judging is 10 steps of 10 ms, of which an epoch of 20 has 2.
    assert recipe.training.epochs == 5
    assert (recipe.training.batch_size, recipe.encoder.width) == (8, 4)
    assert (recipe.data.name, recipe.data.channels, recipe.data.held_out) == ("folder", 1, 0.0)
    choices = json.loads((run / "choices.json").read_text())
    options = [each["option"] for each in choices]
    assert "--minutes, --training.epochs" in options
    assert "--encoder, --encoder.width" not in options  # it was said, not chosen
    page = (run / "report.html").read_text()
    assert "What was chosen for these data" in page
    for told in (said, page):
        for each in choices:
            assert each["what"] in told
    assert "nearfar train 'my pictures' --method supcon learns from the labels of" in said
    assert "20 pictures are few: --encoder timm/resnet18 --encoder.start pretrained" in said
    assert main(["report", str(run)]) == 0
    assert main(["train", "--resume", str(run)]) == 0


def test_a_batch_larger_than_the_data_shrinks_and_short_time_is_told(folder, capsys):
    batch = ["--training.batch-size", "512", "--seed", "3", "--method", "supcon"]
    words = ["train", "my pictures", "--minutes", "0.001", "--encoder.width", "4", "--out", "r"]
    assert main([*words, *batch, *QUICK]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "a batch of 512 shrinks to 20, all there is to learn from" in said
    assert "one epoch takes about" in said
    recipe = read_recipe(folder / "r")
    assert (recipe.training.epochs, recipe.method.name, recipe.seed) == (1, "supcon", 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["my pictures", "--resume", "runs/a"], "leave my pictures out"),
        (["my pictures", "simclr-digits"], "one path or one recipe"),
        (["my pictures", "--minutes", "0"], "--minutes is 0: it must be above 0"),
        (["my pictures", "--minutes", "nan"], "minutes"),
        (["my pictures", "--quality", "beste"], "quality"),
        (["my pictures", "--training.epoch", "3"], "did you mean '--training.epochs'"),
        (["my pictures", "--encoder", "mlp"], "mlp is for vectors, and the data are images"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(folder, words, said, capsys):
    assert main(["train", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert not (folder / "runs").exists()


def test_names_of_recipes_methods_and_sources_go_before_folders(folder):
    for name in ("simclr-digits", "moco", "wav", "nt_xent"):
        (folder / name).mkdir()
        assert own_path([name]) is None
        assert name == "simclr-digits" or own_path([f"./{name}"]) is not None
    assert own_path(["nowhere"]) is None
    assert own_path([]) is None


def test_steps_are_measured_on_these_data_and_judging_counts(folder, monkeypatch):
    monkeypatch.undo()
    from nearfar.data.sources import load_source
    from nearfar.data.specs import FolderSpec
    from nearfar.recipes.own_choices import choose_recipe

    monkeypatch.setattr(own_run, "_STEPS", 2)
    data = FolderSpec(root=folder / "my pictures")
    source = load_source(data)
    recipe, _ = choose_recipe(data, source, "fast", gpu=False)
    recipe, choices, warnings = own_run.with_measured_length(recipe, source, 0.2, None)
    assert recipe.training.epochs > 1
    assert "a step takes" in choices[0].why
    assert "judging about" in choices[0].why
    assert warnings == []
    shorter, *_ = own_run.with_measured_length(recipe, source, 0.02, None)
    assert shorter.training.epochs < recipe.training.epochs
    _, choices, warnings = own_run.with_measured_length(recipe, source, 0.01, 10**6)
    assert choices == []
    assert "1000000 epochs take about" in warnings[0]
