"""Depth of both encoders, at a small size: every figure is there, and the words say what came."""

import pandas as pd
import pytest
from papers.alignment_uniformity import depth


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_every_figure_of_both_encoders_and_the_baselines_is_measured(cache):
    data = depth.measure(0, examples=80, epochs=1, head_epochs=1).assign(seed=0)
    assert set(data["of"]) == {*depth.ARMS, *depth.BASELINES.values()}
    assert len(data) == 4 * len(depth.HEADS) * 6  # RMSE, MAE, rel and three factors
    assert (data["value"] > 0).all()
    assert depth.draw(data).get_axes()
    told = depth.findings(data)
    assert told.startswith("Under a linear head the two cannot be told apart")
    assert told.count("\n| ") == 1 + 1 + 8


def test_who_is_ahead_is_told_where_the_seeds_agree():
    rows = [
        {"of": arm, "head": head, "figure": figure, "value": value + seed / 1000, "seed": seed}
        for arm, value in zip(depth.ARMS, (0.3, 0.2), strict=True)
        for head in depth.HEADS
        for figure in depth.FIGURES
        for seed in range(3)
    ]
    told = depth.findings(pd.DataFrame(rows))
    assert "Under a linear head alignment + uniformity is ahead" in told
    assert "−0.100 in relative error" in told
