"""Near-copies stay on one side of the split that penalties and forms are chosen on."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.evaluation import linear_probe as module
from nearfar.evaluation.choice_split import choice_split, copies
from nearfar.evaluation.forms import Form, Transform
from nearfar.evaluation.linear_probe import choose_penalty, fit


def films(pictures=24, originals=40, classes=4, dim=50, seed=0):
    """Each original, which tells its class only weakly, in many slightly different copies."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(originals) % classes
    centres = torch.randn(originals, dim, generator=generator)
    centres[:, :classes] += 1.5 * torch.nn.functional.one_hot(labels, classes)
    original = torch.arange(originals).repeat(pictures)
    copied = centres[original] + 0.05 * torch.randn(len(original), dim, generator=generator)
    return copied, labels[original], original


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_copies_are_one_group_and_others_are_alone(scale):
    features, labels, original = films()
    groups = copies(features * scale, labels, seed=0)
    assert len(groups.unique()) == 40
    for number in range(40):
        assert len(groups[original == number].unique()) == 1
    random = torch.randn(300, 40)
    assert len(copies(random * scale, torch.arange(300) % 3, seed=0).unique()) == 300


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 40))
def test_every_row_up_to_the_limit_is_on_one_side(count, classes, limit):
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(count))
    fitting, choosing = choice_split(features, torch.arange(count) % classes, limit=limit, seed=0)
    rows = [*fitting.tolist(), *choosing.tolist()]
    assert len(rows) == len(set(rows)) == min(count, limit)
    assert len(fitting) >= 1


def test_without_copies_it_is_the_first_fifth_of_a_drawn_order():
    features, labels = torch.randn(200, 30), torch.arange(200) % 4
    order = torch.randperm(200, generator=torch.Generator().manual_seed(3))
    fitting, choosing = choice_split(features, labels, limit=200, seed=3)
    assert choosing.tolist() == order[:40].tolist()
    assert fitting.tolist() == order[40:].tolist()


def test_no_original_is_on_both_sides():
    features, labels, original = films()
    fitting, choosing = choice_split(features, labels, limit=900, seed=0)
    assert not set(original[fitting].tolist()) & set(original[choosing].tolist())
    assert 0.1 * 900 < len(choosing) <= 0.3 * 900


def test_rows_that_are_all_alike_are_split_all_the_same():
    fitting, choosing = choice_split(torch.ones(50, 4), torch.arange(50) % 2, limit=50, seed=0)
    assert (len(fitting), len(choosing)) == (40, 10)


def test_a_penalty_chosen_without_copies_is_stronger_and_reads_more_on_others(monkeypatch):
    features, labels, _ = films(pictures=8, originals=150)
    test, test_labels, _ = films(pictures=1, originals=2000, seed=1)
    form = Form.of(features, Transform("as is"))

    def chosen_and_read():
        l2, _ = choose_penalty(features, labels, form=form, num_classes=4, seed=0)
        probe = fit(features, labels, l2=l2, form=form, num_classes=4)
        predicted = probe.log_probabilities(test).argmax(dim=1)
        return l2, float((predicted == test_labels).double().mean())

    l2, read = chosen_and_read()
    drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(module, "choice_split", lambda *_, **__: (drawn[240:], drawn[:240]))
    by_copies, read_by_copies = chosen_and_read()
    assert by_copies == min(module.PENALTIES)
    assert l2 > by_copies
    assert read > read_by_copies + 0.01
