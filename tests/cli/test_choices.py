"""What is chosen on the command line decides which options there are."""

import pytest

from nearfar.cli.train import _read
from nearfar.errors import SettingError
from nearfar.methods.objective_specs import DebiasedNegSpec, NTXentSpec, VICRegSpec
from nearfar.methods.specs import MoCoSpec


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
