"""PaCo's studies on long tails: their arms, their figures, and the sizes of classes they tell."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from papers.catalogue import REPRODUCTIONS
from papers.paco import long_tails, weight_of_samples
from papers.paco.setup import BALANCED, METHODS, OWN, PROBE, TAIL, arm
from papers.reproductions.page import section
from papers.reproductions.reproduction import of_seed
from papers.reproductions.results import Results
from papers.reproductions.running import results_of

STUDIES = {
    each.name: each
    for each in (
        long_tails.LONG_TAIL,
        long_tails.BALANCED_CLASSES,
        long_tails.IMBALANCES,
        weight_of_samples.REPRODUCTION,
    )
}
COUNTS = np.array([200, 50, 10, 4])


def made_up(study, *, without=()):
    """Raw results of every run: of seed s, class c is right c + s tenths of times."""
    rows = []
    for place, name in enumerate(study.arms):
        for seed in range(study.seeds):
            by_class = 0.1 * np.arange(4) + 0.01 * seed
            for protocol in ("knn", "linear_probe", "classifier"):
                if protocol == "classifier" and name.startswith("supcon"):
                    continue
                text = '{"balanced": true, "k": 20, "temperature": 0.07}'
                row = {"arm": name, "seed": seed, "measured_on": "test", "epoch": 16.0}
                row |= {"protocol": protocol, "features": "encoder", "parameters": text}
                value = 0.3 + 0.01 * place + 0.001 * seed * place
                rows.append(row | {"metric": "top1", "value": value})
                rows += [
                    row | {"metric": "top1 of class", "class": number, "value": each}
                    for number, each in enumerate(by_class)
                ]
            rows += [
                row | {"metric": "count", "protocol": "class_counts", "class": c, "value": float(n)}
                for c, n in enumerate(COUNTS)
            ]
    more = {"study": study.protocol, "seconds": 60.0, "hardware": "one", "versions": "two"}
    return pd.DataFrame(rows).assign(**more)


@pytest.mark.parametrize("study", STUDIES.values(), ids=list(STUDIES))
def test_a_finished_study_is_drawn_and_told(study, tmp_path, monkeypatch):
    rows = made_up(study)
    assert study.draw(rows).axes
    results_of(study, tmp_path).path.write_bytes(b"")
    monkeypatch.setattr(Results, "read", lambda _: rows)
    monkeypatch.setattr(Results, "_read", lambda _: rows)
    monkeypatch.setattr("papers.reproductions.page.spread", lambda *_: None)
    text = section(study, tmp_path)
    assert "own classifier" in text
    for name in study.arms:
        line = next(each for each in text.splitlines() if each.startswith(f"| `{name}` |"))
        assert line.endswith("|  |") is name.startswith("supcon")


def test_classes_are_told_apart_by_their_training_examples():
    study = STUDIES["long_tail"]
    rows = made_up(study)
    name = next(iter(study.arms))
    found = {
        shots: replace(PROBE, shots=shots).of(rows, name).tolist()[:2]
        for shots in ("many", "medium", "few")
    }
    assert found["many"] == pytest.approx([0.0, 0.01])
    assert found["medium"] == pytest.approx([0.1, 0.11])
    assert found["few"] == pytest.approx([0.25, 0.26])
    assert len(replace(OWN, shots="few").of(rows, arm("supcon", TAIL))) == 0


def test_a_yardstick_of_all_classes_is_fixed_as_it_was():
    assert "shots" not in PROBE.fixed
    assert long_tails.FEW.fixed == {**PROBE.fixed, "shots": "few"}


def test_the_seed_draws_the_order_of_a_tail_and_no_other_data():
    tail, whole = (
        (long_tails.LONG_TAIL.arms | long_tails.BALANCED_CLASSES.arms)[arm("paco", TAIL)],
        long_tails.BALANCED_CLASSES.arms[arm("paco", BALANCED)],
    )
    assert (of_seed(tail, 3).seed, of_seed(tail, 3).data.seed) == (3, 3)
    assert (of_seed(whole, 3).seed, of_seed(whole, 3).data) == (3, whole.data)


def test_all_methods_differ_in_nothing_but_the_method_and_its_views():
    for study in STUDIES.values():
        for name, recipe in study.arms.items():
            usual = long_tails.setups(TAIL, BALANCED, 10, 50)
            factor = recipe.data.imbalance_factor or BALANCED
            like = usual[arm("paco", int(factor))]
            assert replace(recipe, method=like.method, views=like.views) == like, name
            assert recipe.views == replace(like.views, count=recipe.method.least_views)
    alphas = {weight_of_samples.arm_of(each): each for each in weight_of_samples.TRIED}
    arms = STUDIES["paco_alpha"].arms
    assert {name: arms[name].method.alpha for name in alphas} == alphas
    # What is the same run in two studies has one folder, and is trained once.
    paco = arm("paco", TAIL)
    assert arms[weight_of_samples.arm_of(METHODS["paco"].alpha)] == STUDIES["long_tail"].arms[paco]
    assert STUDIES["balanced_classes"].arms[paco] == STUDIES["long_tail"].arms[paco]


def test_they_are_in_the_catalogue():
    assert set(STUDIES) <= set(REPRODUCTIONS)
