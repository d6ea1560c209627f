import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.data.specs import CIFAR10Spec
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.recipes.config_json import read_recipe, recipe_from_json, recipe_to_json
from nearfar.recipes.names import RECIPES, recipe_named
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.training.schedules import CosineSpec, DropsSpec
from nearfar.training.specs import AdamWSpec, LARSSpec, SGDSpec, TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_the_way_through_json(name):
    recipe = recipe_named(name)
    assert recipe_from_json(json.loads(json.dumps(recipe_to_json(recipe)))) == recipe


share = st.floats(0.01, 1)


@given(
    views=st.builds(
        SimCLRViewsSpec,
        crop_scale=st.none() | st.tuples(share, share).map(sorted).map(tuple),
        flip=st.none() | share,
        size=st.none() | st.integers(1, 999),
    ),
    training=st.builds(
        TrainingSpec,
        epochs=st.integers(1, 10**6),
        clip_norm=st.none() | share,
        optimizer=st.sampled_from([AdamWSpec, SGDSpec, LARSSpec]).flatmap(
            lambda kind: st.builds(kind, learning_rate=st.floats(1e-12, 1e3))
        ),
        schedule=st.builds(CosineSpec, warmup_share=share)
        | st.builds(DropsSpec, warmup_share=st.just(0.0), epochs=st.just((0.5,))),
    ),
    data=st.builds(
        CIFAR10Spec,
        root=st.none() | st.text("abc/ äß.", min_size=1).map(Path),
        download=st.booleans(),
    ),
    evaluation=st.builds(
        EvaluationSpec.by,
        st.builds(
            KNNSpec,
            votes=st.lists(st.tuples(st.integers(1, 500), share), min_size=1).map(tuple),
        ),
        st.builds(
            FewLabelsSpec,
            labels_per_class=st.lists(st.integers(1, 50), min_size=1).map(tuple),
        ),
        baselines=st.booleans(),
        leave_out=st.sets(st.sampled_from(["map", "knn"])).map(tuple),
    ),
)
def test_any_settings_survive_the_way_through_json(views, training, data, evaluation):
    recipe = Recipe(views=views, training=training, data=data, evaluation=evaluation)
    assert recipe_from_json(json.loads(json.dumps(recipe_to_json(recipe)))) == recipe


def test_what_is_left_out_keeps_its_default():
    assert recipe_from_json({"seed": 3}) == Recipe(seed=3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sed": 1}, "unknown setting 'sed': did you mean 'seed'"),
        ({"training": {"epoch": 1}}, "did you mean 'training.epochs'"),
        ({"training": {"epochs": "many"}}, "training.epochs is 'many': it must be a whole number"),
        ({"training": 3}, "training: its settings must be an object"),
        ({"training": {"optimizer": "adam"}}, "unknown optimiser 'adam'"),
        ({"views": {"name": "simclr", "crop_scale": [0.1]}}, "views.crop_scale"),
        ({"evaluation": {"knn": {"votes": [[1, 2, 3]]}}}, "evaluation.knn.votes"),
        ({"evaluation": {"knn": {"vote": [[1, 2]]}}}, "did you mean 'evaluation.knn.votes'"),
        ({"evaluation": {"knn": {"votes": []}}}, "--evaluation.leave-out knn"),
        ({"evaluation": {"leave_out": ["zzz"]}}, "unknown protocol in evaluation.leave_out 'zzz'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(values, said):
    with pytest.raises(SettingError) as refusal:
        recipe_from_json(values, where="runs/x/config.json")
    assert str(refusal.value).startswith("runs/x/config.json: ")
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(NearfarError, match="not a run folder"):
        read_recipe(tmp_path)


def test_a_damaged_config_is_refused_by_name(tmp_path):
    run = RunFolder.create(tmp_path / "run")
    run.write_config({})
    run.config.write_text('{"seed": 1')
    with pytest.raises(NearfarError, match=r"config\.json is not as nearfar wrote it"):
        read_recipe(run.path)
    run.manifest.accept(["config.json"])
    with pytest.raises(NearfarError, match=r"config\.json is damaged"):
        read_recipe(run.path)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match="unknown method 'simcrl': did you mean 'simclr'"):
        recipe_from_json({"method": {"name": "simcrl"}})
    with pytest.raises(SettingError, match=r"'method.projection_dmi': did you mean 'method.proj"):
        recipe_from_json({"method": {"name": "simclr", "projection_dmi": 1}})
    with pytest.raises(SettingError, match=r"config.json: method.projection_dim is 'wide'"):
        recipe_from_json({"method": {"name": "simclr", "projection_dim": "wide"}})
    with pytest.raises(SettingError, match="method: its settings must be an object"):
        recipe_from_json({"method": [1]})
