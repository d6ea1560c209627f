"""PaCo's optimum is found where its authors say it is."""

import numpy as np
import pytest
from papers.measurements import values
from papers.paco import optimum


def test_descent_ends_at_the_closed_form():
    data = optimum.measure(0, alphas=(0.05, 1.0), sizes=(1, 3, 6), steps=12)
    for kind in ("pair", "centre"):
        np.testing.assert_allclose(values(data, kind), values(data, f"best_{kind}"), rtol=2e-3)


@pytest.mark.parametrize(("weight", "share"), [(0.41, 0.709), (1.0, 0.5), (4.0, 0.2)])
def test_extra_loss_is_least_at_the_centres_share(weight, share):
    assert optimum.best_share(weight) == pytest.approx(share, abs=5e-4)
    assert optimum.best_share(weight) == pytest.approx(1 / (1 + weight), abs=1e-6)
