"""Studies: what may be gone over and how, told from words, and refused before any work."""

import json
from dataclasses import replace

import pytest

from nearfar.cli.sweep_axes import axes_of, taken
from nearfar.cli.train import _read, _recipe
from nearfar.errors import SettingError
from nearfar.recipes.digits import simclr_digits
from nearfar.recipes.names import RECIPES
from nearfar.recipes.recipe import Recipe
from nearfar.spec import as_spec, to_json
from nearfar.sweeps import known_studies
from nearfar.sweeps.axes import RangeSpec, ValuesSpec
from nearfar.sweeps.command import train_words
from nearfar.sweeps.engines import GridSpec, RandomSpec, TPESpec
from nearfar.sweeps.known_studies import studies, study, study_named
from nearfar.sweeps.settings import with_settings
from nearfar.sweeps.study import Study

TEMPERATURE = ValuesSpec(setting="method.objective.temperature", values=(0.25, 0.5))
BATCH = ValuesSpec(setting="training.batch_size", values=(128, 256))


def axes(*told, recipe=None):
    return axes_of(recipe or simclr_digits(), [each.split() for each in told])


def test_words_become_values_in_the_type_of_their_setting():
    found = axes(
        "method.objective.temperature 0.25 1",
        "training.batch-size 128 256",
        "--training.online-probe true false none",
        "training.clip-norm none 1",
        "training.schedule cosine drops",
    )
    assert [each.setting for each in found][:2] == [
        "method.objective.temperature",
        "training.batch_size",
    ]
    assert [each.values for each in found] == [
        (0.25, 1.0),
        (128, 256),
        (True, False, None),
        (None, 1.0),
        ("cosine", "drops"),
    ]
    assert [type(value) for value in found[1].values] == [int, int]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("training.optimizer.learning-rate 1e-4..1e-2", (1e-4, 1e-2, True)),
        ("training.optimizer.learning-rate 1e-4..1e-2:linear", (1e-4, 1e-2, False)),
        ("training.optimizer.learning-rate .001..0.002", (0.001, 0.002, False)),
        ("training.optimizer.learning-rate 0.001..0.002:log", (0.001, 0.002, True)),
        ("training.batch-size 32..256", (32, 256, False)),
        ("training.batch-size 16..256", (16, 256, True)),
    ],
)
def test_ranges(words, wanted):
    (found,) = axes(words)
    assert isinstance(found, RangeSpec)
    assert (found.low, found.high, found.log) == wanted
    assert found.whole is isinstance(wanted[0], int)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("training.batchsize 1 2", "did you mean 'training.batch_size'?"),
        ("training.batch-size 1 2", "training.batch_size is '1': it must be 2 or more"),
        ("training.batch-size big 2", "it must be a whole number"),
        ("training.batch-size 128 128", "is there twice"),
        ("training.optimizer 1 2", "unknown optimiser '1'"),
        ("training 1 2", "training"),
        ("training.batch-size 256..128", "is empty"),
        ("training.batch-size 128..256 512", "one range, or values"),
        ("training.batch-size 128..256:lin", "log or linear"),
        ("training.optimizer.weight-decay 0..1:log", "must begin above 0"),
        ("training.precision 1..2", "did you mean|choose one"),
    ],
)
def test_impossible_axes_are_refused(words, says):
    with pytest.raises(SettingError, match=says.replace("?", r"\?")):
        axes(words)


def test_the_words_of_axes_are_told_from_the_others():
    left, told = taken(["x", "--over", "a", "1", "2", "--seeds", "0", "1", "--over=b", "3"])
    assert left == ["x", "--seeds", "0", "1"]
    assert told == [["a", "1", "2"], ["b", "3"]]
    with pytest.raises(SettingError, match="--over a: write a setting and its values"):
        taken(["--over", "a"])


