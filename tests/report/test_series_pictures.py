import numpy as np

from nearfar.report.pictures import SIDE, line_plot, with_series_drawn


def _ink(plot):
    """Where the plot is not white."""
    return (plot < 128).any(axis=2)


def test_a_rising_line_rises_from_corner_to_corner():
    ink = _ink(line_plot(np.linspace(0, 1, 50, dtype=np.float32)[None], np.zeros(1), np.ones(1)))
    columns = np.flatnonzero(ink.any(axis=0))
    heights = [np.flatnonzero(ink[:, column]).mean() for column in columns]
    assert columns[0] <= 6
    assert columns[-1] >= SIDE - 7
    assert heights[0] > SIDE - 8
    assert heights[-1] < 8
    assert (np.diff(heights) <= 0.5).all()


def test_channels_have_colours_of_their_own_and_one_step_is_a_line():
    plot = line_plot(np.array([[0.2], [0.8]], np.float32), np.zeros(2), np.ones(2))
    low, high = plot[70:90].min(axis=(0, 1)), plot[5:25].min(axis=(0, 1))
    assert _ink(plot).any(axis=0).sum() > SIDE - 12
    assert np.abs(low.astype(int) - high.astype(int)).max() > 50


def test_a_value_off_the_scale_and_a_constant_channel_can_be_drawn():
    plot = line_plot(np.array([[0, 1e30, 0], [5, 5, 5]], np.float32), np.zeros(2), np.zeros(2))
    assert plot.shape == (SIDE, SIDE, 3)


def test_series_are_drawn_at_one_scale_and_all_else_is_left_alone():
    random = np.random.default_rng(0)
    series = random.normal(size=(5, 2, 9)).astype(np.float32)
    arrays = {
        "shown_images": series,
        "gallery_images": series[:2],
        "view_samples": series[:4].reshape(2, 2, 2, 9),
        "shown_map": np.zeros((5, 2)),
    }
    drawn = with_series_drawn(arrays)
    assert drawn["shown_images"].shape == (5, SIDE, SIDE, 3)
    assert drawn["view_samples"].shape == (2, 2, SIDE, SIDE, 3)
    assert (drawn["gallery_images"] == drawn["shown_images"][:2]).all()
    assert (drawn["view_samples"].reshape(4, SIDE, SIDE, 3) == drawn["shown_images"][:4]).all()
    assert drawn["shown_map"] is arrays["shown_map"]
    images = {"shown_images": np.zeros((3, 8, 8, 1), np.uint8)}
    assert with_series_drawn(images) is images


def test_views_are_drawn_where_no_other_series_is_shown():
    series = np.random.default_rng(0).normal(size=(3, 2, 30))
    drawn = with_series_drawn({"view_originals": series, "view_samples": series[:, None]})
    assert drawn["view_originals"].shape == (3, SIDE, SIDE, 3)
    assert drawn["view_samples"].shape == (3, 1, SIDE, SIDE, 3)
