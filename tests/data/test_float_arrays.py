import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfar.data.arrays import source_from_series, source_from_vectors
from nearfar.data.batches import TrainingBatches, evaluation_batches
from nearfar.data.normalisation import channel_statistics
from nearfar.data.source import Part
from nearfar.data.sources import load_source
from nearfar.data.specs import SourceSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.spec import as_spec
from nearfar.views.specs import ViewsSpec

SERIES = np.random.RandomState(0).randn(20, 3, 7)
VECTORS = np.random.RandomState(1).randn(20, 5)
LABELS = np.arange(20) % 2
KINDS = st.sampled_from([np.float32, np.float64])
WIDE = st.floats(-(2.0**50), 2.0**50, width=32)


@given(KINDS.flatmap(lambda kind: arrays(kind, st.tuples(*[st.integers(1, 5)] * 3), elements=WIDE)))
def test_series_are_kept_as_they_are(series):
    part = source_from_series(series, test_fraction=0.0).train
    np.testing.assert_array_equal(part.examples, series)
    assert (part.modality, part.example_shape) == ("series", series.shape[1:])


@given(KINDS.flatmap(lambda kind: arrays(kind, st.tuples(*[st.integers(1, 5)] * 2), elements=WIDE)))
def test_vectors_are_kept_as_they_are(vectors):
    part = source_from_vectors(vectors, test_fraction=0.0).train
    np.testing.assert_array_equal(part.examples, vectors)
    assert (part.modality, part.example_shape) == ("vectors", vectors.shape[1:])


def test_series_without_a_channel_axis_have_one_channel():
    part = source_from_series(SERIES[:, 0], test_fraction=0.0).train
    assert part.example_shape == (1, 7)


@pytest.mark.parametrize(
    ("source_from", "examples", "words"),
    [
        (source_from_series, SERIES[0, 0], r"series: shape \(7,\); give \(n, channels, steps\)"),
        (source_from_series, SERIES[:0], "holds no value"),
        (source_from_series, SERIES + 1j, "complex128 values"),
        (source_from_series, [["a", "b"]], "<U1 values"),
        (source_from_series, [[1.0, 2.0], [3.0]], "pad or cut all series to one length"),
        (source_from_series, np.array([[1.0], None], dtype=object), "array of objects"),
        (
            source_from_series,
            np.where(SERIES.max() == SERIES, np.nan, SERIES),
            r"NaN, .* in 1 of 20",
        ),
        (source_from_series, SERIES * 1e40, "too large for float32"),
        (source_from_vectors, SERIES, r"vectors: shape \(20, 3, 7\); give \(n, features\)"),
        (source_from_vectors, VECTORS > 0, "bool values"),
        (source_from_vectors, [[1.0, 2.0], [3.0]], "the same features"),
        (source_from_vectors, [[1.0], [np.inf]], r"first: 1\)"),
        (source_from_vectors, np.ma.masked_greater(VECTORS, 1), r"masked values in \d+ of 20 ex"),
        (source_from_series, np.ma.masked_greater(SERIES, 1), "series: masked values"),
        (source_from_vectors, list(np.ma.masked_greater(VECTORS, 1)), "vectors: masked values"),
        (source_from_vectors, [[1.0, np.ma.masked]], r"masked values in 1 of 1 examples"),
        (
            source_from_vectors,
            np.array([[1, 2**60], [2, 2**60 + 3]]),
            r"column 1 holds .* differ by at most 3, .* cannot tell apart: subtract 1152",
        ),
    ],
)
def test_what_is_no_series_or_vector_is_refused_in_one_line(source_from, examples, words):
    with pytest.raises(NearfarError, match=words) as caught:
        source_from(examples)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given_as", "held_as"),
    [("f2", "f4"), ("i2", "f4"), ("u1", "f4"), ("i4", "f8"), ("u8", "f8"), ("f8", "f8")],
)
def test_types_wider_than_float32_are_held_as_float64(given_as, held_as):
    values = np.array([[1, 200], [3, 40]], given_as)
    part = source_from_vectors(values, test_fraction=0.0).train
    assert part.examples.numpy().dtype == held_as
    np.testing.assert_array_equal(part.examples, values)


def test_arrays_that_mask_nothing_are_taken():
    part = source_from_vectors(np.ma.array(VECTORS), np.ma.array(LABELS), test_fraction=0.0).train
    np.testing.assert_array_equal(part.examples, VECTORS)


