import importlib.util
import pickle
import warnings
from dataclasses import fields

import joblib
import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    parametrize_with_checks,
)

from nearfar import ContrastiveEncoder, contrastive_encoder
from nearfar.encoders.saved import save_encoder
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.labelled_specs import SupConSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import MoCoSpec, SimCLRSpec

SMALL = {
    "epochs": 1,
    "batch_size": 64,
    "width": 4,
    "projection_hidden": 8,
    "projection_dim": 4,
    "views": "digits",
    "device": "cpu",
    "random_state": 0,
}


ROWS = {**SMALL, "views": "vectors"}


# The checks feed tables.
@parametrize_with_checks([ContrastiveEncoder(**ROWS)])
def test_scikit_learn_is_content(estimator, check):
    if check.func is check_do_not_raise_errors_in_init_or_set_params:
        pytest.skip("run below without the types that tests check on every call")
    check(estimator)


def test_init_and_set_params_take_anything():
    # Under a name outside nearfar the test run's type checker leaves the module as it is.
    spec = importlib.util.spec_from_file_location("untyped", contrastive_encoder.__file__)
    untyped = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(untyped)
    estimator = untyped.ContrastiveEncoder()
    check_do_not_raise_errors_in_init_or_set_params("ContrastiveEncoder", estimator)


@pytest.fixture(scope="module")
def digits():
    return load_digits().images[:128]


@pytest.fixture(scope="module")
def fitted(digits):
    return ContrastiveEncoder(**SMALL).fit(digits)


def test_features_are_float32_one_row_an_image(fitted, digits):
    features = fitted.transform(digits)
    assert features.shape == (128, fitted.encoder_.num_features)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert len(fitted.get_feature_names_out()) == features.shape[1]
    assert fitted.get_feature_names_out()[0] == "contrastiveencoder0"


def test_flat_rows_and_images_give_the_same(fitted, digits):
    flat = ContrastiveEncoder(**SMALL, image_shape=(8, 8)).fit(digits.reshape(128, -1))
    assert flat.image_shape_ == fitted.image_shape_ == (8, 8, 1)
    assert flat.n_features_in_ == fitted.n_features_in_ == 64
    np.testing.assert_array_equal(flat.transform(digits.reshape(128, -1)), fitted.transform(digits))


def test_bytes_are_taken_as_they_are(fitted, digits):
    scaled = np.rint(digits * 255 / 16).astype(np.uint8)
    encoder = ContrastiveEncoder(**SMALL).fit(scaled)
    assert encoder.value_range_ == (0, 255)
    assert fitted.value_range_ == (0, 16)
    np.testing.assert_array_equal(encoder.transform(scaled), fitted.transform(digits))


def test_an_int_random_state_makes_fit_repeatable(fitted, digits):
    again = clone(fitted).fit(digits)
    np.testing.assert_array_equal(again.transform(digits), fitted.transform(digits))
    other = clone(fitted).set_params(random_state=1).fit(digits)
    assert not np.allclose(other.transform(digits), fitted.transform(digits))


def test_fit_leaves_the_global_generators_alone(digits):
    torch.manual_seed(3)
    before, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()
    ContrastiveEncoder(**SMALL).fit(digits)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], drawn)


def test_a_fitted_encoder_survives_pickling(fitted, digits):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(digits), fitted.transform(digits))


def test_training_changes_the_features(fitted, digits):
    longer = clone(fitted).set_params(epochs=3).fit(digits)
    assert not np.allclose(longer.transform(digits), fitted.transform(digits), atol=1e-3)


def test_in_a_pipeline_training_helps_the_classifier_behind_it():
    images, labels = load_digits(return_X_y=True)
    encoder = ContrastiveEncoder(
        **{**SMALL, "epochs": 8, "width": 8, "projection_hidden": 64, "projection_dim": 32},
        image_shape=(8, 8),
        temperature=0.2,
        learning_rate=2e-3,
    )
    pipeline = make_pipeline(encoder, KNeighborsClassifier(metric="cosine"))

    def score(**changes):
        changed = clone(pipeline).set_params(**changes)
        return changed.fit(images[:600], labels[:600]).score(images[600:900], labels[600:900])

    untrained = score(contrastiveencoder__learning_rate=1e-12, contrastiveencoder__epochs=1)
    assert score() > untrained + 0.1


