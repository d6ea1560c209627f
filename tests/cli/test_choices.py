"""What is chosen on the command line decides which options there are."""

import pytest

from nearfar.cli.train import _read
from nearfar.errors import SettingError
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.methods.objective_specs import DebiasedNegSpec, NTXentSpec, VICRegSpec
from nearfar.methods.unlabelled_specs import MoCoSpec
from nearfar.recipes.recipe import Recipe
from nearfar.spec import as_spec
from nearfar.sweeps.settings import value_of_word, with_settings


@pytest.mark.parametrize(
    "words",
    [
        "--method.objective vicreg",
        "--method.objective=vicreg",
        "--method.objective.name vicreg",
        "--method.objective nt_xent --method.objective vicreg",
        "--method simclr --method.objective vicreg",
    ],
)
def test_an_objective_is_chosen_by_its_name(words):
    assert _read(["simclr-digits", *words.split()]).method.objective == VICRegSpec()


def test_options_are_those_of_what_is_chosen():
    words = "--method.objective debiased_neg --method.objective.tau-plus 0.2 --seed 3"
    read = _read(["simclr-digits", *words.split()])
    assert read.method.objective == DebiasedNegSpec(tau_plus=0.2)
    assert read.seed == 3
    assert _read(["--method", "moco", "--method.queue-size", "7"]).method == MoCoSpec(queue_size=7)


def test_what_the_recipe_set_is_kept_where_the_other_choice_has_it():
    assert _read(["simclr-fashion"]).method.objective == NTXentSpec(temperature=0.2)
    read = _read(["simclr-fashion", "--method.objective", "debiased_neg"])
    assert read.method.objective == DebiasedNegSpec(temperature=0.2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--method.objective vicrag", "unknown objective 'vicrag': did you mean 'vicreg'?"),
        ("--method.objective", "--method.objective names no objective: choose one of nt_xent, "),
        ("--method.objective --seed 3", "--method.objective names no objective"),
        ("--method moc", "unknown method 'moc': did you mean 'moco'?"),
        ("--method.objective.beta 1", "beta: nt_xent has no such setting, it belongs to debiased"),
        ("--method.objective.temprature 1", "did you mean '--method.objective.temperature'?"),
        ("--method moco --method.objective vicreg", "moco has no such setting, it belongs to sim"),
        ("--method moco --method.momentum 2", "method.momentum is 2.0: it must be 0 to 1"),
    ],
)
def test_what_is_not_there_is_refused_and_leads_on(words, said):
    with pytest.raises(SettingError) as refused:
        _read(["simclr-digits", *words.split()])
    assert said in str(refused.value)


def test_without_a_word_the_first_recipe_is_trained():
    assert _read([]) == _read(["simclr-digits"])


def test_help_shows_that_a_name_can_be_another(capsys):
    with pytest.raises(SystemExit):
        _read(["simclr-digits", "--help"])
    told = capsys.readouterr().out
    for group in ("views", "encoder", "method", "method.objective"):
        assert f"--{group}.name NAME" in told


def test_the_recipe_comes_first():
    with pytest.raises(SettingError, match="nearfar train moco2-digits …"):
        _read(["--seed", "3", "moco2-digits"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--method.second-encoder.width 0", "method.second_encoder.width is 0: it must be 1 to"),
        ("--encoder.width 0 --method.second-encoder.width 8", "encoder.width is 0: it must be 1"),
        ("--method.second-encoder.dropout=2", "method.second_encoder.dropout is 2.0: it must be"),
        ("--method.second-encoder.blocks 3", "unknown setting '--method.second-encoder.blocks'"),
        ("--method.second-encoder.depth 3", "method.second_encoder.depth: text-bag has no such"),
        (
            "--method.second-views text --method.second-views.crop-length 2 3",
            "method.second_views.crop_length is 2 to 3: needs",
        ),
    ],
)
def test_settings_of_a_second_encoder_are_told_by_where_they_stand(words, said):
    before = "--method clip --views.count 1 --data captioned-folder --data.root x"
    words = [*before.split(), "--method.second-encoder", "text-bag", *words.split()]
    with pytest.raises(SettingError) as refused:
        _read(words)
    assert str(refused.value).startswith(said)


def test_so_are_those_of_a_file_and_of_a_sweep():
    said = r"^method\.second_encoder\.width is 0: it must"
    width = {"name": "text-bag", "width": 0}
    with pytest.raises(SettingError, match=said):
        as_spec(Recipe, {"method": {"name": "clip", "second_encoder": width}})
    with pytest.raises(SettingError, match=r"^method\.second_encoder: its settings must be"):
        CLIPSpec(second_encoder=3)
    recipe = Recipe(
        data={"name": "captioned-folder", "root": "x"},
        views={"name": "simclr", "count": 1},
        method=CLIPSpec(),
    )
    with pytest.raises(SettingError, match=said):
        with_settings(recipe, {"method.second_encoder.width": 0})
    with pytest.raises(SettingError, match=r"^method\.second_encoder\.width is 'x'"):
        value_of_word(recipe, "method.second_encoder.width", "x")


def test_what_a_second_encoder_says_leads_to_its_own_options():
    with pytest.raises(
        SettingError,
        match=r"^method\.second_encoder\.start pretrained: .* choose "
        r"--method\.second-encoder timm/resnet18 or another$",
    ):
        as_spec(CLIPSpec, {"second_encoder": {"name": "text-bag", "start": "pretrained"}})
