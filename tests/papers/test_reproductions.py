"""A reproduction is fixed before it runs, and says no more than its runs can show."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from papers.__main__ import FOLDER, ROOT, Arguments, listed, main, rerun
from papers.catalogue import REPRODUCTIONS
from papers.reproductions.contrast import Contrast, of_axis, on_average
from papers.reproductions.page import overview, section, spread
from papers.reproductions.power import CONFIDENCE, detectable, interval_reach, seeds_for
from papers.reproductions.reproduction import PILOT_SEEDS, Pilot, Reproduction
from papers.reproductions.results import Results
from papers.reproductions.running import draw, finished_runs, pilot_of, results_of, take_over
from papers.reproductions.yardstick import BOUND, HELD_OUT, OUR_KNN, Yardstick
from rich.console import Console
from scipy.stats import ttest_1samp
from tests.comparison.fake_runs import fake_run

from nearfar.errors import NearfarError
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.manifest import Manifest

QUIET = Console(file=io.StringIO())
A = Recipe()
B = replace(A, training=replace(A.training, batch_size=A.training.batch_size // 2))
A_OVER_B = Contrast("A over B", ((1, "a"), (-1, "b")), OUR_KNN, published=2.0, interest=0.5)


def study_of(contrasts=(A_OVER_B,), seeds=3, setups=None) -> Reproduction:
    return Reproduction(
        name="some",
        title="Is A better than B?",
        source="Somebody 2020",
        published="It was.",
        ours="Ours: small.",
        setups=setups or (lambda: {"a": A, "b": B}),
        seeds=seeds,
        contrasts=contrasts,
        draw=REPRODUCTIONS["debiased_losses"].draw,
        minutes=1.0,
        pilot=Pilot("some", lambda: {"a": A, "b": B}),
    )


def judged(job, folder: Path, knn: float, held_out=(0.5, 0.6), bounds=()):
    """The job with a folder that holds a run which was trained and judged."""
    job = replace(job, folder=fake_run(folder / job.folder.name, knn))
    lines = [
        *(
            {"kind": "step", "step": step, "loss": 3.0}
            | {"mutual_information_bound": bound, "mutual_information_ceiling": 5.0}
            for step, bound in enumerate(bounds, 1)
        ),
        *(
            {"kind": "knn", "epoch": float(epoch), "top1": value, "top5": 1.0, "asked": "held out"}
            for epoch, value in enumerate(held_out, 1)
        ),
    ]
    metrics = RunFolder(job.folder).metrics
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    Manifest(job.folder).accept([metrics.name])
    return job


def answered(study, folder, by_arm, pilot=None):
    """Results of all runs, of these kNN accuracies by arm and seed."""
    results = results_of(study, folder)
    for job in study.jobs(Path("runs")):
        results.keep([judged(job, folder / "runs", by_arm[job.experiment][job.recipe.seed])])
    for job in study.pilot.jobs(Path("pilot")) if pilot else ():
        place = job.recipe.seed - PILOT_SEEDS[0]
        checks = (0.1, pilot[job.experiment][place])
        pilot_of(study, folder).keep([judged(job, folder / "pilot", 0.5, checks)])
    return results


def test_runs_of_the_same_settings_are_taken_from_another_studys_results(tmp_path):
    other = study_of(seeds=2, setups=lambda: {"same": B, "else": A})
    answered(other, tmp_path, {"same": [0.5, 0.7], "else": [0.1, 0.2]})
    changed = replace(A, training=replace(A.training, epochs=A.training.epochs + 1))
    study = replace(study_of(setups=lambda: {"a": changed, "b": B}), name="later")
    assert take_over(study, [study, other], tmp_path) == 2
    own = results_of(study, tmp_path)
    finished = own.finished(study.jobs(Path()))
    assert {(job.experiment, job.recipe.seed) for job in finished} == {("b", 0), ("b", 1)}
    yardsticks = ["measured_on", "epoch", "protocol", "metric", "parameters", "value", "started"]
    held = results_of(other, tmp_path).read()
    of_other = held[held["arm"] == "same"][["seed", *yardsticks]]
    pd.testing.assert_frame_equal(
        own.read()[["seed", *yardsticks]], of_other.reset_index(drop=True)
    )
    assert take_over(study, [other], tmp_path) == 0


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=20, unique=True))
def test_an_interval_that_touches_0_has_the_p_value_of_students_test(found):
    """Shifted so that the interval ends at 0, the test's p is what the confidence leaves."""
    values = np.array(found)
    sd = float(values.std(ddof=1))
    if sd < 1e-6:
        return
    shifted = values - values.mean() + interval_reach(sd, len(values))
    assert ttest_1samp(shifted, 0).pvalue == pytest.approx(1 - CONFIDENCE, rel=1e-6)
    of_four = values - values.mean() + interval_reach(sd, len(values), among=4)
    assert ttest_1samp(of_four, 0).pvalue == pytest.approx((1 - CONFIDENCE) / 4, rel=1e-6)