def test_colour_images_have_three_channels():
    images = np.random.default_rng(0).integers(0, 256, (16, 10, 12, 3), dtype=np.uint8)
    encoder = ContrastiveEncoder(**SMALL).fit(images)
    assert encoder.image_shape_ == (10, 12, 3)
    assert encoder.encoder_.shape[0] == 3
    flat = ContrastiveEncoder(**SMALL, image_shape=(10, 12, 3)).fit(images.reshape(16, -1))
    np.testing.assert_array_equal(flat.transform(images.reshape(16, -1)), encoder.transform(images))


@pytest.mark.parametrize("columns", [9, 10])
def test_rows_are_vectors_whose_features_have_scales_of_their_own(columns):
    table = np.random.default_rng(0).normal(size=(40, columns)).astype(np.float32)
    encoder = ContrastiveEncoder(**ROWS).fit(table)
    assert encoder.image_shape_ is None
    assert (encoder.encoder_.config.name, encoder.encoder_.shape) == ("mlp", (columns,))
    scales = 2.0 ** np.arange(columns, dtype=np.float32)
    scaled = ContrastiveEncoder(**ROWS).fit(table * scales)
    np.testing.assert_allclose(
        scaled.transform(table * scales), encoder.transform(table), rtol=1e-3, atol=1e-4
    )


def test_views_and_backbones_of_images_are_refused_for_rows():
    table = np.random.default_rng(0).normal(size=(16, 10))
    with pytest.raises(SettingError, match="digits is for images, and the data are vectors"):
        ContrastiveEncoder(**SMALL).fit(table)
    with pytest.raises(SettingError, match="small-resnet is for images"):
        ContrastiveEncoder(**ROWS, backbone="small-resnet").fit(table)


def test_equal_images_and_equal_rows_do_not_divide_by_zero():
    encoder = ContrastiveEncoder(**SMALL, image_shape=(8, 8)).fit(np.full((8, 64), 3.0))
    assert np.isfinite(encoder.transform(np.full((2, 64), 7.0))).all()
    encoder = ContrastiveEncoder(**ROWS).fit(np.full((8, 5), 3.0))
    assert np.isfinite(encoder.transform(np.full((2, 5), 7.0))).all()


def test_values_beyond_the_range_of_fit_are_clipped(fitted, digits):
    brighter = np.where(digits == digits.max(), 1e9, digits)
    np.testing.assert_array_equal(fitted.transform(brighter), fitted.transform(digits))


def test_transform_before_fit_is_refused(digits):
    with pytest.raises(NotFittedError):
        ContrastiveEncoder().transform(digits)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((4, 4, 16)), r"images of \(4, 16, 1\), and fit saw \(8, 8, 1\)"),
        (np.zeros((4, 63)), "63 features"),
        (np.full((4, 64), np.nan), "NaN"),
    ],
)
def test_images_unlike_those_of_fit_are_refused(fitted, images, said):
    with pytest.raises(ValueError, match=said):
        fitted.transform(images)


def test_a_shape_that_does_not_fit_the_rows_is_refused(digits):
    with pytest.raises(ValueError, match=r"image_shape \(8, 9\) takes 72 values"):
        ContrastiveEncoder(**SMALL, image_shape=(8, 9)).fit(digits.reshape(128, -1))


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0.0}, {"epochs": 0}, {"backbone": "smal-resnet"}, {"views": "simcrl"}]
)
def test_impossible_parameters_are_refused(digits, wrong):
    with pytest.raises(SettingError):
        ContrastiveEncoder(**{**SMALL, **wrong}).fit(digits)


BYTES = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("seen", "given", "said"),
    [
        (BYTES, BYTES / 255, r"X holds floats, and fit saw uint8 of 0 to 255: .*\(255 \* X\)"),
        (BYTES, BYTES.astype(int), "X holds whole numbers, and fit saw uint8"),
        (BYTES / 255, BYTES, "X holds uint8, and fit saw floats of 0 to 1"),
        (BYTES.astype(int), BYTES / 255, "X holds floats, and fit saw whole numbers"),
        (BYTES, BYTES.transpose(0, 3, 1, 2), r"fit saw \(16, 16, 3\): give X.transpose"),
        (BYTES, np.ma.masked_equal(BYTES, 7), "X: masked values in"),
    ],
)
def test_images_in_other_units_than_those_of_fit_are_refused(seen, given, said):
    encoder = ContrastiveEncoder(**SMALL).fit(seen)
    with pytest.raises(ValueError, match=said):
        encoder.transform(given)


