"""The section of docs/results.md is what the records say."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.comparison.fake_runs import COUNTS, fake_record, fake_scores
from tools.comparison.__main__ import Arguments, compare
from tools.comparison.chart import draw
from tools.comparison.experiments import experiments
from tools.comparison.page import in_order, section
from tools.comparison.records import RecordFile
from tools.comparison.scores import classes_of_thirds
from tools.markdown import with_section
from tools.results import PAGE

from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.recipe import Recipe

NAMES = ("simclr-fashion-short", "byol-fashion", "cross-entropy-fashion")


def rows_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def section_of(scores, names=NAMES):
    wanted = {name: recipe for name, recipe in experiments().items() if name in names}
    plain = {name: recipe for name, recipe in wanted.items() if recipe.recipe == name}
    return section(scores, wanted, plain, seeds=(0, 1, 2), figure="figure.svg")


def test_the_table_holds_mean_and_spread_beside_the_baselines(tmp_path):
    scores = fake_scores(
        tmp_path, {"cross-entropy-fashion": (0.7, 0.7), "byol-fashion": (0.90, 0.92)}
    )
    scores = replace(
        scores,
        runs=scores.runs
        | fake_scores(tmp_path, {"simclr-fashion-short": (0.8, 0.9)}, baselines=True).runs,
    )
    rows = rows_of(section_of(scores))
    assert rows[2:] == [
        ["raw pixels", "", "65.0 ± 7.1", "58.5 ± 6.4", "67.0 ± 7.1", ""],
        ["untrained encoder", "", "75.0 ± 7.1", "67.5 ± 6.4", "77.0 ± 7.1", ""],
        ["`simclr-fashion-short`", "no", "85.0 ± 7.1", "76.5 ± 6.4", "87.0 ± 7.1", "2.5"],
        ["`byol-fashion`", "no", "91.0 ± 1.4", "81.9 ± 1.3", "93.0 ± 1.4", "2.5"],
        ["`cross-entropy-fashion`", "yes", "70.0", "63.0", "72.0", "2.5"],
    ]


def test_it_names_set_up_seeds_versions_hardware_and_what_is_missing(tmp_path):
    text = section_of(fake_scores(tmp_path, {"byol-fashion": (0.9, 0.92)}))
    for said in (
        "small-resnet of width 16, 6 epochs of 256",
        "seeds 0, 1, 2: 9 runs. **7 of them are still missing**: `simclr-fashion-short` 0, 1, 2; "
        "`byol-fashion` 2; `cross-entropy-fashion` 0, 1, 2.",
        "on the 500 test images",
        "Features are judged in the form that serves them best on training images",
        "a machine; a run trains for 2.5 min (median; 2.0 to 3.0), 0.1 hours in all.",
        "Python 3.11.7, nearfar 0.1.0, torch 2.15.0.",
    ):
        assert said in text
    complete = fake_scores(tmp_path / "all", dict.fromkeys(NAMES, (0.8, 0.8, 0.8)))
    assert "missing" not in section_of(complete)


def test_a_long_tail_has_a_table_of_its_own_by_thirds_of_the_classes(tmp_path):
    names = ("simclr-fashion-short", "supcon-fashion-lt", "paco-fashion-lt")
    runs = fake_scores(tmp_path, {"supcon-fashion-lt": (0.6, 0.6)}).runs
    runs |= fake_scores(tmp_path, {"paco-fashion-lt": (0.7, 0.7)}, classifier=True).runs
    scores = fake_scores(tmp_path, {"simclr-fashion-short": (0.8, 0.8)})
    scores = replace(scores, runs=scores.runs | runs)
    text = section_of(scores, names)
    tail = rows_of(text.split("### On a long tail")[1].split("###")[0])
    assert tail[0][3:] == ["many (90 to 60)", "medium (40 to 25)", "few (10 to 6)"]
    # Classes of 90 and 60 are right 5 and 1 tenths of the times, and so on.
    assert [
        "`supcon-fashion-lt`",
        "all labels, linear probe",
        "62.0",
        "30.0",
        "30.0",
        "15.0",
    ] in tail
    assert ["`paco-fashion-lt`", "own classifier", "73.0", "30.0", "30.0", "15.0"] in tail
    balanced = rows_of(text.split("### On a long tail")[0])
    assert not any("-lt" in cell for row in balanced for cell in row)
    assert f"Trained on {COUNTS.sum()} images" in text


def test_thirds_of_ten_classes_are_three_four_and_three():
    counts = COUNTS.repeat(2)[:10]
    sizes = {name: len(rows) for name, rows in classes_of_thirds(counts).items()}
    assert sizes == {"many": 3, "medium": 4, "few": 3}


def test_the_figure_is_the_same_for_the_same_figures(tmp_path):
    scores = fake_scores(tmp_path, {"byol-fashion": (0.9, 0.92), NAMES[0]: (0.8, 0.82)})
    wanted = experiments()
    for name in ("one.svg", "other.svg"):
        draw(scores, wanted, NAMES, tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "other.svg").read_text()
    assert "byol-fashion" in drawn
    assert "cross-entropy-fashion" not in drawn
    assert in_order(scores, wanted, NAMES) == [NAMES[0], "byol-fashion"]


def test_an_encoder_of_its_own_is_drawn_beside_its_untrained_weights(tmp_path):
    drawn = {}
    for baselines in (False, True):
        scores = fake_scores(
            tmp_path / str(baselines), {"cpc-fashion": (0.9,)}, baselines=baselines
        )
        draw(scores, experiments(), ["cpc-fashion"], tmp_path / "figure.svg")
        drawn[baselines] = (tmp_path / "figure.svg").read_text()
    assert "its own encoder, untrained" in drawn[True]
    assert "its own encoder, untrained" not in drawn[False]


def page_in(folder: Path) -> Path:
    page = folder / "results.md"
    page.write_text("above\n<!-- comparison -->\nas it was\n<!-- /comparison -->\nbelow\n")
    return page


def record_runs(page: Path, values: dict[str, tuple[float, ...]], **training) -> dict[str, Recipe]:
    """Beside the page, records of seeds 0, 1…; the three experiments there are to be."""
    wanted = {name: recipe for name, recipe in experiments().items() if name in NAMES}
    RecordFile(page.with_name("comparison_runs.jsonl")).add(
        fake_record(
            name,
            replace(wanted[name], seed=seed, training=replace(wanted[name].training, **training)),
            page.parent / "elsewhere",
            value,
        )
        for name, each in values.items()
        for seed, value in enumerate(each)
    )
    return wanted


def compared(page: Path, wanted: dict[str, Recipe], **arguments) -> str:
    """What the command says; its run folders are none of the recorded runs'."""
    console = Console(file=io.StringIO(), width=1000)
    compare(Arguments(out=page.parent / "runs", **arguments), wanted, page, console)
    return console.file.getvalue()