def test_an_axis_may_be_of_what_another_chooses():
    method, size = axes("method simclr moco", "method.objective nt_xent vicreg")
    assert (method.values, size.values) == (("simclr", "moco"), ("nt_xent", "vicreg"))
    made = Study(recipe=simclr_digits(), axes=(method, size))
    with pytest.raises(SettingError, match=r"\(at method moco, method.objective nt_xent\)"):
        made.check_points()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"axes": (TEMPERATURE, TEMPERATURE)}, "it is an axis twice"),
        ({"axes": (ValuesSpec(setting="seed", values=(0, 1)),)}, "--seeds"),
        ({"axes": (ValuesSpec(setting="data.held_out", values=(0.1, 0.2)),)}, "cannot be compared"),
        ({"axes": (ValuesSpec(setting="evaluation.seed", values=(1,)),)}, "changes nothing"),
        ({"seeds": (1, 1)}, "one is there twice"),
        ({"seeds": ()}, r"seeds is \(\): it must be a list of 1 or more values"),
        ({"seeds": 3}, "seeds is 3: it must be a list of values"),
        ({"axes": 3}, "axes is 3: it must be a list of values"),
        ({"engine": TPESpec()}, "say --trials N"),
        ({"engine": RandomSpec(), "trials": 3, "axes": ()}, "nothing to draw"),
        ({"axes": (RangeSpec(setting="training.batch_size", low=64, high=128),)}, "is a range"),
        ({"maximise": "online_probe"}, "add --training.online-probe True"),
        ({"maximise": "test"}, "maximise"),
        (
            {"engine": TPESpec(prune="median", prune_after=200), "trials": 9},
            "needs a check on the way",
        ),
        (
            {
                "axes": tuple(
                    ValuesSpec(setting=name, values=tuple(range(1, 200)))
                    for name in ("training.epochs", "training.batch_size", "views.size")
                )
            },
            "at most 10,000 are tried",
        ),
    ],
)
def test_impossible_studies_are_refused(changes, says):
    with pytest.raises(SettingError, match=says):
        Study(**{"recipe": simclr_digits(), "axes": (TEMPERATURE,), **changes})


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("training.knn_every", 0, "--training.knn-every 5"),
        ("data.held_out", 0.0, "--data.held-out"),
    ],
)
def test_a_recipe_without_a_check_is_refused_with_the_words_that_turn_it_on(setting, value, says):
    with pytest.raises(SettingError, match=says):
        Study(recipe=with_settings(simclr_digits(), {setting: value}))


def test_a_combination_that_does_not_fit_is_named():
    too_many = ValuesSpec(setting="training.batch_size", values=(128, 5000))
    with pytest.raises(SettingError, match=r"batch_size is 5000.*temperature 0.25, .*size 5000\)"):
        Study(recipe=simclr_digits(), axes=(TEMPERATURE, too_many)).check_points()


def test_what_fits_together_alone_is_set_together():
    changes = {"training.micro_batch_size": 512, "training.batch_size": 1024}
    changed = with_settings(simclr_digits(), changes)
    assert changed.training.batch_size == 1024


@pytest.mark.parametrize("name", studies())
def test_known_studies_are_whole(name):
    made = study_named(name)
    assert made.study == name
    made.check_points()
    assert as_spec(Study, json.loads(json.dumps(to_json(made)))) == made


def test_a_function_is_a_study_as_soon_as_it_is_declared(monkeypatch):
    monkeypatch.setattr(known_studies, "_STUDIES", dict(known_studies._STUDIES))

    @study
    def of_a_plug_in():
        """What it asks."""
        return Study(recipe=simclr_digits(), axes=(BATCH,))

    assert study_named("of-a-plug-in").study == "of-a-plug-in"
    assert studies()["of-a-plug-in"].paragraphs == ["What it asks."]
    with pytest.raises(SettingError, match="did you mean 'of-a-plug-in'"):
        study_named("of-a-plugin")


CHANGES = [
    {},
    {"seed": 3, "training.threads": 1, "method.objective.temperature": 0.1 + 0.2},
    {"method.objective": "vicreg", "training.clip_norm": 1.5},
    {"method": "byol", "views": "byol", "training.online_probe": True, "data.label_noise": 0.0},
    {"method": "cross-entropy", "data.label_noise": 0.25, "training.ema": 0.99},
    {"training.optimizer": "lars", "training.optimizer.momentum": 0.8, "encoder.width": 8},
    {"training.schedule": "drops", "training.schedule.epochs": (50.0, 90.0)},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_commands_make_the_same_recipe_again(changes):
    recipe = with_settings(simclr_digits(), changes)
    assert _recipe(_read(train_words(recipe))) == recipe


@pytest.mark.parametrize(
    "name", [name for name, recipe in RECIPES.items() if recipe().data.modality == "images"]
)
def test_a_recipe_under_another_name_is_told_from_the_default_one(name):
    recipe = replace(RECIPES[name](), recipe="custom", data=simclr_digits().data)
    recipe = with_settings(recipe, {"training.batch_size": 64, "data.held_out": 0.2})
    assert replace(_recipe(_read(train_words(recipe))), recipe="custom") == recipe


def test_grid_counts():
    made = Study(recipe=simclr_digits(), axes=(TEMPERATURE, BATCH), engine=GridSpec())
    assert made.planned == 4
    assert list(made.grid())[1] == {
        "method.objective.temperature": 0.25,
        "training.batch_size": 256,
    }
    assert replace(made, trials=3).planned == 3
    assert isinstance(made.recipe_at({"training.batch_size": 64}, 7), Recipe)
    assert made.recipe_at({"training.batch_size": 64}, 7).seed == 7
