"""SupCon: the loss is the paper's equation over all views, alone, in parts and on ranks."""

import functools
import math
from dataclasses import replace

import pytest
import torch
from tests.methods.labelled_steps import (
    EXACT,
    TanhRows,
    assert_parts_are_the_whole_batch,
    assert_ranks_are_one_process,
    labels_of,
    steps_on_a_rank,
    views_of,
)
from torch import nn

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.labelled_specs import SupConSpec
from nearfar.methods.method import Method
from nearfar.methods.supcon import SupCon
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import resumes_to_the_same_bits

SMALL = SupConSpec(temperature=0.3, projection_hidden=8, projection_dim=4)


def row_by_row(kind: str = "out") -> SupCon:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        method = SupCon(replace(SMALL, kind=kind), TanhRows())
        method.projection = nn.Linear(6, 4)
        return method.double()


def with_batch_norm() -> SupCon:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return SupCon(SMALL, SmallResNetSpec(width=4).build((1, 8, 8)))


@torch.no_grad()
def slow_loss(method: SupCon, views, labels, kind: str) -> float:
    """Equations 2 and 3 of Khosla et al. 2020, a row and a candidate at a time."""
    rows, classes = [], []
    for view in views:
        for image, label in zip(view, labels, strict=True):
            row = method.projection(torch.tanh(method.encoder.layer(image)))
            rows.append(row / row.square().sum().sqrt())
            classes.append(int(label))
    losses = []
    for i, anchor in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        total = sum(math.exp(float(anchor @ rows[j]) / 0.3) for j in others)
        shares = [
            math.exp(float(anchor @ rows[j]) / 0.3) / total
            for j in others
            if classes[j] == classes[i]
        ]
        if kind == "out":
            losses.append(-sum(math.log(share) for share in shares) / len(shares))
        else:
            losses.append(-math.log(sum(shares) / len(shares)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("kind", ["out", "in"])
@pytest.mark.parametrize("count", [2, 3])
def test_the_loss_is_the_equation_over_all_views(count, kind):
    method, views, labels = row_by_row(kind), views_of(1, 7, count), labels_of(1, 7)
    found = method(views, labels)
    torch.testing.assert_close(found.item(), slow_loss(method, views, labels, kind), **EXACT)
    assert isinstance(method, Method)


def test_a_batch_whose_labels_all_differ_has_the_other_views_for_positives():
    method, views, labels = row_by_row(), views_of(1, 4), torch.arange(4)
    expected = slow_loss(method, views, labels, "out")
    torch.testing.assert_close(method(views, labels).item(), expected, **EXACT)


def test_labels_matter():
    method, views = row_by_row(), views_of(1, 7)
    one = method(views, labels_of(1, 7))
    assert abs((one - method(views, labels_of(1, 7).flip(0))).item()) > 1e-3


def test_in_parts_it_is_the_whole_batch():
    assert_parts_are_the_whole_batch(row_by_row)


@pytest.mark.parametrize("in_parts", [False, True])
def test_two_ranks_are_one_process_with_the_global_batch(tmp_path, in_parts):
    build = functools.partial(row_by_row, "in" if in_parts else "out")
    found = run_on_ranks(2, steps_on_a_rank, tmp_path, build, in_parts)
    assert_ranks_are_one_process(found, build)


def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits():
    resumes_to_the_same_bits(with_batch_norm)


def test_scalars_are_of_the_last_call():
    method = row_by_row()
    assert method.scalars == {}
    method(views_of(2, 6), labels_of(2, 6))
    views, labels = views_of(3, 6), labels_of(3, 6)
    method(views, labels)
    rows = [nn.functional.normalize(row, dim=1) for row in method.embed(views)]
    scalars = method.scalars
    apart = (rows[0] - rows[1]).square().sum(dim=1).mean()
    assert scalars["alignment"] == pytest.approx(apart.item())
    pairs = [math.exp(-2 * float((a - b).square().sum())) for a in rows[0] for b in rows[0]]
    assert scalars["uniformity"] == pytest.approx(math.log((sum(pairs) - 6) / 30))
    both, classes, hits = torch.cat(rows), labels.repeat(2), 0
    for i in range(12):
        cosines = both @ both[i]
        cosines[i] = -math.inf
        hits += int(classes[cosines.argmax()] == classes[i])
    assert scalars["nearest_is_positive"] == pytest.approx(hits / 12)


def test_a_batch_without_labels_is_refused():
    with pytest.raises(NearfarError, match="SupCon needs a label for each of 7 examples, not none"):
        row_by_row()(views_of(1, 7))


def test_impossible_settings_are_refused():
    for changes, said in (
        ({"temperature": 0.0}, r"method.temperature is 0\.0"),
        ({"projection_hidden": 0}, r"method.projection_hidden is 0"),
    ):
        with pytest.raises(SettingError, match=said):
            replace(SMALL, **changes)
    with pytest.raises(SettingError, match=r"unknown method.kind 'ut': did you mean 'out'"):
        replace(SMALL, kind="ut")