@pytest.mark.parametrize("factor", [255, 1 / 255])
def test_values_that_look_scaled_otherwise_are_warned_of(factor):
    encoder = ContrastiveEncoder(**SMALL).fit(BYTES / 255)
    with pytest.warns(UserWarning, match="are the units the same"):
        encoder.transform(BYTES / 255 * factor)


def test_images_of_negative_values_are_scaled_as_any_others():
    from_zero, around_zero = (
        ContrastiveEncoder(**SMALL).fit(images) for images in (BYTES / 255, BYTES / 127.5 - 1)
    )
    np.testing.assert_allclose(
        around_zero.transform(BYTES / 127.5 - 1), from_zero.transform(BYTES / 255), atol=1e-5
    )


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 12, 16), (3, 12, 16), (13, 16, 16)])
def test_images_channels_first_are_refused_unless_their_shape_is_said(shape):
    images = np.random.default_rng(0).integers(0, 256, (8, *shape), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"look channels first: give X.transpose\(0, 2, 3, 1\)"):
        ContrastiveEncoder(**SMALL).fit(images)
    said = ContrastiveEncoder(**SMALL, image_shape=shape).fit(images)
    assert said.image_shape_ == shape


@pytest.mark.parametrize("shape", [(3, 16, 3), (16, 16, 5), (4, 4, 3), (16, 12), (2, 16)])
def test_images_channels_last_are_taken_as_they_are(shape):
    images = np.random.default_rng(0).integers(0, 256, (8, *shape), dtype=np.uint8)
    assert ContrastiveEncoder(**SMALL).fit(images).image_shape_ == (*shape, 1)[:3]


def test_a_shape_that_is_not_that_of_the_images_is_refused():
    with pytest.raises(ValueError, match=r"image_shape \(16, 12\) is not that of X"):
        ContrastiveEncoder(**SMALL, image_shape=(16, 12)).fit(BYTES)


def test_masked_examples_are_refused_and_arrays_that_mask_nothing_are_taken(digits):
    masked = np.ma.masked_greater(digits.reshape(128, -1), 15)
    with pytest.raises(ValueError, match=r"X: masked values in \d+ of 128 examples"):
        ContrastiveEncoder(**ROWS).fit(masked)
    plain = np.ma.array(digits[:, 0])
    features = ContrastiveEncoder(**ROWS).fit(plain).transform(plain)
    np.testing.assert_array_equal(
        features, ContrastiveEncoder(**ROWS).fit(digits[:, 0]).transform(digits[:, 0])
    )


@pytest.mark.parametrize("offset", [1e6, 1e12])
def test_a_column_s_offset_changes_nothing(offset):
    table = np.random.default_rng(0).normal(size=(40, 6))
    moved = table + np.array([0, offset, 0, -offset, 0, 0])
    plain, shifted = (ContrastiveEncoder(**ROWS).fit(each) for each in (table, moved))
    # float64 itself holds 1e12 plus noise to a ten-thousandth.
    np.testing.assert_allclose(
        shifted.transform(moved), plain.transform(table), rtol=0.02, atol=0.02
    )
    # One row alone has no spread to be judged by.
    alone, among_all = shifted.transform(moved[:1]), shifted.transform(moved)[:1]
    np.testing.assert_allclose(alone, among_all, atol=1e-5)


def test_fits_in_threads_give_the_bits_of_one_alone(digits):
    def states():
        # Python's own says nothing here: the checker of types at run time draws from it.
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()

    encoder = ContrastiveEncoder(**{**SMALL, "batch_size": 32})
    expected = clone(encoder).fit(digits[:64]).transform(digits[:64])
    before = states()
    fitted = Parallel(n_jobs=5, backend="threading")(
        delayed(clone(encoder).fit)(digits[:64]) for _ in range(10)
    )
    assert states() == before
    for each in fitted:
        np.testing.assert_array_equal(each.transform(digits[:64]), expected)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_torch_s_default_type_changes_nothing_and_stays(fitted, digits, kind):
    torch.set_default_dtype(kind)
    try:
        found = clone(fitted).fit(digits)
        features = found.transform(digits)
        assert torch.get_default_dtype() == kind
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(features, fitted.transform(digits))
    assert all(each.dtype == torch.float32 for each in found.encoder_.parameters())


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_fit_learns_where_the_caller_records_no_gradients(fitted, digits, around):
    with around():
        found = clone(fitted).fit(digits)
        assert not torch.is_grad_enabled()
        features = found.transform(digits)
    np.testing.assert_array_equal(features, fitted.transform(digits))


