"""`nearfar recipes`: a line for each, a family on a screen, and all of one."""

import pytest

from nearfar.cli.app import main
from nearfar.cli.recipes import description_of, facts_of
from nearfar.recipes.names import RECIPES


def told(capsys, *words):
    assert main(["recipes", *words]) == 0
    return capsys.readouterr().out


def test_every_recipe_has_one_line_and_every_family_fits_a_screen(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    lines = told(capsys).splitlines()
    for name in RECIPES:
        assert len([line for line in lines if line.split(" ")[0].rstrip("*") == name]) == 1
    assert not any("…" in line for line in lines)
    assert max(map(len, lines)) <= 80
    families = "\n".join(lines).split("\n\n")
    assert len(families) == 6
    assert max(family.count("\n") + 1 for family in families) <= 24


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "simclr-pictures"])
def test_every_recipe_tells_its_time_and_the_figure_to_expect(name):
    facts = facts_of(RECIPES[name])
    assert "–" not in (facts.time, facts.figure)
    value, by = facts.figure.removeprefix("source: ").split(" ")
    assert 50 < float(value.split("±")[0]) < 100
    assert by in ("kNN", "probe", "classifier")


@pytest.mark.parametrize(
    ("name", "method", "time", "figure"),
    [
        ("simclr-digits", "SimCLR", "44 s", "99.4±0.3 kNN"),
        ("hard-negatives-fashion", "debiased_neg", "CPU", "84.8±0.5 kNN"),
        ("moco2-imagenet", "MoCo", "8 GPUs", "source: 67.5 probe"),
        ("paco-cifar100-lt", "PaCo", "GPU", "source: 52.0 classifier"),
        ("simclr-pictures", "SimCLR", "–", "–"),
    ],
)
def test_facts_are_those_of_the_description(name, method, time, figure):
    facts = facts_of(RECIPES[name])
    assert (facts.method, facts.time) == (method, time)
    # The figures of today are measured anew now and then; their form stays.
    assert facts.figure.split(" ")[-1] == figure.split(" ")[-1]
    assert facts.figure.startswith("source: ") == figure.startswith("source: ")


def test_a_name_tells_all_of_that_recipe_alone(capsys):
    said = " ".join(told(capsys, "supcon-fashion-lt").split())
    assert said.startswith("supcon-fashion-lt ")
    assert said.endswith(" ".join(description_of(RECIPES["supcon-fashion-lt"]).split()))


def test_a_misspelt_name_is_refused_with_the_nearest(capsys):
    assert main(["recipes", "simclr-picture"]) == 2
    assert "did you mean 'simclr-pictures'" in capsys.readouterr().err
