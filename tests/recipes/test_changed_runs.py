"""A run that somebody changed is not taken for the one that was trained."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from small_recipe import small_recipe, write_images

from nearfar.cli.app import main
from nearfar.errors import NearfarError
from nearfar.recipes.run import evaluate_run, resume_run, run_recipe
from nearfar.report.build import write_report
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.manifest import Manifest

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    recipe = small_recipe(folder)
    run_recipe(
        replace(recipe, evaluation=replace(recipe.evaluation, baselines=False)),
        folder / "run",
        console=QUIET,
    )
    return folder / "run"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("nearfar.run_folder.manifest._PATIENCE", ())


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def change(run, file, **changes):
    """Change settings by hand, at any depth, given as `room__name`."""
    record = json.loads((run / file).read_text())
    for name, value in changes.items():
        *rooms, last = name.split("__")
        place = record
        for room in rooms:
            place = place[room]
        place[last] = value
    (run / file).write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method__objective__temperature": 0.1}, r"objective\.temperature 0\.5, not 0\.1"),
        ({"method__objective": "decoupled"}, r"objective\.name nt_xent, not decoupled"),
        ({"views__name": "simclr"}, r"views\.name digits, not simclr"),
        ({"encoder__width": 8}, r"encoder\.width 4, not 8"),
        ({"training__optimizer__learning_rate": 0.5}, r"optimizer\.learning_rate 0\.001, not 0\.5"),
        ({"seed": 3}, r"seed 0, not 3"),
    ],
)
def test_another_experiment_is_not_gone_on_with(run, changes, told):
    change(run, "config.json", **changes)
    before = (run / "environment.json").read_bytes()
    with pytest.raises(NearfarError, match=r"config\.json is not as nearfar wrote it.*accept"):
        resume_run(run, console=QUIET)
    assert main(["accept", str(run), "config.json"]) == 0
    with pytest.raises(NearfarError, match=f"cannot go on from .*{told}.*start a new run"):
        resume_run(run, console=QUIET)
    assert (run / "environment.json").read_bytes() == before


def test_replaced_data_are_not_gone_on_with_and_moved_ones_are(run, tmp_path):
    other = write_images(tmp_path / "other.npz", seed=9)
    change(run, "config.json", data__root=str(other))
    assert main(["accept", str(run), "config.json"]) == 0
    with pytest.raises(NearfarError, match=r"cannot go on .*data \(content\) [0-9a-f]{12}…, not"):
        resume_run(run, console=QUIET)
    arrays = dict(np.load(write_images(tmp_path / "moved.npz")))
    np.savez(tmp_path / "other.npz", **arrays | {"labels": arrays["labels"][::-1]})
    with pytest.raises(NearfarError, match=r"cannot go on .*data \(labels\) "):
        resume_run(run, console=QUIET)
    np.savez(tmp_path / "other.npz", **arrays)
    resume_run(run, console=QUIET)


def test_a_trained_run_whose_checkpoints_were_dropped_is_not_trained_anew(run):
    assert len(list((run / "checkpoints").iterdir())) == 2  # one checkpoint
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(NearfarError, match=r"trained already, .*nearfar evaluate"):
        resume_run(run, console=QUIET)
    evaluate_run(run, console=QUIET)


def test_metrics_shorter_than_the_checkpoint_says_are_not_gone_on_with(run):
    whole = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(whole[:-30])
    with pytest.raises(NearfarError, match=r"metrics\.jsonl is not as nearfar wrote it"):
        resume_run(run, console=QUIET)


def test_another_runs_encoder_is_refused_though_it_is_whole(run, trained, tmp_path):
    recipe = small_recipe(trained.parent, seed=4)
    other = tmp_path / "other"
    run_recipe(
        replace(recipe, evaluation=replace(recipe.evaluation, baselines=False)),
        other,
        console=QUIET,
    )
    for name in ("encoder.json", "encoder.safetensors"):
        shutil.copy(other / name, run / name)
    with pytest.raises(NearfarError, match="or of another run"):
        evaluate_run(run, console=QUIET)
    # A checkpoint of another run is passed over like a damaged one.
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(other / "checkpoints", run / "checkpoints")
    with pytest.raises(NearfarError, match="not the one that this run wrote"):
        resume_run(run, console=QUIET)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"data": []}),
        ("config.json", {"method": "simcrl"}),
        ("config.json", {"method__name": 3}),
        ("config.json", {"training__batch_size": "many"}),
        ("config.json", {"training": None}),
        ("config.json", {"encoder": [1]}),
        ("config.json", {"seed": {}}),
        ("environment.json", {"seconds": "an hour"}),
        ("environment.json", {"seconds": None}),
        ("environment.json", {"command": ["a"]}),
        ("environment.json", {"command": 3}),
        ("environment.json", {"hardware": {}}),
        ("environment.json", {"resumed_at_steps": 3}),
    ],
)
def test_a_wrong_type_that_was_accepted_is_one_line(run, tmp_path, file, changes, capsys):
    change(run, file, **changes)
    assert main(["accept", str(run), file]) == 0
    with pytest.raises(NearfarError, match=f"{file} is damaged: ") as caught:
        write_report([run], tmp_path / "page.html")
    assert "\n" not in str(caught.value)


def set_in_records(run, file, **changes):
    content = (run / file).read_text()
    if file.endswith("l"):
        lines = [json.dumps(json.loads(line) | changes) for line in content.splitlines()]
        (run / file).write_text("\n".join(lines) + "\n")
    else:
        (run / file).write_text(json.dumps([each | changes for each in json.loads(content)]))


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("metrics.jsonl", {"loss": "low"}),
        ("metrics.jsonl", {"epoch": None}),
        ("metrics.jsonl", {"step": 1.5}),
        ("metrics.jsonl", {"kind": 3}),
        ("metrics.jsonl", {"learning_rate": [1]}),
        ("metrics.jsonl", {"top1": "all"}),
        ("evaluation.json", {"value": "high"}),
        ("evaluation.json", {"value": None}),
        ("evaluation.json", {"n": "many"}),
        ("evaluation.json", {"sd": []}),
        ("evaluation.json", {"protocol": 3}),
        ("evaluation.json", {"features": None}),
        ("evaluation.json", {"parameters": []}),
        ("evaluation.json", {"parameters": {"k": "five"}}),
        ("evaluation.json", {"parameters": {"values": 3}}),
        ("evaluation.json", {"parameters": {"shots": 3}}),
    ],
)
def test_a_wrong_type_in_records_is_one_line(run, tmp_path, file, changes, capsys):
    set_in_records(run, file, **changes)
    assert main(["accept", str(run), file]) == 0
    with pytest.raises(NearfarError, match=f"{file} is damaged: ") as caught:
        write_report([run], tmp_path / "page.html")
    assert "\n" not in str(caught.value)


def test_a_report_of_an_environment_without_its_start_is_written(run, tmp_path):
    environment = json.loads((run / "environment.json").read_text())
    del environment["started"]
    (run / "environment.json").write_text(json.dumps(environment))
    assert main(["accept", str(run), "environment.json"]) == 0
    write_report([run], tmp_path / "page.html")
    resume_run(run, console=QUIET)


def test_a_run_made_before_manifests_says_how_it_is_used(run, capsys):
    Manifest(run).path.unlink()
    with pytest.raises(NearfarError, match=r"holds no run\.json.*earlier nearfar.*accept"):
        evaluate_run(run, console=QUIET)
    assert main(["accept", str(run)]) == 0
    assert RunFolder.open(run).read_evaluation()