@pytest.mark.parametrize(("seeds", "among"), [(3, 1), (10, 1), (10, 4)])
def test_a_detectable_difference_is_seen_in_four_of_five_studies(seeds, among):
    least = detectable(1.0, seeds, among)
    drawn = np.random.default_rng(0).normal(least, 1, (40_000, seeds))
    level = (1 - CONFIDENCE) / among
    above = (ttest_1samp(drawn, 0, axis=1).pvalue < level) & (drawn.mean(1) > 0)
    assert above.mean() == pytest.approx(0.8, abs=0.01)
    assert detectable(2.5, seeds, among) == pytest.approx(2.5 * least, rel=1e-5)


@pytest.mark.parametrize("difference", [0.4, 1.0, 3.0])
def test_so_many_seeds_show_a_difference_and_one_fewer_does_not(difference):
    seeds = seeds_for(difference, 1.0, among=2)
    assert detectable(1.0, seeds, 2) <= difference
    assert seeds == 2 or detectable(1.0, seeds - 1, 2) > difference


@pytest.mark.parametrize(
    ("differences", "published", "outcome"),
    [
        ((2.0, 2.1, 1.9), 2.0, "holds"),
        ((2.0, 2.1, 1.9), 1.0, "holds"),
        ((2.0, 2.1, 1.9), 3.0, "smaller than published"),
        ((0.1, -0.1, 0.0), 1.0, "smaller than published"),
        ((-2.0, -2.1, -1.9), 1.0, "opposite"),
        ((4.0, -3.0, 1.0), 1.0, "cannot be told"),
        ((0.1, 0.11, 0.09), None, "too small to matter"),
        ((2.0, 2.1, 1.9), None, "holds"),
    ],
)
def test_an_outcome_is_what_the_whole_interval_says(tmp_path, differences, published, outcome):
    study = study_of((replace(A_OVER_B, published=published),))
    by_arm = {"a": [0.5 + each / 100 for each in differences], "b": [0.5] * 3}
    rows = answered(study, tmp_path, by_arm).read()
    verdict = study.contrasts[0].verdict(rows, among=1)
    assert verdict.mean == pytest.approx(np.mean(differences))
    assert verdict.sd == pytest.approx(np.std(differences, ddof=1))
    assert verdict.outcome == outcome


@pytest.mark.parametrize(
    ("differences", "outcome"),
    [
        ((0.1, -0.1, 0.0), "holds"),
        ((2.0, 2.1, 1.9), "opposite"),
        ((-2.0, -2.1, -1.9), "opposite"),
        ((1.0, -1.0, 0.0), "cannot be told"),
    ],
)
def test_alike_are_those_whose_interval_lies_within_the_margin(tmp_path, differences, outcome):
    study = study_of((replace(A_OVER_B, published=None, interest=1.0, alike=True),))
    by_arm = {"a": [0.5 + each / 100 for each in differences], "b": [0.5] * 3}
    rows = answered(study, tmp_path, by_arm).read()
    assert study.contrasts[0].verdict(rows, among=1).outcome == outcome