def test_write_only_writes_what_is_there(tmp_path):
    page = page_in(tmp_path)
    wanted = record_runs(page, {"byol-fashion": (0.9,)})
    compared(page, wanted, write_only=True)
    text = page.read_text()
    assert text.startswith("above\n<!-- comparison -->\n`python -m tools.comparison")
    assert text.endswith("<!-- /comparison -->\nbelow\n")
    assert "as it was" not in text
    assert "**8 of them are still missing**" in text
    assert "| `byol-fashion` | no | 90.0 |" in text
    assert "](comparison.svg)" in text
    assert (tmp_path / "comparison.svg").exists()
    assert not (tmp_path / "runs").exists()


def test_the_page_is_written_when_every_run_is_recorded(tmp_path):
    page = page_in(tmp_path)
    wanted = record_runs(page, {NAMES[0]: (0.8,) * 3, NAMES[1]: (0.9,) * 3, NAMES[2]: (0.9,) * 3})
    assert "9 of 9 runs are finished" in compared(page, wanted)
    assert "as it was" not in page.read_text()
    assert "missing" not in page.read_text()


def test_a_part_does_not_take_the_place_of_the_whole_unasked(tmp_path):
    page = page_in(tmp_path)
    wanted = record_runs(page, {NAMES[0]: (0.8,) * 3, "byol-fashion": (0.9,) * 3})
    told = compared(page, wanted, only=("byol-fashion",))
    assert f"3 of 9 runs are still missing: {page} stays as it is" in told
    assert "as it was" in page.read_text()
    assert not (tmp_path / "comparison.svg").exists()


def test_nothing_is_written_without_a_record(tmp_path):
    page = page_in(tmp_path)
    with pytest.raises(NearfarError, match=r"no run is recorded in .*comparison_runs.jsonl"):
        compared(page, record_runs(page, {}), write_only=True)
    assert "as it was" in page.read_text()


def test_a_record_of_other_settings_is_named_and_not_written(tmp_path):
    page = page_in(tmp_path)
    record_runs(page, {NAMES[0]: (0.8,)})
    wanted = record_runs(page, {"byol-fashion": (0.9,)}, epochs=5)
    told = compared(page, wanted, write_only=True)
    assert "for their experiments have other settings now: byol-fashion-seed0\n" in told
    assert "`simclr-fashion-short` | no | 80.0" in page.read_text()
    assert "`byol-fashion` | no" not in page.read_text()


def test_an_unknown_experiment_is_refused_with_the_nearest(tmp_path):
    arguments = Arguments(out=tmp_path, only=("byol-fasion",))
    with pytest.raises(SettingError, match="unknown experiment 'byol-fasion': did you mean 'byol-"):
        compare(arguments, experiments(), page_in(tmp_path), Console(quiet=True))


def test_the_results_page_has_the_section():
    page = PAGE.read_text()
    assert with_section(page, "comparison", "text\n").count("text\n<!-- /comparison -->") == 1
