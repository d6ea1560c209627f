import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import SettingError
from nearfar.spec import as_spec
from nearfar.views.float_views import series_view
from nearfar.views.parameters import SeriesParameters
from nearfar.views.specs import SeriesViewsSpec, ViewsSpec

SHAPE = (3, 20)
MEAN, STD = (1.0, -2.0, 0.5), (2.0, 0.5, 1.0)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _series(batch=16, channels=3, steps=20):
    return torch.randn(batch, channels, steps, generator=_generator(9))


def _one(**parameters):
    return series_view(_series(400), SeriesParameters(**parameters), _generator())


def test_nothing_asked_changes_nothing():
    assert torch.equal(_one(), _series(400))


@given(st.integers(1, 30), st.floats(0.05, 1.0), st.integers(0, 99))
def test_a_crop_is_the_straight_lines_between_its_steps(steps, share, seed):
    series = torch.randn(4, 2, steps, generator=_generator(seed))
    parameters = SeriesParameters(crop_length=(share, share))
    views = series_view(series, parameters, _generator(seed))
    _, start, _, _ = torch.rand(4, 4, generator=_generator(seed)).unbind()
    span = share * (steps - 1)
    for row in range(4):
        first = float(start[row]) * (steps - 1 - span)
        for step in range(steps):
            at = first + span * (step / (steps - 1) if steps > 1 else 0.0)
            left = min(int(at), steps - 1)
            right = min(left + 1, steps - 1)
            expected = series[row, :, left] * (1 - (at - left)) + series[row, :, right] * (
                at - left
            )
            torch.testing.assert_close(views[row, :, step], expected, atol=1e-4, rtol=1e-4)


def test_noise_and_scaling_have_their_deviation_and_leave_the_mean():
    added = _one(noise=0.3) - _series(400)
    assert added.std().item() == pytest.approx(0.3, rel=0.02)
    factor = _one(scaling=0.2) / _series(400)
    assert (factor - factor[:, :, :1]).abs().max() < 1e-2, "one factor for all steps of a channel"
    assert factor[:, :, 0].std().item() == pytest.approx(0.2, rel=0.1)
    assert factor[:, :, 0].mean().item() == pytest.approx(1.0, abs=0.03)


def test_a_mask_is_one_piece_for_all_channels_and_no_longer_than_asked():
    hidden = (_one(time_mask=0.5) == 0).all(dim=1)
    assert torch.equal(hidden, (_one(time_mask=0.5) == 0).any(dim=1))
    lengths = hidden.sum(dim=1)
    assert (lengths.min(), lengths.max()) == (0, 10)
    assert lengths.float().mean().item() == pytest.approx(5, abs=0.5)
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(dim=1)
    assert edges.max() <= 2
    assert hidden[:, 0].any()
    assert hidden[:, -1].any()


@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_channels_are_dropped_with_their_probability_but_never_all(probability):
    dropped = (_one(channel_drop=probability) == 0).all(dim=2)
    assert dropped.sum(dim=1).max() == 2
    expected = 2 / 3 if probability == 1 else probability - probability**3 / 3
    assert dropped.float().mean().item() == pytest.approx(expected, abs=0.04)


def test_views_are_normalised_repeatable_and_of_their_own_draws():
    views = SeriesViewsSpec(count=3).build(SHAPE, mean=MEAN, std=STD)
    series = _series() * 3
    drawn = views(series, _generator())
    assert [view.shape for view in drawn] == [series.shape] * 3
    assert all(torch.equal(a, b) for a, b in zip(drawn, views(series, _generator()), strict=True))
    assert not torch.equal(drawn[0], drawn[2])
    own = views.draw(series, _generator(), normalise=False)
    mean, std = torch.tensor(MEAN)[:, None], torch.tensor(STD)[:, None]
    torch.testing.assert_close((own - mean) / std, drawn[0], atol=1e-5, rtol=1e-5)


def test_each_series_is_changed_in_its_own_way():
    same = torch.ones(8, 3, 20) * torch.linspace(-1, 1, 20)
    config = SeriesViewsSpec(noise=0.0, scaling=0.0)
    first = config.build(SHAPE, mean=(0.0,) * 3, std=(1.0,) * 3)(same, _generator())[0]
    assert len(torch.unique(first[:, 0], dim=0)) == 8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"flip": 0.5}, r"views\.flip is 0\.5: series has no such setting"),
        ({"implementation": "exact"}, r"views\.implementation"),
        ({"mixup": 0.1}, r"views\.mixup"),
        ({"name": "serie"}, "did you mean 'series'"),
        ({"name": "digits"}, r"digits takes images \(channels, height, width\), and not a shape"),
        ({"count": 0}, "it must be 1 to 1,024"),
        ({"noise": -0.1}, r"views\.noise is -0\.1: it must be 0 or more"),
        ({"time_mask": 1.5}, r"views\.time_mask is 1\.5: it must be 0 to 1"),
        ({"crop_length": (0.0, 1.0)}, r"views\.crop_length"),
        ({"scaling": float("nan")}, r"views\.scaling"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(SettingError, match=words) as caught:
        as_spec(ViewsSpec, {"name": "series", **settings}).build(SHAPE, mean=MEAN, std=STD)
    assert "\n" not in str(caught.value)


def test_other_series_are_refused():
    views = SeriesViewsSpec().build(SHAPE, mean=MEAN, std=STD)
    words = "need float32 or float64 series of 3 channels × 20 steps, not fl"
    with pytest.raises(SettingError, match=words):
        views(_series(steps=19), _generator())
    with pytest.raises(SettingError, match="not float16"):
        views(_series().half(), _generator())
    with pytest.raises(SettingError, match="mean has 2 values for series of 3 channels × 20 steps"):
        SeriesViewsSpec().build(SHAPE, mean=MEAN[:2], std=STD)
