"""The transfer of runs to other sets: figures, rows, resuming, refusals, the page."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from small_recipe import light_recipe

from nearfar.cli.app import main
from nearfar.data.arrays import source_from_arrays
from nearfar.data.source import JoinedExamples, Part, Source
from nearfar.data.source_spec import SourceSpec
from nearfar.data.specs import DigitsSpec, NpzSpec
from nearfar.encoders.encoder_files import EncoderDescription
from nearfar.encoders.mlp import MLP
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import MLPSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation import transfer as protocols
from nearfar.evaluation.transfer import Features, few, fine_tuned, linear
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.methods.objective_specs import DebiasedNegSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes import transfer as module
from nearfar.recipes.run import run_recipe
from nearfar.recipes.transfer import transfer
from nearfar.recipes.transfer_sets import sets_named
from nearfar.report.transfer_page import page
from nearfar.report.transfer_table import Cell, Table
from nearfar.training.generators import OwnDraws


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr(protocols, "STEPS", 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    run_recipe(light_recipe(folder), folder / "first")
    return folder / "first"


def a_set(folder, name="coloured.npz", classes=3, count=90):
    random = np.random.RandomState(0)
    labels = np.arange(count) % classes
    images = random.randint(0, 90, (count, 10, 10, 3)) + 50 * labels[:, None, None, None]
    np.savez(folder / name, images=images.astype(np.uint8), labels=labels)
    return NpzSpec(root=folder / name)


def features(metric="top1", **parts):
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    rows = torch.randn(120, 5, generator=random) + 3 * torch.eye(5)[labels]
    part = Part(rows, labels, modality="vectors")
    test = replace(part, examples=rows[:30], labels=labels[:30])
    with OwnDraws(0):
        backbone = MLP(features=5, width=8, depth=1)
    about = EncoderDescription(MLPSpec(width=8, depth=1), (5,), (0.0,) * 5, (1.0,) * 5, 8, "")
    encoder = SavedEncoder(backbone, about)
    return Features(encoder, rows, part, rows[:30], test, 3, metric)


def test_the_metric_of_the_set_counts():
    found = features()
    (top1,) = linear(found, seed=0, draws=2)
    assert top1 > 0.9
    uneven = torch.cat([torch.zeros(27, dtype=torch.int64), torch.tensor([1, 1, 2])])
    wrong = replace(found.test_part, labels=uneven)
    by_class = replace(found, metric="mean_per_class", test_part=wrong)
    (mean,) = linear(by_class, seed=0, draws=2)
    (plain,) = linear(replace(by_class, metric="top1"), seed=0, draws=2)
    predictions = found.test_part.labels  # what the probe says, near enough, of the same features
    share = [(predictions[uneven == kind] == kind).double().mean() for kind in range(3)]
    assert mean == pytest.approx(float(sum(share)) / 3, abs=0.2)
    assert mean != plain


def test_few_labels_give_a_value_for_each_draw():
    values = few(features(), seed=0, draws=3)
    assert len(values) == 3
    assert min(values) > 0.8


def test_fine_tuning_learns_with_few_labels_and_leaves_the_encoder_as_it_was(monkeypatch):
    monkeypatch.setattr(protocols, "STEPS", 40)
    found = features()
    before = {name: each.clone() for name, each in found.encoder.state_dict().items()}
    values = fine_tuned(found, seed=0, draws=2)
    assert len(values) == 2
    assert min(values) > 0.8
    assert fine_tuned(found, seed=0, draws=2) == values
    assert all((found.encoder.state_dict()[name] == each).all() for name, each in before.items())


def test_a_fifth_of_each_classs_labels_chooses_and_the_others_teach():
    labels = torch.tensor([0] * 10 + [1] * 10 + [2])
    asked, learnt = protocols._parted(torch.arange(100, 121), labels, seed=0)
    assert sorted([*asked.tolist(), *learnt.tolist()]) == list(range(100, 121))
    assert torch.bincount(labels[asked - 100], minlength=3).tolist() == [2, 2, 0]


def test_several_classes_in_an_example_are_judged_one_against_the_rest():
    found = features()
    labels = found.train_part.labels
    present = torch.where(torch.eye(3)[labels] > 0, 1, -1).to(torch.int8)
    present[:5, 2] = 0
    parts = [
        replace(part, labels=None, multi_labels=present[: len(part)])
        for part in (found.train_part, found.test_part)
    ]
    several = replace(found, train_part=parts[0], test_part=parts[1], metric="voc_11_point_map")
    (value,) = linear(several, seed=0, draws=1)
    assert 0.9 < value <= 1
    assert few(several, seed=0, draws=1) == ()
    assert fine_tuned(several, seed=0, draws=1) == ()


def test_a_run_is_judged_beside_its_first_weights_and_gone_on_with(run, tmp_path, monkeypatch):
    sets = (DigitsSpec(), a_set(tmp_path))
    out = tmp_path / "out"
    judged = []

    def counted(name):
        title, protocol = protocols.PROTOCOLS[name]

        def judge(found, *, seed, draws):
            if len(judged) == 3 and not (out / "transfer.json").exists() and judged[-1] is not None:
                judged.append(None)
                raise KeyboardInterrupt
            judged.append(name)
            return protocol(found, seed=seed, draws=draws)

        return title, judge

    ours = {name: counted(name) for name in protocols.PROTOCOLS}
    monkeypatch.setattr(module, "PROTOCOLS", ours)
    with pytest.raises(KeyboardInterrupt):
        transfer([run], sets, out, draws=2, train_examples=200, test_examples=100)
    assert len(list((out / "cells").iterdir())) == 3
    (out / "cells" / "left.nearfar-unfinished").write_text("half")
    table = transfer([run], sets, out, draws=2, train_examples=200, test_examples=100)
    assert len(judged) == 2 * 2 * len(ours) + 1  # the one that was cut has no figure
    assert [cell.kind for cell in table.cells[:: len(ours)]] == ["pretrained", "random"] * 2
    assert "200 of 1,297 train examples" in " ".join(table.notes)
    assert "no supervised start" in " ".join(table.notes)
    before = len(judged)
    again = transfer([run], sets, out, draws=2, train_examples=200, test_examples=100)
    assert len(judged) == before
    assert again.cells == table.cells
    damaged = next((out / "cells").glob("*.json"))
    damaged.write_text(damaged.read_text().replace("0.", "0.1", 1))
    assert transfer([run], sets, out, draws=2, train_examples=200, test_examples=100).cells == (
        table.cells
    )
    assert len(judged) == before + 1
    rows = list(csv.DictReader((out / "transfer.csv").open()))
    assert {row["set"] for row in rows} == {"digits", "coloured.npz"}
    assert len(json.loads((out / "transfer.json").read_text())["cells"]) == len(table.cells)
    shown = (out / "transfer.html").read_text()
    assert "SimCLR on npz" in shown
    assert "random init, small-resnet" in shown


def test_rates_by_layer_are_of_fine_tuning_alone_and_have_figures_of_their_own(
    run, tmp_path, monkeypatch
):
    rates, adapt = [], protocols.adapt

    def seen(encoder, part, classes, course, **more):
        rates.append((course.layer_decay, course.head_rate))
        return adapt(encoder, part, classes, course, **more)

    monkeypatch.setattr(protocols, "adapt", seen)
    sets, out = [a_set(tmp_path)], tmp_path / "out"

    def transferred(**more):
        """What was fine-tuned by which rates, the figures that there are now, and the notes."""
        rates.clear()
        table = transfer([run], sets, out, draws=1, leave_out=("few",), **more)
        return set(rates), len(list((out / "cells").iterdir())), " ".join(table.notes)

    assert transferred()[:2] == ({(1.0, 1.0)}, 4)
    done, figures, notes = transferred(layer_decay=0.5, head_rate=4.0)
    assert (done, figures) == ({(0.5, 4.0)}, 6)
    layers = "each layer's rate ×0.5 that of the layer above it"
    classifier = "the classifier's rate ×4 that of the network"
    assert f"fine-tuned with {layers} and {classifier}" in notes
    assert transferred(layer_decay=0.5, head_rate=4.0)[:2] == (set(), 6)
    assert transferred()[:2] == (set(), 6)
    monkeypatch.setattr(module, "tells_layers", lambda encoder: False)
    done, figures, notes = transferred(head_rate=4.0)
    assert (done, figures) == ({(1.0, 4.0)}, 8)
    assert f"fine-tuned with {classifier}" in notes  # nothing is said of layers
    with pytest.raises(SettingError, match=r"--layer-decay is 0\.5: .* does not tell its layers"):
        transferred(layer_decay=0.5)


def test_runs_of_one_recipe_share_a_row_and_others_of_its_name_do_not(run, tmp_path):
    second, other = tmp_path / "second", tmp_path / "other"
    judged_otherwise = {"seed": 1, "evaluation": {"baselines": False}}
    for copy, changes in ((second, judged_otherwise), (other, {"training": {"epochs": 9}})):
        shutil.copytree(run, copy)
        config = json.loads((copy / "config.json").read_text())
        for name, value in changes.items():
            config[name] = config[name] | value if isinstance(value, dict) else value
        (copy / "config.json").write_text(json.dumps(config))
        main(["accept", str(copy), "config.json"])
    runs = [run, second, other]
    starts = module._starts(runs, [module.read_recipe(each) for each in runs])
    assert [start.group for start in starts if start.kind == "pretrained"] == [
        *["SimCLR on npz"] * 2,
        "SimCLR on npz (other)",
    ]
    assert [start.seed for start in starts if start.kind == "random"] == [0, 1]
    by_another = replace(
        module.read_recipe(run), method=SimCLRSpec(objective=DebiasedNegSpec(tau_plus=0.2))
    )
    starts = module._starts(runs[:2], [module.read_recipe(run), by_another])
    assert [start.group for start in starts if start.kind == "pretrained"] == [
        "SimCLR by nt_xent on npz",
        "SimCLR by debiased_neg on npz",
    ]
    wider, started = [
        replace(recipe, encoder=replace(recipe.encoder, **changes))
        for recipe, changes in zip(
            map(module.read_recipe, (run, run)), ({"width": 8}, {"start": str(other)}), strict=True
        )
    ]
    starts = module._starts([run, other, run], [module.read_recipe(run), wider, started])
    assert [start.group for start in starts if start.kind == "random"] == [
        "random init, small-resnet",
        "random init, small-resnet (other)",
    ]


def test_a_supervised_start_is_trained_once_where_it_is_asked_for(run, tmp_path):
    settings = {"supervised": True, "draws": 1, "train_examples": 60, "test_examples": 50}
    settings["leave_out"] = ("fine_tuned", "linear")
    table = transfer([run], [DigitsSpec()], tmp_path / "out", **settings)
    assert [cell.kind for cell in table.cells] == ["pretrained", "supervised", "random"]
    weights = (tmp_path / "out/supervised/encoder.safetensors").stat().st_mtime_ns
    again = transfer([run], [DigitsSpec()], tmp_path / "out", **settings)
    assert again.cells == table.cells
    assert (tmp_path / "out/supervised/encoder.safetensors").stat().st_mtime_ns == weights
    trained = module.read_recipe(run)
    longer = replace(trained, training=replace(trained.training, epochs=9))
    with pytest.raises(NearfarError, match="supervised start for a run of other data or settings"):
        module._trained_supervised(longer, tmp_path / "out/supervised", Console())
    given = transfer([run, tmp_path / "out/supervised"], [DigitsSpec()], tmp_path / "b", **settings)
    assert not (tmp_path / "b/supervised").exists()
    assert given.notes == again.notes


def test_what_an_encoder_cannot_take_is_told_and_the_rest_goes_on(run, tmp_path):
    np.savez(tmp_path / "plain.npz", images=np.zeros((30, 8, 8), np.uint8))
    sets = sets_named([f"npz={tmp_path / 'plain.npz'}", "wine", "digits"])
    table = transfer([run], sets, tmp_path / "out", draws=1, train_examples=60, test_examples=50)
    assert {cell.set for cell in table.cells} == {"digits"}
    said = " | ".join(table.notes)
    assert "plain.npz is left out: it has no labels" in said
    assert "wine, SimCLR on npz: this encoder takes" in said


def test_grey_and_coloured_images_serve_each_others_encoders():
    grey = source_from_arrays(np.arange(640, dtype=np.uint8).reshape(10, 8, 8), np.arange(10) % 2)

    coloured = protocols._in_channels(grey.train, "images", 3)
    assert coloured.example_shape == (3, 8, 8)
    assert (protocols._in_channels(coloured, "images", 1).examples == grey.train.examples).all()
    assert protocols._in_channels(coloured, "images", 5) is coloured
    streamed = replace(coloured, examples=JoinedExamples(coloured.examples, coloured.examples))
    back = protocols._in_channels(streamed, "images", 1).examples
    assert back.shape == (1, 8, 8)
    assert (back[len(coloured)] == grey.train.examples[0]).all()


def test_2000_classes_and_long_names_fit_table_and_page():
    name = "<b>" + "long_name_" * 30
    cells = [
        Cell(name, "top1", 2000, 4000, 4000, f"{name} {start}", kind, seed, "linear", (value,))
        for start, kind in (("run", "pretrained"), ("init", "random"))
        for seed, value in enumerate((0.5, 0.7))
    ]
    table = Table(cells, ["a note <i>"])
    (only,) = table.sets()
    assert "2,000 classes" in only.about
    assert [row.scores["linear"].text for row in only.rows] == ["60.0 ± 14.1"] * 2
    assert only.rows[0].scores["few"] is None
    text = page(table)
    assert "<b>" not in text
    assert "&lt;i&gt;" in text
    assert "=cmd" not in Table([replace(cells[0], set="=cmd()")]).as_csv().split("\n")[1].split(",")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "transfer needs at least one run folder"),
        (["runs/x"], "transfer needs --sets: NAME, NAME=ROOT, images or series"),
        (["runs/x", "--sets", "digit"], "did you mean 'digits'"),
        (["runs/x", "--sets", "cifar10=/nonexistent"], "/nonexistent: no such folder"),
        (["runs/x", "--sets", "digits=/tmp"], "digits is inside a package"),
        (["runs/x", "--sets", "digits", "--draws", "0"], "draws is 0: it must be 1 to 1,000"),
        (["runs/x", "--sets", "digits", "--train-examples", "3"], "train_examples is 3"),
        (["runs/x", "--sets", "digits", "--leave-out", "fine_tune"], "did you mean 'fine_tuned'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_read(words, said, capsys):
    assert main(["transfer", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(NearfarError, match="nowhere"):
        transfer([tmp_path / "nowhere"], [DigitsSpec()], tmp_path / "out")


def test_suites_hold_what_is_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = [spec.name for spec in sets_named(["images", "digits"])]
    assert names[0] == "digits"
    assert names.count("digits") == 1
    assert {"fonts", "folder"}.isdisjoint(names)
    (tmp_path / "nearfar/clipart").mkdir(parents=True)
    (tmp_path / "nearfar/fonts").mkdir()
    assert {"fonts", "folder"} <= {spec.name for spec in sets_named(["images"])}
    series = sets_named(["series"])
    assert {spec.modality for spec in series} == {"series"}
    with pytest.raises(SettingError):
        sets_named([])
    assert issubclass(type(series[0]), SourceSpec)


def test_a_source_without_a_test_part_is_no_set():
    part = Part(torch.zeros(4, 3), torch.tensor([0, 1, 0, 1]), modality="vectors")
    assert protocols.unfit(Source("s", part)) == "has no test part"
    assert CrossEntropySpec().reads_labels
