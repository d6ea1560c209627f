import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import SettingError
from nearfar.text_bytes import decoded, encoded
from nearfar.views.parameters import TextParameters
from nearfar.views.specs import SimCSEViewsSpec, TextViewsSpec
from nearfar.views.text_views import MASK, text_view

words = st.text(alphabet="abcdefgxyzßé☃", min_size=1, max_size=6)
texts = st.lists(st.lists(words, max_size=8).map(" ".join), min_size=1, max_size=5)


def _drawn(given_texts, seed=0, **settings):
    rows, _ = encoded(given_texts, 80)
    generator = torch.Generator().manual_seed(seed)
    return decoded(text_view(rows, TextParameters(**settings), generator))


@given(texts, st.integers(0, 100))
def test_a_crop_is_a_run_of_words(given_texts, seed):
    for text, view in zip(
        given_texts, _drawn(given_texts, seed, crop_length=(0.3, 0.7)), strict=True
    ):
        kept, whole = view.split(), text[:80].split()
        assert f" {view} " in f" {' '.join(decoded(encoded([text], 80)[0])[0].split())} "
        if len(whole) > 1 and len(text.encode()) <= 80:
            assert max(1, round(0.3 * len(whole))) <= len(kept) <= max(1, round(0.7 * len(whole)))


@given(texts, st.integers(0, 100), st.floats(0, 1))
def test_words_are_deleted_and_one_stays(given_texts, seed, share):
    for text, view in zip(given_texts, _drawn(given_texts, seed, deletion=share), strict=True):
        left = iter(decoded(encoded([text], 80)[0])[0].split())
        assert all(word in left for word in view.split()), "in their order, none twice"
        assert bool(view) == bool(text)
        assert view == view.strip()


def test_each_word_is_deleted_and_masked_as_often_as_asked():
    rows, _ = encoded(["one two three four five six seven eight nine ten"] * 2000, 64)
    generator = torch.Generator().manual_seed(0)
    deleted = decoded(text_view(rows, TextParameters(deletion=0.3), generator))
    for word in ("one", "ten"):
        assert 0.66 < sum(word in each.split() for each in deleted) / 2000 < 0.74
    masked = text_view(rows, TextParameters(masking=0.3), generator)
    assert 0.28 < float((masked == MASK).float().sum() / 20_000) < 0.32
    some = decoded(masked[:50])
    for each in some:
        assert len(each.split(" ")) == 10
    assert {"\x1a"} & set(some[0].split(" ") + some[1].split(" "))


def test_the_same_generator_gives_the_same_views_and_each_view_its_own():
    views = TextViewsSpec(deletion=0.5).build((40,), mean=(), std=())
    rows, _ = encoded(["some words that stand in a row"] * 8, 40)
    first = views(rows, torch.Generator().manual_seed(1))
    again = views(rows, torch.Generator().manual_seed(1))
    assert all(torch.equal(*each) for each in zip(first, again, strict=True))
    assert not torch.equal(*first)


def test_simcse_leaves_texts_as_they_are():
    spec = SimCSEViewsSpec()
    rows, _ = encoded(["as it is", ""], 12)
    for view in spec.build((12,), mean=(), std=())(rows, torch.Generator()):
        assert torch.equal(view, rows)
    assert not spec.draws
    assert TextViewsSpec().draws
    assert not TextViewsSpec(crop_length=(1.0, 1.0), deletion=0.0).draws


def test_other_examples_and_settings_are_refused():
    with pytest.raises(SettingError, match="needs 0 < smallest <= largest"):
        TextViewsSpec(crop_length=(0.8, 0.5))
    views = TextViewsSpec().build((12,), mean=(), std=())
    with pytest.raises(SettingError, match=r"need uint8 texts of 12 bytes, not float32 \(2, 12\)"):
        views(torch.zeros(2, 12), torch.Generator())
    with pytest.raises(SettingError, match=r"text takes texts \(bytes\)"):
        TextViewsSpec().build((1, 8, 8), mean=(), std=())
