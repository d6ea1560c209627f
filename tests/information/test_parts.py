import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import NearfarError
from nearfar.information.samples import batches, fewest_samples, split


@given(st.integers(2, 40), st.integers(0, 500), st.integers(0, 2**31))
def test_parts_are_disjoint_whole_and_fill_their_batches(batch_size, more, seed):
    count = fewest_samples(batch_size) + more
    parts = split(count, batch_size, seed)
    held = [set(part.tolist()) for part in (parts.training, parts.validation, parts.test)]
    assert sum(map(len, held)) == count
    assert set.union(*held) == set(range(count))
    assert len(batches(parts.training, batch_size)) >= 1
    assert len(batches(parts.validation, batch_size)) >= 1
    assert len(batches(parts.test, batch_size)) >= 2


@given(st.integers(2, 300), st.integers(0, 2000))
def test_what_is_refused_could_not_be_cut_and_the_advice_can(batch_size, count):
    if count >= fewest_samples(batch_size):
        return
    with pytest.raises(NearfarError, match=f"{count} samples are too few") as refusal:
        split(count, batch_size, 0)
    advised = str(refusal.value).rpartition(" ")[2]
    if advised.isdigit():
        split(count, int(advised), 0)


def test_batches_are_whole_and_always_the_same():
    parts = split(400, 32, 0)
    cut = batches(parts.test, 32)
    assert [len(batch) for batch in cut] == [32] * 3
    assert all((one == two).all() for one, two in zip(cut, batches(parts.test, 32), strict=True))


def test_another_seed_cuts_otherwise():
    assert (split(400, 32, 0).test != split(400, 32, 1).test).any()