TEN = np.arange(128) % 10
SERIES = np.random.default_rng(0).normal(1e9, 1.0, (24, 2, 40))


IMAGE_METHODS = [name for name in MethodSpec.known() if name not in ("cpc", "distill", "clip")]


@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_every_method_learns_by_name_with_the_settings_that_it_has(digits, method):
    has = {each.name for each in fields(MethodSpec.named(method))}
    settings = {key: value for key, value in SMALL.items() if key in has or "projection" not in key}
    encoder = ContrastiveEncoder(**settings, method=method).fit(digits, TEN)
    assert encoder.transform(digits[:3]).shape == (3, encoder.encoder_.num_features)
    assert hasattr(encoder, "classes_") == MethodSpec.named(method).needs_labels


def test_a_method_may_be_a_spec_that_holds_all(digits):
    settings = {key: SMALL[key] for key in SMALL if "projection" not in key}
    by_name = ContrastiveEncoder(**SMALL, method="moco", temperature=0.3)
    spec = MoCoSpec(projection_hidden=8, projection_dim=4, temperature=0.3)
    by_spec = ContrastiveEncoder(**settings, method=spec)
    assert np.array_equal(*(each.fit(digits).transform(digits) for each in (by_name, by_spec)))
    with pytest.raises(ValueError, match="method is a spec, which holds all settings: set temp"):
        ContrastiveEncoder(**settings, method=spec, temperature=0.5).fit(digits)


def test_labels_are_asked_for_where_they_are_read_and_may_be_of_any_kind(digits):
    encoder = ContrastiveEncoder(**SMALL, method="supcon")
    with pytest.raises(ValueError, match="the target y is None: SupCon learns from labels"):
        encoder.fit(digits)
    with pytest.raises(ValueError, match="y"):
        encoder.fit(digits, TEN[:5])
    names = np.array([f"class {label}" for label in TEN])
    assert encoder.fit(digits, names).classes_[:2] == ["class 0", "class 1"]
    numbers = ContrastiveEncoder(**SMALL, method="supcon").fit(digits, TEN)
    assert np.array_equal(encoder.transform(digits), numbers.transform(digits))


def test_a_method_that_drops_false_negatives_reads_labels(digits):
    settings = {key: SMALL[key] for key in SMALL if "projection" not in key}
    kept, dropped = (
        ContrastiveEncoder(
            **settings, method=SimCLRSpec(objective=NTXentSpec(drop_false_negatives=drop))
        )
        for drop in ("no", "yes")
    )
    assert not kept.__sklearn_tags__().target_tags.required
    assert dropped.__sklearn_tags__().target_tags.required
    with pytest.raises(ValueError, match="the target y is None: SimCLR learns from labels"):
        dropped.fit(digits)


@pytest.mark.parametrize("method", ["simclr", "cpc"])
def test_series_of_any_offset_are_taken_where_they_are_said_to_be(method):
    settings = {"epochs": 1, "batch_size": 8, "width": 8, "device": "cpu", "random_state": 0}
    encoder = ContrastiveEncoder(**settings, method=method, modality="series").fit(SERIES)
    found = encoder.transform(SERIES)
    assert found.shape == (24, encoder.encoder_.num_features)
    assert encoder.series_shape_ == (2, 40)
    assert encoder.image_shape_ is None
    assert found.std(axis=0).max() > 0
    with pytest.raises(ValueError, match=r"features|series of"):
        encoder.transform(np.zeros((3, 2, 41)))
    rows = ContrastiveEncoder(**settings, modality="series").fit(SERIES[:, 0])
    assert rows.series_shape_ == (1, 40)


