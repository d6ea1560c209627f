"""The command that trains six methods on fonts and transfers them: what is done, and what again."""

import pandas as pd
from tools import transfer_runs
from tools.transfer_runs import CHART, FIGURES, PAGE, draw, section

from nearfar.data.specs import DigitsSpec
from nearfar.run_folder import names


def test_what_is_finished_is_not_done_again_and_what_was_cut_is_gone_on_with(tmp_path, monkeypatch):
    done = []

    def trained(recipe, folder):
        done.append(("train", folder.name, recipe.method.name, recipe.seed, recipe.training.epochs))
        folder.mkdir(parents=True)
        (folder / names.CONFIG).write_text("{}")
        if folder.name == "byol-1":
            raise KeyboardInterrupt
        (folder / names.REPORT).write_text("a page")

    def resumed(folder):
        done.append(("resume", folder.name))
        (folder / names.REPORT).write_text("a page")

    monkeypatch.setattr(transfer_runs, "run_recipe", trained)
    monkeypatch.setattr(transfer_runs, "resume_run", resumed)
    monkeypatch.setattr(transfer_runs, "sets_named", lambda words: (DigitsSpec(),))
    monkeypatch.setattr(
        transfer_runs, "transfer", lambda runs, *given, **more: done.append(("transfer", len(runs)))
    )
    try:
        transfer_runs.run_all(tmp_path, seeds=(0, 1), epochs=3)
    except KeyboardInterrupt:
        first = len(done)
    assert first == 9
    assert {each[3:] for each in done} == {(0, 3), (1, 3)}
    transfer_runs.run_all(tmp_path, seeds=(0, 1), epochs=3)
    assert done[first] == ("resume", "byol-1")
    assert [each[0] for each in done[first + 1 :]] == ["train"] * 3 + ["transfer"]
    assert done[-1] == ("transfer", 12)


def test_the_table_has_mean_and_spread_over_seeds_of_every_start():
    fixed = {"set": "digits", "metric": "top1", "classes": 10, "examples": 7, "test_examples": 5}
    figures = pd.DataFrame(
        {**fixed, "start": start, "seed": seed, "protocol": protocol, "mean": mean, "made_on": "a"}
        for start, means in {"SimCLR": (0.5, 0.7), "random": (0.25, 0.25)}.items()
        for seed, mean in enumerate(means)
        for protocol in ("linear", "few")
    )
    text = section(figures)
    assert "| **digits**, top-1, 10 classes, 7 + 5 |  |  |  |" in text
    assert "| SimCLR | 60.0 ± 14.1 | 60.0 ± 14.1 |  |" in text
    assert "| random | 25.0 | 25.0 |  |" in text
    assert "seeds 0, 1;" in text


def test_page_and_chart_hold_the_committed_figures(tmp_path):
    figures = pd.read_csv(FIGURES)
    assert section(figures) in PAGE.read_text()
    draw(figures, tmp_path / CHART.name)
    assert (tmp_path / CHART.name).read_bytes() == CHART.read_bytes()
