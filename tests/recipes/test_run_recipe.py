import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file
from small_recipe import light_recipe, small_recipe, write_images

from nearfar.data.specs import NpzSpec
from nearfar.encoders.saved import load_encoder
from nearfar.errors import NearfarError, SettingError
from nearfar.recipes import judging
from nearfar.recipes.assembly import assemble, untrained_encoder
from nearfar.recipes.config_json import read_recipe, recipe_to_json
from nearfar.recipes.example_format import format_of
from nearfar.recipes.run import evaluate_run, resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder and what was printed."""
    folder = tmp_path_factory.mktemp("trained")
    console = Console(file=io.StringIO(), width=80)
    run_recipe(small_recipe(folder), folder / "run", console=console)
    return folder / "run", console.file.getvalue()


@pytest.fixture(scope="module")
def lightly_judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("light")
    run_quietly(light_recipe(folder), folder / "run")
    return folder / "run"


def run_quietly(recipe, out, **options):
    return run_recipe(recipe, out, console=Console(quiet=True), **options)


def weights(run):
    return load_file(run / "encoder.safetensors")


def assert_same_weights(first, second):
    first, second = weights(first), weights(second)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_run_leaves_everything_that_was_promised(trained):
    run, _ = trained
    for name in (
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "encoder.safetensors",
        "encoder.json",
        "evaluation.json",
        "evaluation.npz",
        "report.html",
    ):
        assert (run / name).stat().st_size > 0, name
    assert read_recipe(run) == small_recipe(run.parent)


def test_the_encoder_is_judged_beside_both_baselines(trained):
    records = json.loads((trained[0] / "evaluation.json").read_text())
    for protocol in ("knn", "linear_probe", "few_labels"):
        kinds = {record["features"] for record in records if record["protocol"] == protocol}
        assert kinds == {"encoder", "untrained", "raw"}, protocol


def test_the_knn_check_is_logged_each_epoch(trained):
    lines = [json.loads(line) for line in (trained[0] / "metrics.jsonl").read_text().splitlines()]
    checks = [line for line in lines if line["kind"] == "knn"]
    assert [check["epoch"] for check in checks] == [1, 2]
    assert all(0 <= check["top1"] <= check["top5"] <= 1 for check in checks)


def test_a_person_reads_what_is_trained_and_how_it_came_out(trained):
    run, printed = trained
    for words in (
        "68 images of 1 channel, 8×8 (8 held out for the kNN check)",
        "small-resnet",
        "CPU",
        "Raw data",
        "report: ",
    ):
        assert words in printed
    assert str(run / "report.html") in printed.replace("\n", "")


def test_the_same_recipe_gives_the_same_weights_and_another_seed_does_not(trained, tmp_path):
    run, _ = trained
    recipe = light_recipe(run.parent)
    run_quietly(recipe, tmp_path / "again")
    assert_same_weights(run, tmp_path / "again")
    run_quietly(replace(recipe, seed=1), tmp_path / "other")
    with pytest.raises(AssertionError):
        assert_same_weights(run, tmp_path / "other")


def test_the_untrained_baseline_has_the_weights_that_training_began_with(tmp_path):
    recipe = small_recipe(tmp_path)
    assembly = assemble(recipe)
    began = assembly.method.encoder.state_dict()
    baseline = untrained_encoder(recipe, assembly.format).backbone.state_dict()
    assert all((began[name] == baseline[name]).all() for name in began)


def test_building_the_weights_leaves_the_global_generator_alone(tmp_path):
    import torch

    recipe = small_recipe(tmp_path)
    image_format = format_of(recipe, assemble(recipe).part)
    before = torch.get_rng_state()
    untrained_encoder(recipe, image_format)
    assert torch.equal(before, torch.get_rng_state())


def test_a_run_that_ended_after_training_is_finished_by_resume(lightly_judged, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(lightly_judged, run)
    for name in ("encoder.safetensors", "encoder.json", "evaluation.json", "report.html"):
        (run / name).unlink()
    resume_run(run, console=Console(quiet=True))
    assert_same_weights(lightly_judged, run)
    assert (run / "report.html").is_file()


def test_a_run_that_is_judged_is_not_judged_again_by_resume(trained, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    (run / "report.html").unlink()
    before = (run / "evaluation.json").stat().st_mtime_ns
    console = Console(file=io.StringIO(), width=200)
    with monkeypatch.context() as patched:
        patched.setattr("nearfar.recipes.judging.evaluate", lambda *_, **__: pytest.fail("judged"))
        resume_run(run, console=console)
    assert "judged already" in console.file.getvalue()
    assert (run / "report.html").is_file()
    assert (run / "evaluation.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "change",
    [
        {"few_labels": {"draws": 3}},
        {"seed": 1},
        {"leave_out": ("few_labels", "linear_probe", "map")},
    ],
)
def test_a_run_judged_by_other_settings_is_judged_again_by_resume(lightly_judged, tmp_path, change):
    run = tmp_path / "run"
    shutil.copytree(lightly_judged, run)
    recipe = light_recipe(lightly_judged.parent)
    folder = RunFolder(run)
    changed = replace(recipe, evaluation=replace(recipe.evaluation, **change))
    folder.write_config(recipe_to_json(changed, run=run))
    resume_run(run, console=Console(quiet=True))
    kept = folder.read_evaluation_arrays()["evaluation_settings"]
    assert str(kept) == changed.evaluation.as_text()


def test_a_taken_folder_is_refused_and_stays_as_it_was(trained):
    run, _ = trained
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(NearfarError, match="holds a run already"):
        run_quietly(small_recipe(run.parent), run)
    assert (run / "metrics.jsonl").read_bytes() == before


def test_overwrite_replaces_a_run(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    run_quietly(light_recipe(trained[0].parent, seed=5), run, overwrite=True)
    assert read_recipe(run).seed == 5


def test_overwrite_keeps_the_old_run_where_the_new_one_cannot_start(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    recipe = small_recipe(trained[0].parent)
    too_large = replace(recipe, training=replace(recipe.training, batch_size=77))
    with pytest.raises(SettingError, match="which is 68"):
        run_quietly(too_large, run, overwrite=True)
    assert_same_weights(trained[0], run)


def test_a_refused_run_leaves_no_folder(tmp_path):
    recipe = small_recipe(tmp_path)
    gone = replace(recipe, data=replace(recipe.data, root=tmp_path / "gone.npz"))
    with pytest.raises(SettingError, match=r"gone\.npz"):
        run_quietly(gone, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_evaluating_again_gives_the_same_figures(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    (run / "evaluation.json").unlink()
    evaluate_run(run, console=Console(quiet=True))
    again, first = (
        json.loads((path / "evaluation.json").read_text()) for path in (run, trained[0])
    )
    assert again == first


def test_where_a_device_has_no_float64_the_processor_judges(lightly_judged, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "NO_FLOAT64", "cpu")
    again = evaluate_run(lightly_judged, out=tmp_path / "again")
    assert again.read_evaluation() == RunFolder(lightly_judged).read_evaluation()


def test_other_data_are_judged_beside_the_run_and_leave_it_alone(lightly_judged, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(lightly_judged, run)
    before = (run / "evaluation.json").read_bytes()
    other = NpzSpec(root=write_images(tmp_path / "other.npz", seed=9))
    found = evaluate_run(run, data=other, console=Console(quiet=True))
    assert found.path.parent == run
    assert re.fullmatch(r"on-other-[0-9a-f]{8}", found.path.name)
    assert (run / "evaluation.json").read_bytes() == before
    assert read_recipe(found.path).data == other
    page = found.report.read_text()
    assert f"the encoder of the run {run.resolve()}" in page
    assert str(tmp_path / "other.npz") in page
    assert "on its own data.</p>" in page


def test_scores_on_one_data_set_do_not_overwrite_those_on_another(lightly_judged, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(lightly_judged, run)
    quiet = Console(quiet=True)

    def judged(file, seed, **settings):
        data = NpzSpec(root=write_images(tmp_path / file, seed=seed))
        return evaluate_run(run, data=data, console=quiet, **settings)

    first = judged("a/other.npz", 8)
    scores = first.evaluation.read_bytes()
    assert judged("b/other.npz", 9).path != first.path  # of the same name
    again = judged("a/other.npz", 10)  # and at the same place
    assert again.path != first.path
    assert first.evaluation.read_bytes() == scores
    with pytest.raises(NearfarError, match="holds scores on these data already: pass --overwrite"):
        judged("c/other.npz", 8)
    assert judged("c/other.npz", 8, overwrite=True).path == first.path
    elsewhere = judged("c/other.npz", 8, out=tmp_path / "elsewhere")
    assert elsewhere.path == tmp_path / "elsewhere"
    with pytest.raises(NearfarError, match="holds scores"):
        judged("c/other.npz", 8, out=tmp_path / "elsewhere")


@pytest.mark.parametrize("overwrite", [False, True])
def test_scores_overwrite_no_run_and_nothing_else(trained, tmp_path, overwrite):
    data = NpzSpec(root=write_images(tmp_path / "other.npz", seed=9))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    for out, said in [
        (trained[0], "a run of its own"),
        (tmp_path / "full", "thesis.txt is there"),
        (tmp_path / "file", "no folder"),
    ]:
        with pytest.raises(NearfarError, match=said):
            evaluate_run(
                trained[0], data=data, out=out, overwrite=overwrite, console=Console(quiet=True)
            )


def test_the_runs_own_data_elsewhere_leave_the_run_as_it_was(trained, tmp_path):
    before = (trained[0] / "evaluation.json").stat().st_mtime_ns
    found = evaluate_run(trained[0], out=tmp_path / "again", console=Console(quiet=True))
    assert found.path == tmp_path / "again"
    assert found.evaluation.read_bytes() == (trained[0] / "evaluation.json").read_bytes()
    assert (trained[0] / "evaluation.json").stat().st_mtime_ns == before


def test_data_of_other_channels_are_refused(trained, tmp_path):
    other = NpzSpec(root=write_images(tmp_path / "rgb.npz", channels=3))
    with pytest.raises(SettingError, match="takes images of 1 channel"):
        evaluate_run(trained[0], data=other, console=Console(quiet=True))


def test_images_without_labels_train_too(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    run_quietly(small_recipe(tmp_path), tmp_path / "run")
    assert load_encoder(tmp_path / "run").shape[0] == 3
    assert (tmp_path / "run" / "report.html").is_file()
