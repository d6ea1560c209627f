"""CLIP with a queue and without, small: what chooses is not what is reported, and words fit."""

from dataclasses import replace

import pandas as pd
import pytest
from papers.pairs_of_kinds import queue
from papers.pairs_of_kinds.queue import (
    ALONE,
    ARMS,
    LONGER,
    MEAN,
    PILOT,
    QUEUED,
    REPORTED,
    SECONDS,
    Setup,
)
from tests.recipes.paired_recipe import recipe, write_pairs

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rows of one seed of a tiny set-up."""
    small = recipe(
        write_pairs(tmp_path_factory.mktemp("queue")),
        encoder=SmallResNetSpec(width=4),
        method={"second_encoder": TextBagSpec(width=8)},
        training={"epochs": 1, "knn_every": 0},
    )
    small = replace(small, data=replace(small.data, held_out=0.0))
    setup = Setup(small, rates=(1e-3,), queues=(16,), momenta=(0.9,))
    return queue.measure(0, setup=setup).assign(seed=0)


def test_every_arm_and_every_setting_of_the_pilot_is_measured(data, tmp_path):
    reported = data[data["part"] == REPORTED]
    assert set(reported["arm"]) == set(ARMS)
    recalls = {f"{asks}@{k}" for asks in ("images", "texts") for k in (1, 5, 10)}
    for name in ARMS:
        found = reported[reported["arm"] == name].set_index("figure")["value"]
        assert set(found.index) == recalls | {MEAN, SECONDS}
        assert found[MEAN] == pytest.approx(found[list(recalls)].mean())
        assert found["texts@1"] <= found["texts@5"] <= found["texts@10"] <= 100
    tried = data[(data["part"] == PILOT) & (data["figure"] == MEAN)]
    assert list(zip(tried["queue"], tried["momentum"], strict=True)) == [(0, 0.0), (16, 0.9)]
    data.to_csv(tmp_path / "kept.csv", index=False, float_format="%.7g")
    kept = pd.read_csv(tmp_path / "kept.csv")
    assert queue.draw(kept).get_axes()


def test_the_pilot_chooses_rate_queue_and_momentum_and_how_much_longer():
    rows = [
        _row(rate, length, momentum, figure, value)
        for rate, length, momentum, mean, seconds in (
            (1e-3, 0, 0.0, 5.0, 9.0),
            (3e-3, 0, 0.0, 7.0, 10.0),
            (3e-3, 64, 0.9, 6.0, 30.0),
            (3e-3, 128, 0.99, 6.5, 16.0),
        )
        for figure, value in ((MEAN, mean), (SECONDS, seconds))
    ]
    found = queue.chosen(pd.DataFrame(rows))
    assert (found.rate, found.queue, found.momentum, found.longer) == (3e-3, 128, 0.99, 16)


@pytest.mark.parametrize(
    ("leads", "said"),
    [
        ((3.0, 3.1, 2.9), "At equal steps the queue is ahead in mean recall (queue less batch"),
        ((-3.0, -3.1, -2.9), "At equal steps the batch alone is ahead in mean recall"),
        ((3.0, -1.0, 0.5), "At equal steps it cannot be told whether the queue helps"),
    ],
)
def test_words_follow_the_interval_of_the_differences(leads, said):
    pilot = [_row(1e-3, 0, 0.0, figure, 1.0) for figure in (MEAN, SECONDS)]
    pilot += [_row(1e-3, 64, 0.9, figure, 1.0) for figure in (MEAN, SECONDS)]
    rows = [row | {"part": PILOT, "seed": 0} for row in pilot]
    for seed, lead in enumerate(leads):
        for name in ARMS:
            for asks in ("images", "texts"):
                rows += [_reported(name, seed, f"{asks}@{k}", 10.0) for k in (1, 5, 10)]
            # At equal time the queue is behind, beyond any doubt.
            mean = {ALONE: 20.0, QUEUED: 20.0 + lead, LONGER: 30.0 + lead + seed / 100}[name]
            rows += [_reported(name, seed, MEAN, mean), _reported(name, seed, SECONDS, 1.0)]
    told = queue.findings(pd.DataFrame(rows))
    assert told.startswith(said)
    assert "At equal CPU time the batch alone is ahead" in told
    assert ("detectable ≥ " in told) == ("cannot be told" in said)
    assert told.count("\n| ") == (1 + 3) + (1 + 1 + 2) + 1


def _row(rate, length, momentum, figure, value):
    of_run = {"rate": rate, "queue": length, "momentum": momentum, "epochs": 10}
    return of_run | {"figure": figure, "value": value}


def _reported(name, seed, figure, value):
    row = _row(1e-3, 64 if name == QUEUED else 0, 0.9, figure, value)
    return row | {"part": REPORTED, "seed": seed, "arm": name}
