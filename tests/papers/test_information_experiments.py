"""What is known of InfoNCE, N-pair and Donsker-Varadhan shows at a small size."""

import math

import numpy as np
import pytest
from papers.measurements import values, where
from papers.mutual_information import donsker_varadhan_bias, n_pair_identity, saturation


def test_info_nce_follows_the_truth_and_stops_at_log_n():
    data = saturation.measure(0, informations=(2, 20), batches=(16, 512), pairs=2048)
    assert (values(data, "headroom") >= 0).all()
    at = {
        (information, batch): float(
            values(where(data, information=information, batch=batch), "bound")[0]
        )
        for information in (2, 20)
        for batch in (16, 512)
    }
    assert at[2, 512] == pytest.approx(2, abs=0.15)
    assert at[20, 512] == pytest.approx(math.log(512), abs=0.01)
    assert at[20, 16] == pytest.approx(math.log(16), abs=0.01)
    assert at[2, 16] < 1.8


def test_n_pair_is_info_nce():
    data = n_pair_identity.measure(0, batches=(2, 40), repeats=4)
    assert (values(where(data, precision="float64"), "difference") < 1e-13).all()
    assert (values(where(data, precision="float32"), "difference") < 1e-5).all()


@pytest.mark.parametrize(("pairing", "batch"), [("all others", 64), ("one other", 512)])
def test_donsker_varadhan_is_biased_upward_by_half_the_variance(pairing, batch):
    drawn = {pairing: 300 * batch * (batch if pairing == "all others" else 1)}
    data = donsker_varadhan_bias.measure(0, informations=(0.5,), batches=(batch,), drawn=drawn)
    bias, expected = (float(values(data, name)[0]) for name in ("bias", "expected"))
    assert bias == pytest.approx(expected, rel=0.25)


def test_small_batches_are_biased_more():
    data = donsker_varadhan_bias.measure(
        0, informations=(4,), batches=(16, 64), drawn={"one other": 4096}
    )
    few, more = values(data, "bias")
    assert few > more > 0.1


def test_line_read_at_zero_is_the_mean():
    log_means = np.array([-0.2, 0.1, 0.3])
    # Where −log m is a line in m − 1, as for small deviations, nothing but its height is left.
    assert donsker_varadhan_bias.mean_of_minus_log(1e-4 * log_means) == pytest.approx(0, abs=1e-8)
    # With m = e^{±a} equally often, −log m is odd and m − 1 is not: the line through both points.
    both = donsker_varadhan_bias.mean_of_minus_log(np.array([0.5, -0.5]))
    assert both == pytest.approx(0.5 * math.tanh(0.25))
