"""The limit theorem and the floor of uniformity show at a small size."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from papers.alignment_uniformity import (
    circle,
    direct_optimisation,
    fine_tunings,
    limit_theorem,
    plane,
    single_negative,
    uniform_on_sphere,
)
from papers.alignment_uniformity.sphere import log_mean_exp, rows_at_cosine, uniform_rows
from papers.measurements import distinct, values, where
from papers.rates import slope
from scipy.integrate import quad

from nearfar.objectives import alignment


@pytest.mark.parametrize(("scale", "dim"), [(0.5, 2), (4.0, 3), (10.0, 8), (4.0, 128)])
def test_closed_form_is_the_integral_over_the_cosine(scale, dim):
    def density(angle):
        return math.sin(angle) ** (dim - 2)

    mean = quad(lambda angle: math.exp(scale * math.cos(angle)) * density(angle), 0, math.pi)[0]
    mean /= quad(density, 0, math.pi)[0]
    assert log_mean_exp(scale, dim) == pytest.approx(math.log(mean), rel=1e-7)


def test_gap_falls_as_1_by_m_and_a_single_draw_as_its_root():
    data = limit_theorem.measure(
        0, negatives=(256, 1024, 4096), temperatures=(0.5,), elements=2**18
    )
    negatives = values(data, "negatives")
    assert slope(negatives, values(data, "gap")) == pytest.approx(-1, abs=0.1)
    assert slope(negatives, values(data, "deviation")) == pytest.approx(-0.5, abs=0.1)
    np.testing.assert_allclose(values(data, "gap"), values(data, "expected_gap"), rtol=0.15)


def test_first_term_of_the_limit_is_the_alignment():
    rows = uniform_rows(50, 8, generator=torch.Generator().manual_seed(0))
    others = rows_at_cosine(rows, limit_theorem.COSINE, torch.Generator().manual_seed(1))
    temperature = 0.2
    from_alignment = (float(alignment(rows, others)) - 2) / (2 * temperature)
    limit = from_alignment + log_mean_exp(1 / temperature, limit_theorem.DIM)
    assert limit_theorem.limit(temperature) == pytest.approx(limit)


def test_uniformity_of_even_points_is_the_closed_form():
    data = uniform_on_sphere.measure(0, dims=(2, 16), points=(64, 1024), samples=4)
    few, many = (data.loc[values(data, "points") == number] for number in (64, 1024))
    np.testing.assert_allclose(values(many, "uniformity"), values(many, "exact"), atol=0.01)
    assert (values(many, "error") < values(few, "error")).all()
    assert uniform_on_sphere.of_even_spread(2.0, 2) == pytest.approx(-1.575, abs=5e-4)


def test_each_term_alone_gets_better_at_itself_and_worse_at_the_other():
    data = fine_tunings.measure(0, epochs=3, epochs_after=3, every=3)
    assert distinct(data, "epoch") == [0, 3]
    before, after = (where(data, epoch=epoch).set_index("objective") for epoch in (0, 3))
    assert before.drop(columns="epoch").drop_duplicates().shape[0] == 1  # all from one encoder
    change = after - before
    for name, other in (("alignment", "uniformity"), ("uniformity", "alignment")):
        assert change.loc[f"{name} alone", name] < 0 < change.loc[f"{name} alone", other]
    told = fine_tunings.findings(pd.concat([data.assign(seed=seed) for seed in (0, 1)]))
    assert "| both |" in told
    assert len(fine_tunings.draw(data.assign(seed=0)).axes) == 4


def test_on_the_circle_contrast_spreads_and_both_trainings_draw_views_together():
    data = circle.measure(0, epochs=4)
    assert {name: len(rows) for name, rows in data.groupby("encoder")} == dict.fromkeys(
        circle.ENCODERS, 500
    )
    by_encoder = data.groupby("encoder")
    uniformity = by_encoder["uniformity"].first()
    assert uniformity["contrastive"] < uniformity["random"]
    # No spread over the circle is more even than the even one.
    assert uniformity.min() > uniform_on_sphere.of_even_spread(2.0, 2) - 0.01
    assert data["angle"].between(-math.pi, math.pi).all()
    assert data["distance"].between(0, 2).all()
    figure = circle.draw(data.assign(seed=0))
    assert len(figure.axes) == 6
    assert "| contrastive |" in circle.findings(data.assign(seed=0))


def test_supervision_on_the_circle_sees_angles_alone():
    classifier = torch.nn.Linear(2, 10)
    first, second = torch.randn(2, 6, 2)
    labels = torch.arange(6)
    loss = circle._supervised(classifier)
    scaled = loss(3 * first, 0.5 * second, labels)
    torch.testing.assert_close(scaled, loss(first, second, labels))


def test_the_plane_measures_every_encoder_after_every_length():
    settings = {"NT-Xent": ({"temperature": 0.5}, {"temperature": 0.1})}
    data = plane.measure(0, epochs=(1, 2), settings=settings)
    assert len(data) == 4
    assert not data[["alignment", "uniformity", "accuracy"]].duplicated().any()
    assert len(plane.draw(data.assign(seed=0)).axes) == 4


def test_a_correlation_is_found_with_an_interval_over_settings():
    """Accuracy falls with the sum of both terms, and with neither alone so clearly."""
    draws = np.random.default_rng(0)
    alignment, uniformity = draws.uniform(0, 1, 60), draws.uniform(-4, -3, 60)
    data = pd.DataFrame(
        {
            "objective": "some",
            "settings": [str(place // 3) for place in range(60)],
            "epochs": 1,
            "alignment": alignment,
            "uniformity": uniformity,
            "accuracy": -(alignment + uniformity),
            "embedding": draws.uniform(0, 1, 60),
            "seed": [place % 3 for place in range(60)],
        }
    )
    mean, low, high = plane.correlation(data, "sum", "accuracy")
    assert (mean, low, high) == pytest.approx((-1, -1, -1))
    mean, low, high = plane.correlation(data, "alignment", "accuracy")
    assert -0.95 < low < mean < high < -0.3
    _, low, high = plane.correlation(data, "sum", "embedding")
    assert low < 0 < high
    assert "−1.00 (−1.00 to −1.00)" in plane.findings(data)


def test_with_one_negative_even_and_aligned_is_best():
    data = single_negative.measure(
        0, temperatures=(0.5,), offsets=(0.0, 1.0), cosines=(0.8, 1.0), anchors=2**14
    )
    best = data.loc[data["loss"].idxmin()]
    assert (best["offset"], best["cosine"]) == (0.0, 1.0)
    even = where(data, offset=0.0)
    np.testing.assert_allclose(values(even, "loss"), values(even, "even"), rtol=0.01)
    told = single_negative.findings(data.assign(seed=0))
    assert "in 1 of 1 cases" in told
    assert len(single_negative.draw(data.assign(seed=0)).axes) == 2


def test_the_pair_term_is_the_loss_of_one_negative_by_hand():
    for cosine in (-1.0, 0.3, 1.0):
        by_hand = -math.log(math.exp(0.8 / 0.5) / (math.exp(0.8 / 0.5) + math.exp(cosine / 0.5)))
        found = float(single_negative.pair_term(cosine, 0.5, 0.8))
        assert found == pytest.approx(by_hand, rel=1e-12)
    # On the circle of d = 2 the angle is even: the integral is a plain mean.
    angles = np.linspace(0, math.pi, 20_001)
    mean = single_negative.pair_term(np.cos(angles), 0.5, 1.0).mean()
    assert single_negative.of_even_spread(0.5, 1.0, dim=2) == pytest.approx(mean, rel=1e-4)


def test_both_losses_are_judged_on_the_output_and_before_the_head():
    study = direct_optimisation.REPRODUCTION
    first, second = study.arms.values()
    assert replace(first, method=second.method) == second
    assert first.method.projection == second.method.projection
    rows = [
        {
            "arm": name,
            "seed": seed,
            "measured_on": "test",
            "epoch": 10.0,
            "protocol": protocol,
            "features": features,
            "metric": "top1",
            "parameters": '{"k": 5, "temperature": 0.07}',
            "value": 0.5 + 0.01 * seed + 0.1 * place,
        }
        for place, name in enumerate(study.arms)
        for seed in range(3)
        for protocol in ("knn", "linear_probe")
        for features in ("encoder", "embedding")
    ]
    rows = pd.DataFrame(rows)
    assert len(study.draw(rows).axes[0].lines) == 4 * (3 + 2)
    for contrast in study.contrasts:
        assert contrast.by_seed(rows).tolist() == pytest.approx([-10] * 3)