def test_the_effect_of_an_axis_is_a_difference_of_means(tmp_path):
    training = Recipe().training
    setups = {
        arm: replace(Recipe(), training=replace(training, epochs=epochs))
        for epochs, arm in enumerate("abcd", 1)
    }
    study = study_of(setups=lambda: setups)
    by_arm = {"a": [0.6] * 3, "b": [0.8] * 3, "c": [0.5] * 3, "d": [0.5, 0.4, 0.3]}
    rows = answered(study, tmp_path, by_arm).read()
    effect = on_average("", "ab", "cd", None, yardstick=OUR_KNN, interest=1.0)
    assert effect.by_seed(rows).tolist() == pytest.approx([20, 25, 30])


def test_more_differences_of_a_study_widen_each_interval(tmp_path):
    by_arm = {"a": [0.52, 0.53, 0.51], "b": [0.5] * 3}
    rows = answered(study_of(), tmp_path, by_arm).read()
    alone, among_five = (A_OVER_B.verdict(rows, among=number) for number in (1, 5))
    assert among_five.interval[0] < alone.interval[0] < alone.interval[1] < among_five.interval[1]


def test_runs_are_compared_seed_by_seed(tmp_path):
    """The seeds differ by far more than the arms do: paired, the difference is still exact."""
    by_arm = {"a": [0.31, 0.61, 0.91], "b": [0.3, 0.6, 0.9]}
    rows = answered(study_of(), tmp_path, by_arm).read()
    shuffled = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    for each in (rows, shuffled):
        verdict = A_OVER_B.verdict(each, among=1)
        assert verdict.mean == pytest.approx(1)
        assert verdict.sd == pytest.approx(0, abs=1e-9)


def test_a_yardstick_takes_its_own_figures_alone(tmp_path):
    study = study_of()
    rows = answered(study, tmp_path, {"a": [0.7, 0.8, 0.9], "b": [0.5] * 3}).read()
    assert OUR_KNN.of(rows, "a").to_dict() == {0: 0.7, 1: 0.8, 2: 0.9}
    hot = Yardstick("", parameters={"k": 200, "temperature": 0.1})
    assert set(hot.of(rows, "a")) == {0.01}
    assert set(HELD_OUT.of(rows, "a")) == {0.6}
    assert set(replace(HELD_OUT, epoch=1).of(rows, "a")) == {0.5}
    assert len(Yardstick("", protocol="classifier").of(rows, "a")) == 0
    by_class = rows[(rows["metric"] == "top1 of class") & (rows["protocol"] == "knn")]
    assert by_class[by_class["arm"] == "a"].groupby("class")["value"].nunique().eq(1).all()


@pytest.mark.parametrize(
    "changed",
    [
        study_of((replace(A_OVER_B, interest=0.4),)),
        study_of((replace(A_OVER_B, published=1.0),)),
        study_of((replace(A_OVER_B, yardstick=HELD_OUT),)),
        study_of((replace(A_OVER_B, terms=((1, "b"), (-1, "a"))),)),
        study_of((A_OVER_B, A_OVER_B)),
        study_of(seeds=2),
        study_of(setups=lambda: {"a": A, "b": B, "c": B}),
    ],
)
def test_results_of_another_protocol_count_for_nothing(tmp_path, changed):
    answered(study_of(), tmp_path, {"a": [0.7] * 3, "b": [0.5] * 3})
    assert finished_runs(study_of(), tmp_path) == 6
    # Words are no part of it.
    reworded = replace(study_of((replace(A_OVER_B, words="A against B"),)), title="Or is it?")
    assert finished_runs(reworded, tmp_path) == 6
    assert finished_runs(changed, tmp_path) == 0
    assert results_of(changed, tmp_path).outdated == 6
    # What is not there cannot be looked at either.
    assert len(results_of(changed, tmp_path).read()) == 0


def test_a_seed_that_lacks_a_run_is_left_out_of_a_difference(tmp_path):
    results = answered(study_of(), tmp_path, {"a": [0.6, 0.7, 0.8], "b": [0.5] * 3})
    rows = results.read()
    without = rows[(rows["arm"] != "b") | (rows["seed"] != 1)]
    assert A_OVER_B.by_seed(without).tolist() == pytest.approx([10, 30])


