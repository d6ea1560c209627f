"""SupCon: what the table of cases does not show."""

import math

import pytest
import torch
from cases.objectives.supcon import slow_supcon, slow_supcon_with_keys

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives import nt_xent, supcon
from nearfar.similarity import tiles
from nearfar.similarity.computing import computing
from nearfar.testing import labelled

KINDS = ("out", "in")


def gradient(objective, rows):
    rows = rows.clone().requires_grad_()
    objective(rows).backward()
    return rows.grad.double()


def relative_error(found, exact):
    return float((found - exact).norm() / exact.norm())


def about_centres(classes, size, noise, seed=0, dim=64):
    """Rows of classes about well separated centres, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat(size)
    centres = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    around = torch.randn(len(labels), dim, generator=generator, dtype=torch.float64)
    return centres[labels] + noise * around, labels


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_two_rows_of_each_label_are_nt_xent(kind, temperature):
    rows, labels = about_centres(9, 2, 0.5)

    def ours(rows):
        return supcon(rows, labels, temperature=temperature, kind=kind)

    def theirs(rows):
        return nt_xent(*rows.chunk(2), temperature=temperature)

    assert ours(rows).item() == pytest.approx(theirs(rows).item(), rel=1e-12)
    torch.testing.assert_close(gradient(ours, rows), gradient(theirs, rows))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "worst"), [(2, 1e-5), (4, 1e-5)])
def test_float32_keeps_its_precision_where_classes_are_aligned(kind, size, worst):
    rows, labels = about_centres(64, size, 0.33)  # cosines of a class about 0.9
    rows = rows.float()

    def loss(rows):
        return supcon(rows, labels, temperature=0.05, kind=kind)

    value, exact = loss(rows), loss(rows.double())
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    error = relative_error(gradient(loss, rows), gradient(loss, rows.double()))
    assert error < worst


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_of_sorted_classes_are_the_whole_matrix(kind, monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 16)
    rows, labels = labelled(90, 5, 1)
    order = torch.randperm(90)
    rows, labels = rows[order], labels[order]
    value = supcon(rows, labels, kind=kind)
    assert value.item() == pytest.approx(slow_supcon(rows, labels, 0.1, kind), rel=1e-10)
    with computing(implementation="dense"):
        dense = gradient(lambda rows: supcon(rows, labels, kind=kind), rows)
    torch.testing.assert_close(gradient(lambda rows: supcon(rows, labels, kind=kind), rows), dense)


def test_a_row_without_a_positive_only_repels():
    rows, labels = labelled(7, 3, 0)
    labels[0] = 50
    rows.requires_grad_()
    value = supcon(rows, labels)
    assert value.item() == pytest.approx(slow_supcon(rows, labels, 0.1, "out"))
    value.backward()
    assert torch.isfinite(rows.grad).all()
    assert rows.grad[0].norm() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_class_alone_has_no_negatives_and_a_finite_gradient(kind):
    rows, _ = labelled(6, 3, 0)
    labels = torch.full((6,), 3)
    rows.requires_grad_()
    value = supcon(rows, labels, kind=kind)
    assert value.item() == pytest.approx(slow_supcon(rows, labels, 0.1, kind))
    value.backward()
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_classes_as_points_far_apart_reach_the_lower_bound(kind):
    labels = torch.tensor([0, 1, 1, 0, 1])
    rows = torch.eye(2, dtype=torch.float64)[labels]
    expected = (2 * math.log(1) + 3 * math.log(2)) / 5
    value = supcon(rows, labels, temperature=0.01, kind=kind)
    assert value.item() == pytest.approx(expected, abs=1e-12)


def test_only_equality_of_labels_counts():
    rows, labels = labelled(8, 3, 0)
    for renamed in (labels * 10**12 + 5, labels.to(torch.uint8), (7 - labels).int()):
        assert supcon(rows, renamed).item() == pytest.approx(supcon(rows, labels).item())


def test_what_cannot_be_computed_is_refused():
    rows, labels = labelled(6, 3, 0)
    with pytest.raises(NearfarError, match=r"two rows of one label, and all 6 labels .* differ"):
        supcon(rows, torch.arange(6))
    with pytest.raises(NearfarError, match="labels hold -1: class numbers begin at 0"):
        supcon(rows, labels - 1)
    with pytest.raises(SettingError, match="temperature is 0"):
        supcon(rows, labels, temperature=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_sorted_classes_by_tiles_are_the_whole_matrix(kind, monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 16)
    rows, labels = labelled(40, 5, 1)
    keys, key_labels = labelled(70, 5, 2)
    order = torch.randperm(70)
    queue = {"keys": keys[order], "key_labels": key_labels[order]}
    value = supcon(rows, labels, **queue, kind=kind)
    expected = slow_supcon_with_keys(rows, labels, keys, key_labels, 0.1, kind)
    assert value.item() == pytest.approx(expected, rel=1e-10)
    with computing(implementation="dense"):
        dense = gradient(lambda rows: supcon(rows, labels, **queue, kind=kind), rows)
    found = gradient(lambda rows: supcon(rows, labels, **queue, kind=kind), rows)
    torch.testing.assert_close(found, dense)


def test_keys_are_candidates_and_no_anchors():
    rows, labels = about_centres(3, 1, 0.5)
    keys, key_labels = about_centres(3, 2, 0.5, seed=1)
    with pytest.raises(NearfarError, match="two rows of one label"):
        supcon(rows, labels)
    whole = supcon(rows, labels, keys=keys, key_labels=key_labels)
    each = [
        supcon(rows[[i, *range(i), *range(i + 1, 3)]], torch.tensor([i, 7, 8]), keys=keys,
               key_labels=key_labels)
        for i in range(3)
    ]  # fmt: skip
    assert whole.item() == pytest.approx(float(torch.stack(each).mean()), rel=1e-12)
    none = {"keys": keys[:0], "key_labels": key_labels[:0]}
    two, both = torch.cat((rows, keys)), torch.cat((labels, key_labels))
    assert supcon(two, both, **none).item() == pytest.approx(supcon(two, both).item(), rel=1e-12)
