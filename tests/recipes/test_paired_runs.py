"""Pairs of two kinds are trained on, saved and gone on with; what does not fit is refused."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from small_recipe import light_recipe
from tests.recipes.cut_run import goes_on_to_the_same_bits
from tests.recipes.paired_recipe import PLACES, QUIET, recipe, write_pairs

from nearfar.data.paired_specs import ImagePairsFolderSpec, ImagePairsNpzSpec
from nearfar.data.specs import NpzSpec
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.saved import load_encoder, load_head
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.clip_spec import ClipObjectiveSpec, CLIPSpec, SigmoidObjectiveSpec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.experiment import experiment_of
from nearfar.recipes.run import evaluate_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.testing import run_on_ranks
from nearfar.training.averaging import StepAverage
from nearfar.training.ranks import Ranks
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import DigitsViewsSpec


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def run(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run_recipe(recipe(pairs, training={"ema": 0.9}), folder, console=QUIET)
    return folder


def test_both_encoders_are_saved_and_found(run):
    first = load_encoder(run, "embedding")
    second = load_encoder(run, "embedding", tower="second")
    assert (first.modality, second.modality) == ("images", "texts")
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    assert first(images).shape == second(list(PLACES[:3])).shape == (3, 8)
    for file in ("second_encoder.json", "second_encoder.safetensors", "second_head.safetensors"):
        named = load_encoder(run / file, "embedding")
        assert torch.equal(named(list(PLACES)), second(list(PLACES)))
    spec, _ = load_head(run / "second_encoder.json")
    assert spec.name == "linear"
    assert load_encoder(run, tower="second").num_features == 16
    with pytest.raises(SettingError, match="is of the second encoder, and not the first"):
        load_encoder(run / "second_head.safetensors", tower="first")


def test_damage_of_the_second_encoder_shows(run, tmp_path):
    for file in ("second_encoder.json", "second_encoder.safetensors"):
        (tmp_path / file).write_bytes((run / file).read_bytes())
    weights = tmp_path / "second_encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(NearfarError, match=r"second_encoder\.safetensors is damaged.*accept"):
        load_encoder(tmp_path, tower="second")
    with pytest.raises(NearfarError, match=r"there is no encoder\.json"):
        load_encoder(tmp_path)


def test_settings_are_read_again_as_they_were(pairs, run):
    assert read_recipe(run).method == recipe(pairs).method


def test_what_is_logged_tells_of_both_kinds(run):
    steps = [line for line in RunFolder(run).read_metrics() if line["kind"] == "step"]
    assert {"modality_gap", "scale", "mutual_information_bound"} <= steps[-1].keys()
    assert steps[-1]["mutual_information_bound"] <= np.log(16)


@pytest.mark.parametrize("objective", [ClipObjectiveSpec(), SigmoidObjectiveSpec()])
def test_a_run_that_was_cut_goes_on_to_the_same_bits(pairs, tmp_path, objective):
    config = recipe(pairs, method={"objective": objective, "second_encoder": TextBagSpec(width=8)})

    goes_on_to_the_same_bits(config, tmp_path)


def _gradients(rank, count, pairs):
    """Of the first batch, whose images are as they are: processes draw views of their own."""
    run = assemble(recipe(pairs))
    images, _, indices = next(iter(run.batches.epoch(0)))
    beside = run.batches.beside(indices, torch.Generator())
    # In evaluation mode batch-norm does not see who is in a share.
    method = run.method.double().eval()
    parameters = list(method.parameters())
    average = StepAverage(method, parameters, Ranks(rank, count))
    (loss,) = average.last_pass(method((images.double() / 255, beside)))
    loss.backward()
    loss = loss.detach()
    average.finish(loss)
    return len(images), loss, [each.grad for each in parameters]


@pytest.mark.slow
def test_two_ranks_with_their_own_pairs_are_one_process(pairs, tmp_path):
    _, loss, gradients = _gradients(0, 1, pairs)
    for share, found_loss, found in run_on_ranks(2, _gradients, tmp_path, pairs):
        assert share == 8
        torch.testing.assert_close(found_loss, loss, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found, gradients, rtol=1e-8, atol=1e-10)


def test_a_run_on_parts_of_a_batch_and_with_a_locked_encoder(pairs, tmp_path):
    config = recipe(
        pairs,
        adapt=AdaptSpec(freeze="backbone"),
        method={"head": "identity"},
        training={"micro_batch_size": 8, "epochs": 1},
    )
    before = {name: value.clone() for name, value in assemble(config).method.state_dict().items()}
    run_recipe(config, tmp_path / "run", console=QUIET, judge=False)
    first = load_encoder(tmp_path / "run")
    for name, value in first.backbone.state_dict().items():
        assert torch.equal(value, before[f"encoder.{name}"]), name
    second = load_encoder(tmp_path / "run", "embedding", tower="second")
    assert second(["anything"]).shape == (1, first.num_features)


def test_the_second_encoder_begins_with_given_weights(pairs, run, tmp_path):
    second = {"width": 16, "buckets": 512, "dropout": 0.0, "tokens": "bpe", "vocabulary": 300}
    start = run / "second_encoder.json"
    config = recipe(pairs, method={"second_encoder": TextBagSpec(start=str(start), **second)})
    held = load_file(run / "second_encoder.safetensors")
    begun = assemble(config)
    for name, value in begun.method.second_encoder.state_dict().items():
        assert torch.equal(value, held[name]), name
    plain = assemble(recipe(pairs)).method.state_dict()
    for name, value in begun.method.state_dict().items():
        if not name.startswith("second_encoder."):
            assert torch.equal(value, plain[name]), name
    made = experiment_of(begun)["method.second_encoder.start (content)"]
    assert made == begun.second_start.origin.sha256

    goes_on_to_the_same_bits(config, tmp_path)


def test_what_the_second_encoder_began_with_is_recorded_and_shown(pairs, run, tmp_path):
    weights = run / "second_encoder.safetensors"
    spec = TextBagSpec(width=16, buckets=512, tokens="bpe", vocabulary=300, start=str(weights))
    config = recipe(pairs, method={"second_encoder": spec}, training={"epochs": 1})
    console = Console(file=io.StringIO(), width=200)
    run_recipe(config, tmp_path / "run", console=console)
    title = f"the second encoder of the run {run.resolve()} (text-bag)"
    assert RunFolder(tmp_path / "run").read_start("second")["title"] == title
    assert RunFolder(tmp_path / "run").read_start() == {}
    assert f"start           {title}" in console.file.getvalue()
    assert f"the second one: {title}" in (tmp_path / "run" / "report.html").read_text()
    for named, said in (
        (tmp_path / "nowhere", r"^method\.second_encoder\.start .*nowhere: no such run"),
        (run / "encoder.json", r"^method\.second_encoder\.start: .*nothing of it fits"),
    ):
        config = recipe(pairs, method={"second_encoder": TextBagSpec(start=str(named))})
        with pytest.raises(SettingError, match=said):
            run_recipe(config, tmp_path / "x", console=QUIET)


def test_images_of_two_folders_are_learnt_from_by_two_encoders(tmp_path):
    random = np.random.default_rng(0)
    for number in range(40):
        levels = random.integers(0, 256, (16, 16), dtype=np.uint8)
        for kind, pixels in (("photos", levels), ("sketches", levels[::2, ::2])):
            file = tmp_path / "pairs" / kind / "ab"[number % 2] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    config = light_recipe(
        tmp_path,
        data=ImagePairsFolderSpec(root=tmp_path / "pairs"),
        views=DigitsViewsSpec(count=1),
        method=CLIPSpec(
            projection_dim=8,
            second_encoder=SmallResNetSpec(width=4),
            second_views=DigitsViewsSpec(count=1),
        ),
        training=TrainingSpec(epochs=1, batch_size=8, device="cpu", precision="fp32", threads=1),
    )
    run_recipe(config, tmp_path / "run", console=QUIET)
    first, second = (load_encoder(tmp_path / "run", tower=each) for each in ("first", "second"))
    assert (first.shape, second.shape) == ((1, 16, 16), (1, 8, 8))
    records = RunFolder(tmp_path / "run").read_evaluation()
    assert "pair_alignment" in {record["protocol"] for record in records}


def test_data_of_one_kind_and_methods_of_one_kind_are_refused_before_they_are_read(pairs, tmp_path):
    config = recipe(pairs, data=NpzSpec(root=tmp_path / "not there.npz"))
    with pytest.raises(
        SettingError, match="CLIP learns from pairs of two kinds, and npz gives one"
    ):
        run_recipe(config, tmp_path / "run", console=QUIET)
    spec = ImagePairsNpzSpec(root=tmp_path / "not there.npz")
    config = light_recipe(tmp_path, data=spec)
    with pytest.raises(SettingError, match="pairs its examples with texts, and SimCLR learns from"):
        run_recipe(config, tmp_path / "run", console=QUIET)
    spec = ImagePairsNpzSpec(root=pairs, second_kind="series")
    with pytest.raises(SettingError, match=r"method\.second_encoder text-bag is for texts"):
        run_recipe(recipe(pairs, data=spec), tmp_path / "run", console=QUIET)


def test_a_run_of_one_kind_judges_pairs_and_one_of_pairs_other_data(pairs, run, tmp_path):
    evaluate_run(run, data=light_recipe(tmp_path).data, out=tmp_path / "scores", console=QUIET)
    assert (tmp_path / "scores" / "report.html").is_file()