def test_the_studies_of_the_first_source_differ_in_what_they_ask_about():
    arms = {name: study.arms for name, study in REPRODUCTIONS.items()}
    base = arms["debiased_losses"]
    for suffix, false_positives in (("false_positives", 0.3), ("many_false_positives", 0.6)):
        for name, recipe in arms[f"debiased_losses_{suffix}"].items():
            training = replace(base[name].training, false_positives=false_positives)
            assert recipe == replace(base[name], training=training)
    for name, recipe in arms["debiased_losses_no_false_negatives"].items():
        objective = replace(base[name].method.objective, drop_false_negatives="yes")
        assert recipe.method.objective == objective
    of_positives = {**arms["two_positives"], **arms["four_positives"]}
    for name, recipe in of_positives.items():
        positives = int(name.split("-")[1])
        assert recipe.views.count == positives + 1
        assert recipe.training.batch_size == (16 if name.endswith("small") else 128)
        if name.startswith("pos") and positives > 1:
            assert recipe.method.objective.positives == name.split("-")[2].replace(
                "small", "combination"
            )
    # One that is the same is so in every study, so that its runs tell the same.
    assert of_positives["pos-1"] == base["debiased-pos"]
    assert arms["misjudged_prior"]["debiased-pos-tau-0.1"] == base["debiased-pos"]


def test_a_run_is_kept_once(tmp_path):
    study, results = study_of(), results_of(study_of(), tmp_path)
    job = study.jobs(Path("runs"))[0]
    results.keep([judged(job, tmp_path / "first", 0.4)])
    results.keep([judged(job, tmp_path / "second", 0.6)])
    assert OUR_KNN.of(results.read(), "a").to_dict() == {0: 0.6}
    assert results.finished(study.jobs(Path("runs"))) == {job}


def test_the_bound_is_the_mean_over_the_last_epoch(tmp_path):
    recipe = replace(Recipe(), training=replace(Recipe().training, epochs=2))
    study = study_of(setups=lambda: {"a": recipe, "b": recipe})
    results = results_of(study, tmp_path)
    job = study.jobs(Path("runs"))[0]
    results.keep([judged(job, tmp_path / "runs", 0.4, bounds=(1.0, 1.5, 2.0, 3.0))])
    assert BOUND.of(results.read(), "a").to_dict() == {0: 2.5}
    assert replace(BOUND, metric="ceiling").of(results.read(), "a").to_dict() == {0: 5.0}


def test_figures_beside_stand_in_the_table_of_arms_and_decide_nothing(tmp_path):
    study = replace(study_of(), beside=(replace(OUR_KNN, title="top five", metric="top5"), BOUND))
    assert study.protocol == study_of().protocol
    answered(study, tmp_path, {"a": [0.7] * 3, "b": [0.5] * 3})
    text = section(study, tmp_path)
    assert "| arm, top-1 in % | kNN, k=20, T=0.07 | top five | InfoNCE bound, nats |" in text
    assert "| `a` | 70.0 | 99.0 |  |" in text


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "some.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(NearfarError, match=r"some\.parquet is damaged"):
        results_of(study_of(), tmp_path).read()
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "some.parquet")
    with pytest.raises(NearfarError, match="other columns"):
        Results(tmp_path / "some.parquet", "x").read()


def test_the_page_says_nothing_of_figures_before_all_runs_are_done(tmp_path):
    study = study_of()
    results = results_of(study, tmp_path)
    jobs = study.jobs(Path("runs"))
    results.keep([judged(job, tmp_path / "runs", 0.7) for job in jobs[:-1]])
    text = section(study, tmp_path)
    assert "5 of 6 runs are done" in text
    assert "The spread is not measured yet" in text
    assert not any(word in text for word in ("70", "outcome", "holds"))


