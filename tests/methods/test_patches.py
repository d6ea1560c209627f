"""Every patch is moved and jittered by itself, by the draws that the definitions name."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.methods.cpc import jittered, kept_side, moved_crops


def patches_of(count: int, channels: int, side: int) -> torch.Tensor:
    """Patches all of whose pixels differ."""
    return torch.arange(count * channels * side * side).double().view(count, channels, side, side)


def slow_moved_crops(patches: torch.Tensor, kept: int) -> torch.Tensor:
    """A pixel at a time: first rows, then columns, each with the start and the place drawn."""
    count, _, side, _ = patches.shape
    (top, put_top), (left, put_left) = (
        torch.randint(side - kept + 1, (2, count, 1)).tolist() for _ in range(2)
    )
    moved = torch.empty_like(patches)
    for each in range(count):
        crop = patches[each][
            :, top[each][0] : top[each][0] + kept, left[each][0] : left[each][0] + kept
        ]
        for row in range(side):
            for column in range(side):
                nearest_row = min(max(row - put_top[each][0], 0), kept - 1)
                nearest_column = min(max(column - put_left[each][0], 0), kept - 1)
                moved[each, :, row, column] = crop[:, nearest_row, nearest_column]
    return moved


@given(
    count=st.integers(1, 5),
    channels=st.integers(1, 3),
    side=st.integers(1, 9),
    share=st.floats(0.01, 1.0),
    seed=st.integers(0, 100),
)
def test_crops_are_moved_as_a_loop_over_pixels_moves_them(count, channels, side, share, seed):
    patches = patches_of(count, channels, side)
    torch.manual_seed(seed)
    moved = moved_crops(patches, share)
    torch.manual_seed(seed)
    assert torch.equal(moved, slow_moved_crops(patches, kept_side(side, share)))


def test_a_crop_keeps_whole_pixels_and_at_least_one():
    kept = {0.01: 1, 0.5: 4, 0.75: 6, 0.9: 7, 0.95: 8, 1.0: 8}
    assert {share: kept_side(8, share) for share in kept} == kept
    assert kept_side(64, 60 / 64) == 60


def test_every_start_and_every_place_comes_about_as_often():
    torch.manual_seed(0)
    # Of 4 px, 3 are kept: rows 0 1 2 or 1 2 3, put at row 0 or at row 1.
    moved = moved_crops(patches_of(1, 1, 4).expand(4000, -1, -1, -1), 0.75)
    rows = (moved[:, 0, :, 0] // 4).int().tolist()
    seen = {each: sum(row == list(each) for row in rows) for each in map(tuple, rows)}
    assert set(seen) == {(0, 1, 2, 2), (0, 0, 1, 2), (1, 2, 3, 3), (1, 1, 2, 3)}
    # Binomial of 4000 at a quarter: a deviation of 27.
    assert all(abs(count - 1000) < 150 for count in seen.values())


def test_a_whole_crop_and_a_jitter_of_nothing_change_nothing():
    patches = patches_of(3, 2, 5)
    assert torch.equal(moved_crops(patches, 1.0), patches)
    assert torch.equal(jittered(patches, 0.0), patches)


def test_each_patch_has_a_brightness_and_a_contrast_for_all_its_channels():
    patches = torch.randn(7, 3, 4, 4).double()
    torch.manual_seed(3)
    changed = jittered(patches, 0.5)
    torch.manual_seed(3)
    contrast, brightness = torch.randn(2, 7, 1, 1, 1).double().flatten(1)
    for each in range(7):
        expected = patches[each] * (contrast[each] / 2).exp() + brightness[each] / 2
        torch.testing.assert_close(changed[each], expected, rtol=1e-6, atol=1e-6)
    assert len({round(float(each), 6) for each in (changed - patches).mean((1, 2, 3))}) == 7


def test_the_deviation_is_that_of_brightness_and_of_the_logarithm_of_contrast():
    torch.manual_seed(1)
    flat = torch.zeros(20000, 1, 1, 1)
    striped = torch.tensor([-1.0, 1.0]).expand(20000, 1, 2, 2)
    brightness = jittered(flat, 0.3).flatten()
    changed = jittered(striped, 0.3).flatten(1)
    contrast = ((changed[:, 1] - changed[:, 0]) / 2).log()
    for drawn in (brightness, contrast):
        assert abs(float(drawn.mean())) < 0.01
        assert float(drawn.std()) == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half_and_finite(dtype):
    patches = torch.randn(50, 1, 8, 8).to(dtype)
    torch.manual_seed(0)
    changed = jittered(moved_crops(patches, 0.75), 0.5)
    assert changed.dtype == dtype
    torch.manual_seed(0)
    exact = jittered(moved_crops(patches.double(), 0.75), 0.5)
    torch.testing.assert_close(changed.double(), exact, rtol=0.03, atol=0.03)


def test_gradients_reach_the_pixels_that_are_seen():
    patches = torch.randn(3, 2, 4, 4).double().requires_grad_()

    def changed(each: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(5)
        return jittered(moved_crops(each, 0.5), 0.4)

    assert torch.autograd.gradcheck(changed, patches)
