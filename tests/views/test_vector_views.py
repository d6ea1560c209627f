import pytest
import torch

from nearfar.errors import SettingError
from nearfar.spec import as_spec
from nearfar.views.float_views import vector_view
from nearfar.views.parameters import VectorParameters
from nearfar.views.specs import ScarfViewsSpec, ViewsSpec


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _numbered(batch=300, features=8):
    """Vectors whose every value tells its row and its feature."""
    return torch.arange(batch)[:, None] + torch.arange(features) / 100


def _one(vectors, **parameters):
    return vector_view(vectors, VectorParameters(**parameters), _generator())


def test_nothing_asked_changes_nothing():
    assert torch.equal(_one(_numbered()), _numbered())


def test_a_corrupted_feature_is_that_feature_of_some_row():
    views = _one(_numbered(), corruption=0.4)
    rows = (views - torch.arange(8) / 100).round()
    torch.testing.assert_close(views, rows + torch.arange(8) / 100)
    assert (rows.min(), rows.max()) == (0, 299)
    changed = rows != torch.arange(300)[:, None]
    assert changed.float().mean().item() == pytest.approx(0.4, abs=0.04)
    assert 0 < changed.float().mean(dim=1).std() < 0.3, "each row has its own choice"


def test_a_mixture_lies_on_the_way_to_one_other_row():
    vectors = _numbered()
    moved = _one(vectors, mixup=0.3) - vectors
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), atol=1e-3, rtol=1e-3)
    corners = torch.eye(50)
    mixed = _one(corners, mixup=0.3)
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(50))
    own = mixed.diagonal()
    assert own.min() >= 0.7 - 1e-6
    assert own.mean().item() == pytest.approx(0.85, abs=0.03)
    assert ((mixed > 0).sum(dim=1) <= 2).all()


def test_noise_has_its_deviation():
    vectors = torch.zeros(500, 8)
    assert _one(vectors, noise=0.2).std().item() == pytest.approx(0.2, rel=0.05)


def test_scarf_leaves_the_first_view_as_it_is():
    vectors = torch.randn(20, 4, generator=_generator(3))
    views = ScarfViewsSpec().build((4,), mean=(0.0,) * 4, std=(2.0,) * 4)
    first, second = views(vectors, _generator())
    assert torch.equal(first, vectors / 2)
    assert not torch.equal(second, first)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "vectors", "crop_length": (0.5, 1.0)}, r"vectors has no such .* to series"),
        ({"name": "vectors", "mixup": 0.6}, r"views\.mixup is 0\.6: it must be 0 to 0\.5"),
        ({"name": "vectors", "corruption": 1.1}, r"views\.corruption"),
        ({"name": "simclr", "noise": 0.1}, r"simclr has no such setting.* to series and vectors"),
        ({"name": "vector"}, "did you mean 'vectors'"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_data_are_read(settings, words):
    with pytest.raises(SettingError, match=words):
        as_spec(ViewsSpec, settings)


def test_words_of_one_column_are_replaced_together():
    words = torch.nn.functional.one_hot(torch.arange(64) % 5, 5)
    rows = torch.cat([words, torch.arange(64)[:, None] % 7, 1 - words], dim=1).float()
    columns = torch.tensor([0] * 5 + [1] + [2] * 5)
    parameters = VectorParameters(corruption=0.5)
    view = vector_view(rows, parameters, torch.Generator().manual_seed(0), columns)
    assert view[:, :5].sum(1).eq(1).all()
    assert view[:, 6:].sum(1).eq(4).all()
    changed = [view[:, part].ne(rows[:, part]).any(1) for part in (slice(5), slice(6, 11))]
    assert 15 < changed[0].sum() < 40  # a half of 64, of which a fifth draws its own word
    assert changed[0].ne(changed[1]).any()  # columns are drawn apart
    alone = vector_view(rows, parameters, torch.Generator().manual_seed(0))
    assert not alone[:, :5].sum(1).eq(1).all()
