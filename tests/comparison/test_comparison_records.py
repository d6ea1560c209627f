"""A finished run is kept as a line of a file that is committed."""

import json
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest
from tests.comparison.fake_runs import COUNTS, fake_record
from tools.comparison.experiments import experiments
from tools.comparison.records import CAME_LATER, RecordFile, fingerprint

from nearfar.data.specs import STL10Spec
from nearfar.errors import NearfarError
from nearfar.evaluation.accuracy_specs import LinearProbeSpec
from nearfar.recipes.config_json import recipe_to_json
from nearfar.training.specs import AdamWSpec

RECIPE = experiments()["paco-fashion-lt"]


def changed(room: str, **settings):
    return replace(RECIPE, **{room: replace(getattr(RECIPE, room), **settings)})


def test_a_record_comes_back_as_it_was_added(tmp_path):
    file = RecordFile(tmp_path / "runs.jsonl")
    assert file.read() == {}
    records = [
        fake_record("paco-fashion-lt", replace(RECIPE, seed=seed), tmp_path, 0.8, classifier=True)
        for seed in (1, 0)
    ]
    file.add(records)
    assert file.read() == {("paco-fashion-lt", each.seed): each for each in records}
    assert records[0].class_counts == tuple(COUNTS)
    assert records[0].class_accuracies["classifier"] == (0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert records[0].environment.seconds == 180
    lines = [json.loads(line) for line in file.path.read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0, 1]
    kept = [(score["protocol"], score["parameters"]) for score in lines[0]["scores"]]
    assert kept == [
        ("knn", {"k": 200, "temperature": 0.1, "transform": "as is"}),
        ("knn", {"k": 20, "temperature": 0.07, "transform": "whitened 1"}),
        ("few_labels", {"labels_per_class": 10}),
        ("linear_probe", {"l2": 0.1}),
        ("classifier", {}),
    ]


def test_a_run_has_one_record(tmp_path):
    file = RecordFile(tmp_path / "runs.jsonl")
    file.add([fake_record("a", RECIPE, tmp_path / "before", 0.8)])
    file.add([fake_record("b", RECIPE, tmp_path, 0.8)])
    now = fake_record("a", changed("training", epochs=7), tmp_path, 0.9)
    file.add([now])
    assert list(file.read()) == [("a", 0), ("b", 0)]
    assert file.read()["a", 0] == now


@pytest.mark.parametrize(
    "recipe",
    [
        changed("data", root=Path("elsewhere")),
        changed("data", download=True),
        changed("training", threads=2, knn_every=0, checkpoint_every=3, keep_checkpoints=5),
        replace(RECIPE, recipe="another-name"),
    ],
)
def test_where_images_lie_and_what_is_saved_do_not_tell_runs_apart(recipe):
    assert fingerprint(recipe) == fingerprint(RECIPE)


def test_nor_do_how_many_read_and_what_is_held_in_memory():
    stream, hold = STL10Spec(workers=0, in_memory_mib=1), STL10Spec(train_part="train")
    assert fingerprint(replace(RECIPE, data=stream)) == fingerprint(replace(RECIPE, data=hold))


@pytest.mark.parametrize(
    "recipe",
    [
        changed("data", held_out=0.2),
        changed("views", flip=0.25),
        changed("encoder", width=17),
        changed("method", temperature=0.3),
        changed("training", optimizer=AdamWSpec(learning_rate=0.5)),
        changed("training", precision="fp32"),
        changed("data", imbalance_factor=10.0, tail_order="drawn"),
        changed("evaluation", baselines=not RECIPE.evaluation.baselines),
        changed("evaluation", linear_probe=LinearProbeSpec(balanced=True)),
        replace(RECIPE, seed=1),
    ],
)
def test_what_decides_the_outcome_does(recipe):
    assert fingerprint(recipe) != fingerprint(RECIPE)


def test_settings_that_came_later_tell_runs_apart_only_where_they_change_something():
    nested = [recipe_to_json(recipe) for recipe in experiments().values()]
    for path, unchanged in CAME_LATER.items():
        *rooms, name = path.split(".")
        holders = [reduce(lambda room, key: room.get(key, {}), rooms, each) for each in nested]
        assert unchanged in [each[name] for each in holders if name in each], path
    optimizer = replace(RECIPE.training.optimizer, layer_decay=0.5)
    assert fingerprint(changed("training", optimizer=optimizer)) != fingerprint(RECIPE)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda line: line[: len(line) // 2], "line 1, is damaged: Invalid JSON"),
        (lambda line: "<<<<<<< HEAD\n" + line, "line 1, is damaged: Invalid JSON"),
        (lambda line: line.replace('"seconds": 120.0', '"seconds": "long"'), "environment.seconds"),
        (lambda line: line + line.replace("120.0", "121.0"), "line 2, is another record of a, se"),
    ],
)
def test_a_damaged_file_is_named_with_its_line_and_left_as_it_is(tmp_path, damage, told):
    file = RecordFile(tmp_path / "runs.jsonl")
    record = fake_record("a", RECIPE, tmp_path, 0.8)
    file.add([record])
    file.path.write_text(damage(file.path.read_text()))
    before = file.path.read_bytes()
    with pytest.raises(NearfarError, match=told):
        file.add([record])
    assert file.path.read_bytes() == before


def test_the_same_line_twice_is_one_record(tmp_path):
    file = RecordFile(tmp_path / "runs.jsonl")
    record = fake_record("a", RECIPE, tmp_path, 0.8)
    file.add([record])
    file.path.write_text(2 * file.path.read_text())
    assert file.read() == {("a", 0): record}