@pytest.mark.parametrize(
    ("settings", "given", "said"),
    [
        ({"modality": "pictures"}, SERIES, "unknown modality 'pictures'"),
        ({"modality": "vectors"}, SERIES, "modality is vectors, and X has examples of"),
        ({"modality": "images"}, SERIES[:, 0], "say their image_shape"),
        ({"modality": "series", "image_shape": (2, 40)}, SERIES, "image_shape is for images"),
        ({"method": "mocco"}, BYTES, "mocco"),
    ],
)
def test_what_does_not_fit_together_is_refused(settings, given, said):
    with pytest.raises((ValueError, SettingError), match=said):
        ContrastiveEncoder(**settings, epochs=1, device="cpu").fit(given)


def test_nothing_is_lost_by_cloning_pickling_saving_and_searching(digits, tmp_path):
    spec = SupConSpec(projection_hidden=8, projection_dim=4)
    settings = {key: SMALL[key] for key in SMALL if "projection" not in key}
    encoder = ContrastiveEncoder(**settings, method=spec)
    assert clone(encoder).get_params() == encoder.get_params()
    encoder.fit(digits, TEN)
    wanted = encoder.transform(digits)
    joblib.dump(encoder, tmp_path / "encoder.joblib")
    for kept in (pickle.loads(pickle.dumps(encoder)), joblib.load(tmp_path / "encoder.joblib")):
        assert np.array_equal(kept.transform(digits), wanted)
        assert kept.classes_ == list(range(10))
        assert kept.get_params() == encoder.get_params()
    steps = make_pipeline(ContrastiveEncoder(**settings), LogisticRegression())
    grid = {
        "contrastiveencoder__method": ["simclr", spec],
        "contrastiveencoder__learning_rate": [1e-3],
    }
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(digits, TEN)
    assert len(search.cv_results_["params"]) == 2
    assert search.best_score_ > 0.1


def test_it_begins_with_the_weights_of_a_run(fitted, digits, tmp_path):
    known = fitted.encoder_
    save_encoder(
        tmp_path,
        known.backbone,
        known.config,
        shape=known.shape,
        mean=known.mean.tolist(),
        std=known.std.tolist(),
    )
    settings = {key: SMALL[key] for key in SMALL if key != "width"}
    begun = ContrastiveEncoder(**settings, start=str(tmp_path), learning_rate=1e-30)
    begun.fit(digits)
    assert begun.encoder_.config.width == 4
    weights = begun.encoder_.backbone.state_dict()
    for name, wanted in known.backbone.state_dict().items():
        if wanted.is_floating_point() and "running" not in name:
            torch.testing.assert_close(weights[name], wanted)
    with pytest.raises(NearfarError, match="nowhere"):
        ContrastiveEncoder(**SMALL, start=str(tmp_path / "nowhere")).fit(digits)


@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_a_collapsed_representation_is_a_warning(spread, monkeypatch):
    figures = {f"{what}_spread": spread for what in ("feature", "embedding")}
    figures |= {f"{what}_rank": 9.0 for what in ("feature", "embedding")}
    monkeypatch.setattr("nearfar.training.collapse.measure", lambda *_, **__: figures)
    rows = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    encoder = ContrastiveEncoder(epochs=7, batch_size=4, modality="vectors", random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.fit(rows)
    told = [each for each in caught if each.category is ConvergenceWarning]
    assert len(told) == (spread == 0)
    for each in told:
        said = str(each.message)
        assert said.startswith("collapse: the features and embeddings that the loss compares")
        assert "try a lower learning_rate" in said


@pytest.mark.parametrize("none", [-1, None, np.nan, ""])
def test_examples_without_a_label_are_left_out_by_a_method_that_reads_labels(none):
    rows = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    names = ["b", "a", "c"] if none == "" else [4, 0, 9]
    y = [none if row % 4 == 3 else names[row % 3] for row in range(24)]
    there = [row for row in range(24) if row % 4 != 3]
    with pytest.warns(UserWarning, match="6 of 24 examples have no label: SupCon learns from the"):
        some = ContrastiveEncoder(**ROWS, method="supcon").fit(rows, y)
    alone = ContrastiveEncoder(**ROWS, method="supcon").fit(rows[there], [y[row] for row in there])
    assert some.classes_ == alone.classes_ == sorted(names)
    np.testing.assert_array_equal(some.transform(rows), alone.transform(rows))
    with pytest.raises(ValueError, match="not one of 24 examples has a label"):
        ContrastiveEncoder(**ROWS, method="supcon").fit(rows, [none] * 24)
