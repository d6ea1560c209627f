"""The second encoder of pairs is frozen, adapted and begun as the first is, and saved plain."""

import io
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tests.recipes.cut_run import goes_on_to_the_same_bits
from tests.recipes.paired_recipe import QUIET, recipe, write_pairs

from nearfar.cli.app import main
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.freezing import training_mode
from nearfar.encoders.saved import load_encoder, load_head
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec, TextTransformerSpec
from nearfar.errors import SettingError
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.recipes.assembly import assemble, untrained_towers
from nearfar.recipes.config_json import read_recipe, recipe_from_json, recipe_to_json
from nearfar.recipes.experiment import experiment_of
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import run_recipe
from nearfar.recipes.start import second_start_again
from nearfar.run_folder.folder import RunFolder
from nearfar.training.ranks import Ranks

TRANSFORMER = TextTransformerSpec(width=16, depth=2, dropout=0.1)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def run(pairs, tmp_path_factory):
    """A run of pairs, not judged, with a queue."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    first = SmallResNetSpec(width=4)
    config = recipe(pairs, encoder=first, method={"second_encoder": TRANSFORMER, "queue_size": 32})
    run_recipe(config, folder, console=QUIET, judge=False)
    return folder


def adapted(pairs, second_adapt, second_encoder=TRANSFORMER, **changed):
    method = {"second_encoder": second_encoder, "second_adapt": second_adapt}
    return recipe(pairs, method=method | changed.pop("method", {}), **changed)


@pytest.mark.parametrize(
    ("adapt", "changed"),
    [
        (AdaptSpec(freeze="backbone"), ()),
        (AdaptSpec(freeze=2), ("blocks.1", "norm.")),
        (AdaptSpec(lora_rank=2), ("qkv.weight", "proj.weight")),
    ],
)
def test_what_is_kept_stays_and_what_is_saved_is_plain(pairs, tmp_path, adapt, changed):
    config = adapted(pairs, adapt, training={"epochs": 1})
    plain = adapted(pairs, AdaptSpec())
    before = assemble(plain).method.second_encoder.state_dict()
    run_recipe(config, tmp_path / "run", console=QUIET, judge=False)
    held = load_file(tmp_path / "run" / "second_encoder.safetensors")
    assert held.keys() == before.keys()
    moved = {name for name in held if not torch.equal(held[name], before[name])}
    assert moved == {name for name in held if any(each in name for each in changed)}
    assert read_recipe(tmp_path / "run").method == config.method
    assert load_encoder(tmp_path / "run", "embedding", tower="second")(["top"]).shape == (1, 8)


def test_saved_with_adapters_it_gives_what_the_trained_one_gave(pairs, tmp_path, monkeypatch):
    made = {}

    def kept(*arguments, **named):
        made["assembly"] = assemble(*arguments, **named)
        return made["assembly"]

    monkeypatch.setattr("nearfar.recipes.run.assemble", kept)
    config = adapted(pairs, AdaptSpec(lora_rank=3), training={"epochs": 1})
    run_recipe(config, tmp_path / "run", console=QUIET, judge=False)
    tower = made["assembly"].method.second_tower
    second = load_encoder(tmp_path / "run", "embedding", tower="second")
    rows = torch.zeros(2, second.shape[0], dtype=torch.uint8)
    rows[0, :3] = torch.tensor(list(b"top"))
    with torch.no_grad():
        expected = tower.head.eval()(tower.encoder.eval()(rows))
        torch.testing.assert_close(second(rows), expected)
    # The baseline of random weights is the network without what adapters learnt.
    towers = untrained_towers(config, made["assembly"].format)
    plain = assemble(adapted(pairs, AdaptSpec())).method.second_encoder.eval()
    with torch.no_grad():
        torch.testing.assert_close(towers.second.backbone(rows), plain(rows))


@pytest.mark.parametrize(
    ("adapt", "queue"), [(AdaptSpec(freeze="backbone"), 0), (AdaptSpec(lora_rank=2), 32)]
)
def test_a_run_that_was_cut_goes_on_to_the_same_bits(pairs, tmp_path, adapt, queue):
    goes_on_to_the_same_bits(adapted(pairs, adapt, method={"queue_size": queue}), tmp_path)


def test_only_what_is_left_is_trained_and_a_frozen_tower_drops_nothing(pairs):
    locked = assemble(adapted(pairs, AdaptSpec(freeze="backbone"))).method
    training_mode(locked)
    assert not any(each.requires_grad for each in locked.second_encoder.parameters())
    assert not any(each.training for each in locked.second_encoder.modules())
    assert all(each.requires_grad for each in locked.second_projection.parameters())
    assert all(each.requires_grad for each in locked.encoder.parameters())
    assert all(each.training for each in locked.encoder.modules())
    method = assemble(adapted(pairs, AdaptSpec(lora_rank=2))).method
    named = method.second_encoder.named_parameters()
    trained = [name for name, each in named if each.requires_grad]
    assert len(trained) == 2 * 2 * 2
    assert all(name.endswith((".a", ".b")) for name in trained)


def test_settings_of_the_first_encoder_leave_the_second_alone_and_the_other_way(pairs):
    both = assemble(adapted(pairs, AdaptSpec(freeze=1), adapt=AdaptSpec(freeze="backbone"))).method
    assert not any(each.requires_grad for each in both.encoder.parameters())
    trained = {name: each.requires_grad for name, each in both.second_encoder.named_parameters()}
    assert not trained["embedding.weight"]
    assert all(wanted for name, wanted in trained.items() if name.startswith("blocks"))


def test_the_head_of_a_run_goes_on_and_so_does_its_slow_copy(pairs, run):
    start = str(run / "second_encoder.json")
    config = adapted(
        pairs,
        AdaptSpec(head="start", freeze="backbone"),
        replace(TRANSFORMER, start=start),
        method={"queue_size": 16},
    )
    begun = assemble(config)
    held = load_file(run / "second_head.safetensors")
    for head in (begun.method.second_projection, begun.method.second_momentum_projection):
        assert all(torch.equal(held[name], value) for name, value in head.state_dict().items())
    assert begun.second_start.lines[-1].startswith("its projection head too")
    plain = assemble(adapted(pairs, AdaptSpec(), method={"queue_size": 16})).method
    assert torch.equal(begun.method.projection.weight, plain.projection.weight)
    told = experiment_of(begun)
    assert told["method.second_adapt.head (content)"] == begun.second_start.origin.head
    assert told["method.second_adapt.freeze"] == "backbone"


def test_a_head_that_is_built_otherwise_begins_anew_and_says_so(pairs, run):
    spec = replace(TRANSFORMER, start=str(run))  # the first encoder's folder: nothing fits
    with pytest.raises(SettingError, match=r"^method\.second_encoder\.start: .*nothing of it fits"):
        assemble(adapted(pairs, AdaptSpec(head="start"), spec))
    spec = replace(TRANSFORMER, start=str(run / "second_encoder.json"))
    method = {"second_head": "mlp"}
    begun = assemble(adapted(pairs, AdaptSpec(head="start"), spec, method=method))
    assert "begins anew: the start's projection head is linear" in begun.second_start.lines[-1]


def test_before_a_checkpoint_another_head_than_the_recorded_one_is_refused(pairs, run, tmp_path):
    spec = replace(TRANSFORMER, start=str(run / "second_encoder.json"))
    config = adapted(pairs, AdaptSpec(head="start"), spec)
    folder = RunFolder.create(tmp_path / "run")
    begun = assemble(config)
    record = begun.second_start.as_json()
    folder.write_start(record, "second")
    again = second_start_again(config.method, folder, Ranks())
    assert again.origin.same(begun.second_start.origin)
    assert again.head is not None
    folder.write_start(record | {"head": "0" * 64}, "second")
    with pytest.raises(Exception, match="no longer those of"):
        second_start_again(config.method, folder, Ranks())


def test_runs_from_before_these_settings_are_the_experiment_that_they_were(pairs):
    config = recipe(pairs)
    assert not any("second_adapt" in name for name in experiment_of(assemble(config)))
    values = recipe_to_json(config)
    del values["method"]["second_adapt"]
    assert recipe_from_json(values).method == config.method


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--method.second-adapt.lora-rank 2", "method.second_adapt.lora_layers is attention: a"),
        ("--method.second-adapt.freeze 9", "method.second_adapt.freeze is 9: this encoder has 1"),
        ("--method.second-adapt.freeze-batch-norm", "method.second_adapt.freeze_batch_norm: this"),
        ("--method.second-adapt.lora-alpha 4", "give method.second_adapt.lora_rank too"),
        ("--method.second-adapt.head start", "method.second_encoder.start names none: name a run"),
        (
            "--method.second-adapt.freeze backbone --method.second-adapt.lora-rank 2",
            "method.second_adapt.freeze is backbone: adapters keep all of the encoder",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(pairs, tmp_path, capsys, words, said):
    asked = "train --method clip --views digits --views.count 1 --method.second-encoder text-bag"
    data = f"--data image-pairs-npz --data.root {pairs} --training.batch-size 16"
    assert main([*f"{asked} {data} {words}".split(), "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert said in " ".join(told.split())
    assert not (tmp_path / "run").exists()


def test_the_header_and_the_list_of_settings_tell_of_it(pairs, tmp_path, capsys):
    console = Console(file=io.StringIO(), width=300)
    config = adapted(pairs, AdaptSpec(lora_rank=2), training={"epochs": 1})
    run_recipe(config, tmp_path / "run", console=console, judge=False)
    told = console.file.getvalue()
    assert "second encoder  text-transformer, 0.01 M weights, 0.00 M of them trained" in told
    assert "second adapt (lora rank 2)" in " ".join(told.split())
    assert main(["methods", "clip"]) == 0
    assert capsys.readouterr().out.count("second-adapt.NAME") == 1
    assert main(["methods", "clip", "--json"]) == 0
    assert '"second_adapt.lora_rank"' in capsys.readouterr().out


def test_with_from_a_run_of_pairs_both_encoders_and_heads_go_on(run, tmp_path, capsys):
    rate = "--training.optimizer.learning-rate 1e-12 --training.epochs 1 --training.knn-every 0"
    words = ["train", "--from", str(run), *rate.split(), "--evaluation.baselines", "False"]
    words += ["--evaluation.leave-out", "knn", "geometry", "map", "gallery", "linear_probe"]
    assert main([*words, "--out", str(tmp_path / "on")]) == 0
    assert capsys.readouterr().out.count("its projection head too") == 2
    told = read_recipe(tmp_path / "on").method
    assert told.second_adapt.head == "start"
    assert told.second_encoder.start == str(run / "second_encoder.json")
    for file in ("encoder", "head", "second_encoder", "second_head"):
        was, now = (load_file(each / f"{file}.safetensors") for each in (run, tmp_path / "on"))
        for name in was:
            if "running" not in name and "num_batches" not in name:
                torch.testing.assert_close(now[name], was[name], rtol=1e-5, atol=1e-7)
    assert load_head(tmp_path / "on" / "second_encoder.json")[0].name == "linear"


def test_an_adapted_bag_is_not_needed_to_be_one_of_pairs():
    """Settings of a method of one kind have no second encoder."""
    with pytest.raises(SettingError, match=r"method\.second_adapt.*belongs to clip"):
        Recipe(method={"name": "simclr", "second_adapt": {"freeze": 1}})
    assert CLIPSpec(second_encoder=TextBagSpec()).second_side.adapt == AdaptSpec()
