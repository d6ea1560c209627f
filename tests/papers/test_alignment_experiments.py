"""The limit theorem and the floor of uniformity show at a small size."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from papers.alignment_uniformity import (
    circle,
    fine_tunings,
    limit_theorem,
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