def test_the_page_tells_what_came_out(tmp_path):
    study = study_of((replace(A_OVER_B, published=1.0), replace(A_OVER_B, words="again")))
    pilot = {"a": [0.61, 0.63, 0.62, 0.60], "b": [0.6] * 4}
    by_arm = {"a": [0.54, 0.49, 0.50], "b": [0.5] * 3}
    answered(study, tmp_path, by_arm, pilot)
    sd = np.std([1, 3, 2, 0], ddof=1)
    assert spread(study, tmp_path) == pytest.approx(sd)
    text = overview([study], tmp_path)
    assert "[Is A better than B?](#is-a-better-than-b)" in text
    assert f"a deviation of {sd:.2f} points" in text
    assert f"3 seeds then show a difference of {detectable(sd, 3, 2):.1f} points" in text
    assert f"would take {seeds_for(1.0, sd, 2)}." in text
    found = np.std([4, -1, 0], ddof=1)
    assert f"**cannot be told** (detectable: {detectable(found, 3, 2):.1f})" in text
    assert "| `b` | 50.0 |" in text


@pytest.mark.parametrize("study", REPRODUCTIONS.values(), ids=list(REPRODUCTIONS))
def test_every_study_can_be_run_and_decides_what_it_asks(study, tmp_path):
    arms = study.arms  # every recipe of it is valid
    assert len(study.pilot.arms) == 2
    assert {arm for each in study.contrasts for arm in each.arms} <= set(arms)
    assert study.seeds <= PILOT_SEEDS[0]
    assert all(each.aim is None or each.aim > 0 for each in study.contrasts)
    folders = [job.folder for job in study.jobs(tmp_path)]
    assert len(set(folders)) == len(folders) == len(arms) * study.seeds


@pytest.mark.parametrize("study", REPRODUCTIONS.values(), ids=list(REPRODUCTIONS))
def test_what_is_finished_is_drawn_from_its_committed_results(study, tmp_path):
    folder = ROOT / "docs" / FOLDER
    if finished_runs(study, folder) < len(study.arms) * study.seeds:
        assert not (folder / f"{study.name}.svg").exists()
        return
    drawn = tmp_path / results_of(study, folder).path.name
    drawn.write_bytes(results_of(study, folder).path.read_bytes())
    draw(study, tmp_path)
    assert (tmp_path / f"{study.name}.svg").read_bytes() == (
        folder / f"{study.name}.svg"
    ).read_bytes(), "run `python -m papers --write-only`"


def test_the_page_is_made_from_the_committed_results():
    made = overview(list(REPRODUCTIONS.values()), ROOT / "docs" / FOLDER)
    page = (ROOT / "docs" / "results.md").read_text()
    held = page.partition(f"<!-- {FOLDER} -->\n")[2].partition(f"<!-- /{FOLDER} -->")[0]
    assert held == made, "run `python -m papers --write-only`"


def test_the_list_tells_costs(tmp_path):
    words = io.StringIO()
    Console(file=words, width=200).print(listed(tmp_path))
    line = next(each for each in words.getvalue().splitlines() if "debiased_losses " in each)
    study = REPRODUCTIONS["debiased_losses"]
    assert f"0 of {len(study.arms) * study.seeds}" in line
    assert f"{study.hours:.1f} h" in line


def test_what_cannot_be_asked_is_one_line(capsys, tmp_path):
    assert main(["--only", "debiased_loses"]) == 2
    assert "debiased_losses" in capsys.readouterr().err
    assert main(["--pilot", "--only", "n_pair_identity"]) == 2
    assert "--pilot" in capsys.readouterr().err
    assert main(["--jobs", "0"]) == 2
    assert "--jobs is 0" in capsys.readouterr().err
    assert rerun(Arguments(list=True), tmp_path, QUIET) == 0
    assert not list(tmp_path.iterdir())


def test_the_effect_of_an_axis_is_the_better_value_over_the_worse_one():
    cells = {"a": (1.0, 5.0), "b": (1.0, 6.0), "c": (2.0, 5.0), "d": (2.0, 6.0), "e": (3.0, 5.0)}
    effect = of_axis("2 over 1", cells, 0, better=2.0, worse=1.0, yardstick=OUR_KNN)
    assert {arm: weight for weight, arm in effect.terms} == {
        "c": 0.5,
        "d": 0.5,
        "a": -0.5,
        "b": -0.5,
    }
