"""The page is what the measurements say, and the command refuses what it cannot do."""

import io
import re

import pandas as pd
import pytest
from papers.__main__ import ROOT, THEORY, Arguments, main, rerun
from papers.catalogue import EXPERIMENTS
from papers.figures import style
from papers.page import page
from rich.console import Console
from tools.figure_file import save
from tools.machine import made_on

FOLDER = ROOT / "docs" / THEORY
TO_MEASURE = []
"""Experiments that are there and not yet measured."""


def test_page_is_made_from_the_committed_measurements():
    made = page(list(EXPERIMENTS.values()), FOLDER)
    assert FOLDER.with_suffix(".md").read_text() == made, "run `python -m papers --write-only`"
    left = [name for name in EXPERIMENTS if not (FOLDER / f"{name}.csv").exists()]
    assert left == TO_MEASURE, "what is measured now is no longer TO_MEASURE"
    assert made.count("Not measured yet") == len(left)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in TO_MEASURE])
def test_every_experiment_has_its_figure_of_several_seeds(name):
    assert (FOLDER / f"{name}.svg").read_text().startswith("<?xml")
    assert pd.read_csv(FOLDER / f"{name}.csv")["seed"].nunique() >= 3


def test_measures_draws_and_writes(tmp_path):
    folder, written = tmp_path / "theory", tmp_path / "theory.md"
    words = io.StringIO()
    arguments = Arguments(only=("n_pair_identity",), seeds=(0, 1))
    arguments_again = Arguments(only=("n_pair_identity",), write_only=True)
    rerun(arguments, tmp_path, Console(file=words))
    assert "n_pair_identity" in words.getvalue()
    assert "![N-pair's loss is InfoNCE](theory/n_pair_identity.svg)" in written.read_text()
    assert written.read_text().count("Not measured yet") == len(EXPERIMENTS) - 1
    assert f"seeds 0, 1; [measurements](theory/n_pair_identity.csv). {made_on()}." in (
        written.read_text()
    )
    drawn = (folder / "n_pair_identity.svg").read_bytes()
    (folder / "n_pair_identity.svg").unlink()
    rerun(arguments_again, tmp_path, Console(file=words))
    assert (folder / "n_pair_identity.svg").read_bytes() == drawn


def test_refuses_unknown_names_and_a_single_seed(capsys):
    assert main(["--only", "n_pair_identty"]) == 2
    assert "n_pair_identity" in capsys.readouterr().err
    assert main(["--seeds", "0"]) == 2
    assert "two seeds" in capsys.readouterr().err


def test_figures_are_the_same_bytes_again(tmp_path):
    experiment = EXPERIMENTS["paco_optimum"]
    data = pd.read_csv(FOLDER / "paco_optimum.csv")
    for name in ("one.svg", "two.svg"):
        with style():
            save(experiment.draw(data), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_differences_that_the_results_quote_are_those_of_the_page():
    results = (ROOT / "docs" / "results.md").read_text()
    section = results.split("\n## Sentences and depth\n")[1].split("\n## ")[0]
    quoted = re.findall(r"−[0-9.]+ ± [0-9.]+", section)
    assert len(quoted) == 4
    theory = FOLDER.with_suffix(".md").read_text()
    assert [each for each in quoted if each not in theory] == []
