"""The studies of the second and the fourth source differ in what they ask about, and are drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from papers.catalogue import REPRODUCTIONS
from papers.figures import style
from papers.momentum_contrast import ablation, methods, momentum, queue, views_left_out
from papers.momentum_contrast.setup import MOCO
from papers.mutual_information import byol_batches, critics, grid
from papers.reproductions.probed import BATCH, BESIDE, EPOCHS, run, simclr
from papers.reproductions.yardstick import BOUND, PROBE
from tools.comparison.records import fingerprint
from tools.figure_file import save

from nearfar.spec import flat_settings, to_json

ARMS = {name: study.arms for name, study in REPRODUCTIONS.items()}
PROBED = [study for study in REPRODUCTIONS.values() if study.beside[: len(BESIDE)] == BESIDE]


def test_all_studies_of_the_two_sources_are_looked_at():
    assert len(PROBED) == 5 + 7


def made_up(study) -> pd.DataFrame:
    """Results of all runs: every arm a point better than the one before, seeds apart."""
    rows = []
    for place, (arm, recipe) in enumerate(study.arms.items()):
        epochs = recipe.training.epochs
        for seed in range(study.seeds):
            value = 0.3 + 0.01 * place + 0.003 * seed
            test = {"measured_on": "test", "epoch": float(epochs), "features": "encoder"}
            bound = {"measured_on": "training", "protocol": BOUND.protocol, "features": "embedding"}
            vote = '{"k": 20, "temperature": 0.07}'
            of_run = [
                test | {"protocol": "linear_probe", "metric": "top1", "value": value},
                test | {"protocol": "linear_probe", "metric": "top5", "value": 2 * value},
                test | {"protocol": "knn", "metric": "top1", "value": value, "parameters": vote},
                bound | {"epoch": float(epochs), "metric": "bound", "value": 3 - value},
                bound | {"epoch": float(epochs), "metric": "ceiling", "value": 4.0},
                *(
                    {"measured_on": "held out", "protocol": "knn", "features": "encoder"}
                    | {"epoch": float(epoch), "metric": "top1", "value": 0.02 * epoch}
                    for epoch in range(1, epochs + 1)
                ),
            ]
            rows += [{"arm": arm, "seed": seed, "parameters": "{}"} | each for each in of_run]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("study", PROBED, ids=[study.name for study in PROBED])
def test_it_draws_and_decides_from_results(study, tmp_path):
    rows = made_up(study)
    with style():
        save(study.draw(rows), tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text()
    assert "nan" not in drawn.casefold()
    for claim in study.contrasts:
        verdict = claim.verdict(rows, among=len(study.contrasts))
        assert np.isfinite([verdict.mean, *verdict.interval]).all()
    for yardstick in (*BESIDE, PROBE):
        assert yardstick == PROBE or yardstick in study.beside
        assert all(len(yardstick.of(rows, arm)) == study.seeds for arm in study.arms)


@pytest.mark.parametrize("study", PROBED, ids=[study.name for study in PROBED])
def test_its_runs_differ_and_its_weights_cancel(study):
    assert len({fingerprint(recipe) for recipe in study.arms.values()}) == len(study.arms)
    for claim in study.contrasts:
        if terms := claim.fixed.get("terms"):
            assert sum(weight for weight, _ in terms) == pytest.approx(0)


def test_a_cell_of_the_grid_differs_from_its_neighbours_in_one_thing():
    for batch, temperature, strength in grid.CELLS:
        recipe = ARMS["simclr_grid"][grid.arm(batch, temperature, strength)]
        views = replace(recipe.views, jitter_strength=1.0)
        base = run(simclr(temperature), batch_size=batch)
        assert recipe.views.jitter_strength == strength
        assert replace(recipe, views=views) == base
    for claim, axis in zip(REPRODUCTIONS["simclr_grid"].contrasts, (1, 0, 2), strict=True):
        cells = {grid.arm(*cell): cell for cell in grid.CELLS}
        better = {cells[arm][axis] for weight, arm in claim.terms if weight > 0}
        worse = {cells[arm][axis] for weight, arm in claim.terms if weight < 0}
        assert len(better) == len(worse) == 1
        assert better != worse


def test_the_studies_of_the_second_source_change_what_they_say():
    for arm, recipe in ARMS["simclr_batches"].items():
        assert recipe == run(simclr(), batch_size=int(arm.split("-")[1]))
    others = ARMS["simclr_depth_and_blur"]
    assert others["no-blur"] == run(simclr()) == ARMS["simclr_batches"][f"batch-{BATCH}"]
    assert replace(others["blur"], views=others["no-blur"].views) == others["no-blur"]
    deep = replace(others["layers-32"], encoder=others["layers-20"].encoder)
    assert deep == others["layers-20"] != others["layers-32"]
    for arm, (critic, batch) in critics.ARMS.items():
        assert ARMS["bound_and_accuracy"][arm].method == critics.CRITICS[critic]
        assert ARMS["bound_and_accuracy"][arm].training.batch_size == batch


def test_byol_takes_equal_steps_at_a_rate_in_proportion():
    recipes = ARMS["byol_batches"].values()
    steps = [
        recipe.data.most_to_learn_from() // recipe.training.batch_size * recipe.training.epochs
        for recipe in recipes
    ]
    assert steps == [562, 560, 560]
    rates = {
        recipe.training.optimizer.learning_rate / recipe.training.batch_size for recipe in recipes
    }
    assert len({round(rate, 12) for rate in rates}) == 1
    assert REPRODUCTIONS["byol_batches"].seeds >= 10
    assert all(claim.alike for claim in byol_batches.REPRODUCTION.contrasts)


def differing(first, second) -> set[str]:
    """Dotted names of the settings in which two recipes differ."""
    flat = [flat_settings(to_json(each)) for each in (first, second)]
    return {name for name in {**flat[0], **flat[1]} if flat[0].get(name) != flat[1].get(name)}


def test_views_are_left_out_one_by_one_and_in_pairs():
    arms, settings = (
        ARMS["simclr_views_left_out"],
        {
            "crop": {"views.crop_scale", "views.crop_ratio"},
            "rotation": {"views.rotation"},
            "jitter": {"views.jitter"},
            "grey": {"views.grey"},
        },
    )
    assert len(arms) == 1 + 4 + 6
    for left_out in views_left_out.LEFT_OUT:
        changed = set().union(*(settings[kind] for kind in left_out))
        recipe = arms[views_left_out.arm(left_out)]
        assert differing(recipe, run(simclr())) == changed
        drawn, _ = recipe.views.parameters(channels=3, size=24)
        assert (drawn.crop_scale == (1.0, 1.0)) == ("crop" in left_out)
        assert (drawn.rotation == 0) == ("rotation" in left_out)
        assert (drawn.jitter == 0) == ("jitter" in left_out)
        assert (drawn.grey == 0) == ("grey" in left_out)


def test_the_studies_of_moco_differ_in_what_they_ask_about():
    moco = ARMS["moco_momentum"]
    for each in momentum.MOMENTA:
        assert moco[f"momentum-{each:g}"].method == replace(MOCO, momentum=each)
    assert differing(*(moco[f"momentum-{each:g}"] for each in (0.0, 0.9999))) == {"method.momentum"}
    for batch, keys in queue.CELLS:
        recipe = ARMS["moco_queue"][queue.arm(batch, keys)]
        found = differing(recipe, ARMS["moco_queue"][queue.arm(*queue.CELLS[0])])
        assert found <= {"method.queue_size", "training.batch_size"}
        assert (recipe.method.queue_size, recipe.training.batch_size) == (keys, batch)
    steps = ARMS["moco_v2_ablation"]
    head = {"method.head", "method.projection_hidden"}
    schedule = {"training.schedule.name", "training.schedule.epochs"}
    assert differing(steps["v1"], steps["mlp"]) == head
    assert differing(steps["v1"], steps["blur"]) == {"views.blur"}
    assert differing(steps["v1"], steps["mlp-blur"]) == head | {"views.blur"}
    assert differing(steps["mlp-blur"], steps["v2"]) == schedule


def test_simclrs_findings_change_head_batch_and_epochs_alone():
    heads = ARMS["simclr_heads"]
    assert differing(heads["mlp"], heads["linear"]) == {"method.head"}
    assert differing(heads["identity"], heads["linear"]) == {"method.head"}
    for arm, recipe in ARMS["simclr_epochs_and_batches"].items():
        found = differing(recipe, run(simclr()))
        assert found <= {"training.batch_size", "training.epochs"}
        assert arm == f"batch-{recipe.training.batch_size}-epochs-{recipe.training.epochs}"
    assert EPOCHS in {each.training.epochs for each in ARMS["simclr_epochs_and_batches"].values()}


def test_the_methods_have_equal_epochs_and_one_brings_the_baselines():
    arms = methods.REPRODUCTION.arms
    assert len({(each.training.epochs, each.training.batch_size) for each in arms.values()}) == 1
    assert [name for name, each in arms.items() if each.evaluation.baselines] == ["supervised"]
    assert arms["moco-v2"] == ablation.REPRODUCTION.arms["v2"]
    assert [each.method.title for each in arms.values()] == [
        "SimCLR",
        "MoCo",
        "MoCo",
        "BYOL",
        "cross-entropy",
    ]


def test_studies_share_the_runs_of_arms_that_they_share():
    # By their first seeds, for some have more of them than others.
    folders = {
        study.name: {job.folder for job in study.jobs(Path("runs")) if job.recipe.seed == 0}
        for study in PROBED
    }
    assert folders["simclr_grid"] & folders["bound_and_accuracy"]
    assert folders["simclr_batches"] & folders["simclr_depth_and_blur"]
    assert folders["simclr_heads"] < folders["bound_and_accuracy"]
    assert len(folders["simclr_epochs_and_batches"] & folders["simclr_batches"]) == 2
    assert folders["moco_v2_ablation"] & folders["contrastive_methods"]