def test_time_stamps_in_nanoseconds_are_taken():
    stamps = 1_700_000_000_000_000_000 + 10**9 * np.arange(20)
    part = source_from_vectors(stamps[:, None], test_fraction=0.0).train
    assert part.examples.diff(dim=0).unique().tolist() == [10**9]


@pytest.mark.parametrize("offset", [1e6, 1e12])
@pytest.mark.parametrize("examples", [SERIES, VECTORS])
def test_statistics_and_views_of_a_channel_do_not_depend_on_its_offset(examples, offset):
    def viewed(values):
        part = source_from_vectors if values.ndim == 2 else source_from_series
        part = part(values, test_fraction=0.0).train
        mean, std = channel_statistics(part)
        config = as_spec(ViewsSpec, {"name": part.modality})
        views = config.build(part.example_shape, mean=mean, std=std)
        return mean, std, torch.cat(views(part.examples, torch.Generator().manual_seed(0)))

    moved = examples.copy()
    moved[:, 1] += offset
    mean, std, views = viewed(examples)
    far_mean, far_std, far_views = viewed(moved)
    assert far_mean[1] - offset == pytest.approx(mean[1], abs=1e-3)
    assert far_std == pytest.approx(std, rel=1e-3)
    torch.testing.assert_close(far_views, views, atol=2e-3, rtol=0)


def test_a_constant_is_one_in_either_type():
    for kind in (np.float32, np.float64):
        values = np.full((30, 2), 0.1, kind) * np.array([1, 1e12], kind)
        assert channel_statistics(source_from_vectors(values, test_fraction=0.0).train)[1] == (1, 1)


def test_test_parts_must_be_alike():
    with pytest.raises(NearfarError, match="holds series of 3 channels × 6 steps, and series hol"):
        source_from_series(SERIES, test_series=SERIES[:, :, :6])
    with pytest.raises(NearfarError, match="test_vectors holds vectors of 4 features"):
        source_from_vectors(VECTORS, test_vectors=VECTORS[:, :4])
    with pytest.raises(NearfarError, match=r"labels: shape \(19,\) for 20 series"):
        source_from_series(SERIES, LABELS[1:])


def _npz(tmp_path, name, **arrays):
    path = tmp_path / "file.npz"
    np.savez(path, **arrays)
    return load_source(SourceSpec.named(name)(root=path, test_fraction=0.25))


def test_npz_files_of_series_and_vectors_are_read_by_their_keys(tmp_path):
    source = _npz(tmp_path, "series-npz", series=SERIES, labels=LABELS)
    assert (len(source.train), len(source.test)) == (16, 4)
    assert source.train.examples.dtype == torch.float64
    given = {"test_vectors": VECTORS[:3], "test_labels": LABELS[:3]}
    source = _npz(tmp_path, "vectors-npz", vectors=VECTORS, labels=LABELS, **given)
    np.testing.assert_array_equal(source.test.examples, VECTORS[:3])
    assert source.name == "vectors-npz"


def test_npz_files_of_other_keys_are_refused(tmp_path):
    with pytest.raises(SettingError, match="did you mean 'series'"):
        _npz(tmp_path, "series-npz", serie=SERIES)
    with pytest.raises(NearfarError, match="no array 'vectors'; it holds labels"):
        _npz(tmp_path, "vectors-npz", labels=LABELS)


def test_statistics_are_numpy_s_by_channel_and_by_feature():
    series, vectors = torch.tensor(SERIES).float() * 3 + 1, torch.tensor(VECTORS).float()
    mean, std = channel_statistics(Part(series))
    np.testing.assert_allclose(mean, series.numpy().mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(std, series.numpy().std(axis=(0, 2)), rtol=1e-5)
    vectors[:, 1] = 1e4
    mean, std = channel_statistics(Part(vectors))
    np.testing.assert_allclose(mean, vectors.numpy().mean(axis=0), rtol=1e-4)
    assert std[1] == 1.0, "a constant feature can be divided by"
    np.testing.assert_allclose(std[0], vectors.numpy()[:, 0].std(), rtol=1e-5)


@pytest.mark.parametrize("examples", [SERIES, VECTORS])
def test_batches_of_floats_hold_each_example_once(examples):
    tensor = torch.tensor(examples).float()
    batches = TrainingBatches(tensor, torch.tensor(LABELS), batch_size=4, seed=0, device="cpu")
    for some, labels, indices in batches.epoch(0):
        assert torch.equal(some, tensor[indices])
        assert torch.equal(labels, torch.tensor(LABELS)[indices])
    again = [some for some, _ in evaluation_batches(tensor, batch_size=6, device="cpu")]
    assert torch.equal(torch.cat(again), tensor)
