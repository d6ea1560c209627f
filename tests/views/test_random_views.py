"""The one interface: what it gives, what it repeats, what it refuses."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import SettingError
from nearfar.spec import as_spec
from nearfar.views.parameters import ViewParameters
from nearfar.views.random_views import RandomViews
from nearfar.views.specs import SimCLRViewsSpec, ViewsSpec

IMAGE_PRESETS = [name for name, each in ViewsSpec.known().items() if each.takes == "images"]
IMPLEMENTATIONS = ("fused", "exact")


def _views(channels=3, size=16, mean=0.5, std=0.25, preset="simclr", **values):
    spec = as_spec(ViewsSpec, {"name": preset, **values})
    return spec.build((channels, size, size), mean=(mean,) * channels, std=(std,) * channels)


def _images(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(
    st.sampled_from(IMPLEMENTATIONS),
    st.sampled_from(IMAGE_PRESETS),
    st.sampled_from([0.0, 30.0]),
    st.integers(0, 5),
    st.sampled_from([1, 2, 3, 5]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 45),
)
def test_any_shape(implementation, preset, rotation, count, channels, height, width, size):
    views = _views(channels, size, implementation=implementation, preset=preset, rotation=rotation)
    images = _images(count, channels, height, width)
    first, second = views(images, _generator())
    for view in (first, second):
        assert view.shape == (count, channels, size, size)
        assert view.dtype == torch.float32
        assert view.is_contiguous()
        assert ((view >= -2.0001) & (view <= 2.0001)).all()
    pictures = views.draw(images, _generator(), normalise=False)
    assert ((pictures >= 0) & (pictures <= 1)).all()
    torch.testing.assert_close(first * 0.25 + 0.5, pictures, atol=1e-4, rtol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_each_view_is_drawn_from_its_own_parameters(implementation):
    whole = ViewParameters(
        size=16, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter=0.0
    )
    views = RandomViews(
        (whole, replace(whole, solarize=1.0)),
        channels=1,
        mean=(0.0,),
        std=(1.0,),
        implementation=implementation,
    )
    images = _images(8, 1, 16, 16)
    first, second = views(images, _generator())
    torch.testing.assert_close(first, images / 255, atol=1e-5, rtol=0)
    inverted = torch.where(images >= 128, 255 - images, images) / 255
    torch.testing.assert_close(second, inverted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("preset", IMAGE_PRESETS)
def test_the_generator_decides_everything(implementation, preset):
    views = _views(size=32, implementation=implementation, preset=preset)
    images = _images(150, 3, 32, 32)
    generator = _generator(7)
    views(images, generator)
    state = generator.get_state()
    one = views(images, generator)
    torch.manual_seed(123)  # the global state plays no part
    again = torch.Generator()
    again.set_state(state)
    other = views(images, again)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert torch.equal(generator.get_state(), again.get_state())
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], views(images, generator)[0])


def test_the_pair_is_both_views_drawn_in_turn():
    views, images = _views(preset="byol"), _images(20, 3, 16, 16)
    first, second = views(images, _generator())
    generator = _generator()
    assert torch.equal(first, views.draw(images, generator, view=0))
    assert torch.equal(second, views.draw(images, generator, view=1))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_views_of_one_image_differ(implementation):
    image = _images(1, 3, 32, 32).expand(64, -1, -1, -1)
    view = _views(size=32, implementation=implementation).draw(image, _generator())
    distances = torch.cdist(view.flatten(1), view.flatten(1))
    distances.fill_diagonal_(1)
    assert distances.min() > 0


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_changing_one_image_changes_its_view_alone(implementation):
    views, images = _views(size=32, implementation=implementation), _images(90, 3, 32, 32)
    before = views.draw(images, _generator())
    images[40] = 255 - images[40]
    after = views.draw(images, _generator())
    changed = (before != after).flatten(1).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [40]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_nothing_asked_is_the_image_itself(implementation):
    views = _views(
        size=16,
        implementation=implementation,
        crop_scale=(1.0, 1.0),
        crop_ratio=(1.0, 1.0),
        flip=0.0,
        jitter=0.0,
        grey=0.0,
        blur=0.0,
    )
    images = _images(5, 3, 16, 16)
    expected = (images / 255 - 0.5) / 0.25
    for view in views(images, _generator()):
        torch.testing.assert_close(view, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_originals_of_any_layout_are_left_as_they_are(implementation):
    views = _views(implementation=implementation)
    images = _images(6, 3, 16, 16)
    before = images.clone()
    expected = views.draw(images, _generator())
    assert torch.equal(images, before)
    layout = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(views.draw(layout, _generator()), expected)


def test_views_carry_no_gradient():
    assert not _views().draw(_images(2, 3, 16, 16), _generator()).requires_grad


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (torch.zeros(2, 3, 8, 8), "not float32"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), "not int64"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"not \(3, 8, 8\)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"not \(2, 1, 8, 8\)"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"not \(2, 8, 8, 3\)"),
        (torch.zeros(2, 3, 0, 8, dtype=torch.uint8), r"not \(2, 3, 0, 8\)"),
    ],
)
def test_wrong_images_are_refused(images, told):
    with pytest.raises(SettingError, match=told):
        _views()(images, _generator())


def test_wrong_statistics_are_refused():
    with pytest.raises(SettingError, match="mean has 1 values for images of 3 channels"):
        SimCLRViewsSpec().build((3, 8, 8), mean=(0.5,), std=(0.2,) * 3)
    with pytest.raises(SettingError, match="std is 0"):
        SimCLRViewsSpec().build((2, 8, 8), mean=(0.5, 0.5), std=(0.2, 0.0))


def test_the_config_decides_the_size():
    views = SimCLRViewsSpec(size=12).build((1, 8, 8), mean=(0.5,), std=(0.5,))
    assert views.draw(_images(1, 1, 8, 8), _generator()).shape == (1, 1, 12, 12)


def test_more_than_two_views_are_drawn_in_turn_from_both_parameters():
    images, views = _images(6, 3, 20, 20), _views(preset="byol", count=4)
    drawn = views(images, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    assert len(drawn) == 4
    for number, view in enumerate(drawn):
        assert torch.equal(view, views.draw(images, generator, view=number % 2))
    with pytest.raises(SettingError, match=r"views.count is 0: it must be 1 to 1,024"):
        _views(count=0)
