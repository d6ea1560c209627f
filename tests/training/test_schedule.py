import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nearfar.training.schedules import CosineSpec, DropsSpec


def rates(peak, warmup_steps, total_steps):
    schedule = CosineSpec(warmup_share=warmup_steps / total_steps)
    return [
        schedule.rate_at(step, peak=peak, total_steps=total_steps) for step in range(total_steps)
    ]


def test_known_values():
    assert rates(8.0, 4, 7) == pytest.approx(
        [2.0, 4.0, 6.0, 8.0, 4.0 * (1 + 2**-0.5), 4.0, 4.0 * (1 - 2**-0.5)]
    )


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@example((109, 109))  # 0.3 * 109 / 109 is not 0.3
def test_rises_to_the_peak_then_falls_and_wastes_no_step(steps):
    warmup, total = steps
    values = rates(0.3, warmup, total)
    assert all(0 < value <= 0.3 for value in values)
    assert values[:warmup] == sorted(values[:warmup])
    assert values[max(warmup - 1, 0) :] == sorted(values[max(warmup - 1, 0) :], reverse=True)
    if warmup:
        assert values[warmup - 1] == 0.3


def test_drops_divide_the_rate_by_ten_and_there_is_no_cosine():
    schedule = DropsSpec(warmup_share=2 / 9, epochs=(4, 7))
    values = [schedule.rate_at(step, peak=8.0, total_steps=9) for step in range(9)]
    assert values == pytest.approx([4.0, 8.0, 8.0, 8.0, 0.8, 0.8, 0.8, 0.08, 0.08])
