import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import SettingError
from nearfar.uses.suspects import (
    FOLDS,
    calibrated,
    confident_joint,
    find_suspects,
    out_of_fold,
    stratified_folds,
)


def slow_joint(probabilities, labels):
    """Equations 1 and 2 of Northcutt et al. 2021, one example at a time, in float64."""
    count, classes = probabilities.shape
    thresholds = [
        np.mean([probabilities[i, j] for i in range(count) if labels[i] == j] or [np.nan])
        for j in range(classes)
    ]
    joint = np.zeros((classes, classes), dtype=int)
    for i in range(count):
        sure = [j for j in range(classes) if probabilities[i, j] >= thresholds[j]]
        if sure:
            joint[labels[i], max(sure, key=lambda j: (probabilities[i, j], -j))] += 1
    return np.array(thresholds), joint


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 999))
def test_the_joint_is_that_of_a_slow_loop(count, classes, seed):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes), count)
    labels = random.integers(0, classes, count)
    thresholds, joint, confident = confident_joint(
        torch.from_numpy(probabilities), torch.from_numpy(labels)
    )
    expected_thresholds, expected = slow_joint(probabilities, labels)
    np.testing.assert_allclose(thresholds.numpy(), expected_thresholds, rtol=1e-12)
    np.testing.assert_array_equal(joint.numpy(), expected)
    assert int((confident >= 0).sum()) == expected.sum()
    sizes = torch.bincount(torch.from_numpy(labels), minlength=classes)
    scaled = calibrated(joint, sizes)
    torch.testing.assert_close(scaled.sum(dim=1), sizes.double())


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 60), st.integers(2, 4), st.integers(0, 99))
def test_no_row_speaks_for_its_own_fold(count, classes, seed):
    torch.manual_seed(seed)
    labels = torch.randint(0, classes, (count,))
    folds = stratified_folds(labels, seed)
    for label in range(classes):
        sizes = torch.bincount(folds[labels == label], minlength=FOLDS)
        assert int(sizes.max()) - int(sizes.min()) <= 1
    features = torch.randn(count, 3)
    before = out_of_fold(features, labels, classes, 5, 0.1, seed)
    changed = labels.clone()
    changed[0] = (changed[0] + 1) % classes
    torch.testing.assert_close(before.sum(dim=1), torch.ones(count))
    # Of the same folds, a label that changes changes nothing in its own fold.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nearfar.uses.suspects.stratified_folds", lambda *_: folds)
        after = out_of_fold(features, changed, classes, 5, 0.1, seed)
    same = folds == folds[0]
    torch.testing.assert_close(after[same], before[same])


def noisy_blobs(share: float, seed: int):
    random = torch.Generator().manual_seed(seed)
    truth = torch.arange(600) % 4
    centres = torch.nn.functional.one_hot(truth, 4).float()
    features = centres + 0.15 * torch.randn(600, 4, generator=random)
    wrong = torch.rand(600, generator=random) < share
    labels = torch.where(wrong, (truth + 1) % 4, truth)
    return features, labels, truth, wrong


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_planted_noise_is_found_and_counted(share):
    features, labels, truth, wrong = noisy_blobs(share, 0)
    found = find_suspects(features, labels)
    assert wrong[found.rows].float().mean() > 0.95
    assert len(found.rows) > 0.9 * int(wrong.sum())
    assert found.estimated == pytest.approx(int(wrong.sum()), rel=0.15)
    torch.testing.assert_close(found.proposed, truth[found.rows])
    assert found.margins.tolist() == sorted(found.margins.tolist())


def test_rows_without_a_label_are_neither_asked_nor_doubted():
    features, labels, _, _ = noisy_blobs(0.1, 1)
    labels[::3] = -1
    found = find_suspects(features, labels)
    assert bool((labels[found.rows] >= 0).all())
    assert float(found.probabilities[::3].abs().sum()) == 0
    assert float(found.joint.sum()) == pytest.approx(int((labels >= 0).sum()))


def test_labels_that_are_right_are_hardly_doubted():
    features, labels, _, _ = noisy_blobs(0.0, 2)
    found = find_suspects(features, labels)
    assert len(found.rows) <= 6
    assert found.estimated <= 6


def test_too_few_labels_or_classes_are_refused():
    features = torch.randn(20, 3)
    with pytest.raises(SettingError, match="two classes"):
        find_suspects(features, torch.zeros(20, dtype=torch.int64))
    with pytest.raises(SettingError, match="two classes"):
        find_suspects(features, torch.full((20,), -1))
    with pytest.raises(SettingError, match="10 labels or more, not 4"):
        find_suspects(features[:4], torch.tensor([0, 1, 0, 1]))


def test_a_class_of_one_row_and_one_without_rows_are_survived():
    features, labels, _, _ = noisy_blobs(0.1, 3)
    labels[0] = 7
    found = find_suspects(features, labels)
    assert bool(torch.isfinite(found.joint).all())
    assert bool(torch.isnan(found.thresholds[[4, 5, 6]]).all())
