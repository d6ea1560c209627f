"""Every choice has the distribution that torchvision's v2 transforms draw it from."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare, ks_1samp, ks_2samp, uniform
from torchvision.transforms import v2

from nearfar.views.draws import draw
from nearfar.views.parameters import ViewParameters

COUNT = 6000
# Every seed is fixed: a true distribution fails once for good or never.
LEAST_P = 1e-3


def _draws(height=40, width=60, count=COUNT, seed=1, **values):
    parameters = ViewParameters(**{"size": 32} | values)
    return draw(parameters, count, height, width, torch.Generator().manual_seed(seed))


def _same(mine, theirs):
    assert ks_2samp(mine, theirs).pvalue > LEAST_P


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (40, 60, (0.08, 1.0), (3 / 4, 4 / 3)),
        (32, 32, (0.2, 1.0), (3 / 4, 4 / 3)),
        (50, 20, (0.5, 0.9), (0.5, 3.0)),
        (20, 90, (0.7, 1.0), (3 / 4, 4 / 3)),  # most tries fail: the fallback
    ],
)
def test_crops(height, width, scale, ratio):
    mine = _draws(height, width, crop_scale=scale, crop_ratio=ratio)
    transform = v2.RandomResizedCrop(8, scale=scale, ratio=ratio)
    image = torch.zeros(1, height, width)
    drawn = [transform.make_params([image]) for _ in range(COUNT)]
    theirs = {key: torch.tensor([box[key] for box in drawn]) for key in drawn[0]}
    for key, value in theirs.items():
        _same(getattr(mine, key), value)
    _same(mine.height * mine.width, theirs["height"] * theirs["width"])
    _same(mine.width / mine.height, theirs["width"] / theirs["height"])
    _same(mine.top * mine.width, theirs["top"] * theirs["width"])
    _same(mine.left - mine.top, theirs["left"] - theirs["top"])


def test_a_crop_that_never_fits_is_central():
    mine = _draws(10, 100, count=50, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 2.0))
    transform = v2.RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(1.0, 2.0))
    expected = transform.make_params([torch.zeros(1, 10, 100)])
    for key, value in expected.items():
        assert (getattr(mine, key) == value).all()
    mine = _draws(100, 10, count=50, crop_scale=(1.0, 1.0), crop_ratio=(0.5, 1.0))
    assert (mine.height == 20).all()
    assert (mine.top == 40).all()


def test_padding_moves_a_crop_that_never_fits_about_the_centre():
    """Of 40 × 60: the central 40 × 40, up to 5 rows and 8 columns aside."""
    mine = _draws(40, 60, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), padding=0.13)
    assert (mine.height == 40).all()
    assert (mine.width == 40).all()
    for place, least, count in ((mine.top, -5, 11), (mine.left, 2, 17)):
        counts = (place - least).bincount(minlength=count)
        assert len(counts) == count
        assert chisquare(counts).pvalue > LEAST_P


def test_padding_lets_a_crop_lie_beyond_every_edge():
    mine = _draws(40, 60, crop_scale=(0.2, 0.3), padding=0.13)
    for place, side, extent, beyond in (
        (mine.top, mine.height, 40, 5),
        (mine.left, mine.width, 60, 8),
    ):
        shares = (place + beyond + 0.5) / (extent - side + 2 * beyond + 1)
        assert (place.min(), (place + side).max()) == (-beyond, extent + beyond)
        assert ks_1samp(shares, uniform.cdf).pvalue > LEAST_P


@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    low=st.floats(0.001, 1),
    ratio=st.floats(0.1, 10),
    seed=st.integers(0, 2**31),
)
def test_crops_lie_in_the_image(height, width, low, ratio, seed):
    drawn = _draws(height, width, 64, seed, crop_scale=(low, 1.0), crop_ratio=(ratio, ratio * 1.5))
    assert (drawn.height >= 1).all()
    assert (drawn.width >= 1).all()
    assert (drawn.top >= 0).all()
    assert (drawn.left >= 0).all()
    assert (drawn.top + drawn.height <= height).all()
    assert (drawn.left + drawn.width <= width).all()


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("name", ["flip", "grey", "solarize", "blur", "jitter"])
def test_rates(name, probability):
    drawn = _draws(**{"brightness": 0.5, name: probability})
    happens = {
        "blur": drawn.sigma > 0,
        "jitter": drawn.brightness != 1,
        "flip": drawn.flip,
        "grey": drawn.grey,
        "solarize": drawn.solarize,
    }[name]
    assert binomtest(int(happens.sum()), COUNT, probability).pvalue > LEAST_P


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_jitter_factors(strength):
    spread = 0.8 * strength
    mine = _draws(
        jitter=1.0, brightness=spread, contrast=spread, saturation=spread, hue=0.2 * strength
    )
    transform = v2.ColorJitter(spread, spread, spread, 0.2 * strength)
    drawn = [transform.make_params([]) for _ in range(COUNT)]
    _same(mine.brightness, [one["brightness_factor"] for one in drawn])
    _same(mine.contrast, [one["contrast_factor"] for one in drawn])
    _same(mine.saturation, [one["saturation_factor"] for one in drawn])
    _same(mine.hue, [one["hue_factor"] for one in drawn])


def test_every_order_of_jitter_is_as_likely():
    order = _draws(jitter=1.0).order
    assert (order.sort(dim=1).values == torch.arange(4)).all()
    codes = (order * torch.tensor([64, 16, 4, 1])).sum(dim=1)
    _, counts = codes.unique(return_counts=True)
    assert len(counts) == 24
    assert min(binomtest(int(c), COUNT, 1 / 24).pvalue for c in counts) > LEAST_P / 24


def test_without_jitter_factors_change_nothing():
    drawn = _draws(jitter=0.0, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5)
    for factor in (drawn.brightness, drawn.contrast, drawn.saturation):
        assert (factor == 1).all()
    assert (drawn.hue == 0).all()


def test_blur_sigma():
    mine = _draws(blur=1.0, blur_sigma=(0.1, 2.0)).sigma
    transform = v2.GaussianBlur(3, (0.1, 2.0))
    _same(mine, [transform.make_params([])["sigma"][0] for _ in range(COUNT)])


def test_a_side_too_small_to_blur_is_not_blurred():
    assert (_draws(size=19, blur=1.0).sigma == 0).all()
    assert (_draws(size=20, blur=1.0).sigma > 0).all()


def test_angles():
    mine = _draws(rotation=30.0).angle
    assert ks_1samp(mine, uniform(-30, 60).cdf).pvalue > LEAST_P
    transform = v2.RandomRotation(30)
    _same(mine, [transform.make_params([])["angle"] for _ in range(COUNT)])


def test_choices_are_independent_of_each_other_and_between_images():
    drawn = _draws(jitter=1.0, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, blur=1.0)
    columns = torch.stack(
        [
            getattr(drawn, name).float()
            for name in ("top", "left", "flip", "brightness", "contrast", "saturation", "hue")
        ]
        + [drawn.sigma, drawn.brightness.roll(1), drawn.hue.roll(1), drawn.sigma.roll(1)]
    )
    off_diagonal = torch.corrcoef(columns) - torch.eye(len(columns))
    # top and left both depend on the size of the crop
    off_diagonal[0, 1] = off_diagonal[1, 0] = 0
    assert off_diagonal.abs().max() < 5 / COUNT**0.5


def test_a_changed_setting_leaves_the_other_choices():
    one, other = _draws(flip=0.1, blur=0.0), _draws(flip=0.9, blur=1.0)
    assert torch.equal(one.top, other.top)
    assert torch.equal(one.grey, other.grey)
    assert not torch.equal(one.flip, other.flip)
