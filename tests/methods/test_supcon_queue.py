"""SupCon over a queue: loss, queue and momentum, step by step, are those of the slow algorithm."""

import functools
from dataclasses import replace

import pytest
import torch
from tests.methods.labelled_steps import (
    EXACT,
    SlowKeys,
    TanhRows,
    assert_keys_enter_only_after_their_step,
    assert_nothing_trains_the_keys,
    assert_parts_are_the_whole_batch,
    assert_ranks_are_one_process,
    assert_steps_are_the_slow_ones,
    labels_of,
    step_alone,
    steps_on_a_rank,
    views_of,
)
from torch import nn

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.labelled_specs import PaCoSpec, SupConQueueSpec
from nearfar.methods.momentum import frozen_copy
from nearfar.methods.paco import PaCo
from nearfar.methods.supcon_queue import SupConQueue
from nearfar.testing import run_on_ranks
from nearfar.testing.methods import sgd
from nearfar.testing.resuming import resumes_to_the_same_bits

SMALL = SupConQueueSpec(
    temperature=0.3, queue_size=8, momentum=0.9, projection_hidden=8, projection_dim=4
)


def row_by_row(**settings) -> SupConQueue:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        method = SupConQueue(replace(SMALL, **settings), TanhRows())
        method.projection = nn.Linear(6, 4)
        method.momentum_projection = frozen_copy(method.projection)
        return method.double()


def with_batch_norm() -> SupConQueue:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return SupConQueue(replace(SMALL, queue_size=20), SmallResNetSpec(width=4).build((1, 8, 8)))


class SlowSupConQueue(SlowKeys):
    """Cui et al. 2021, equation 2, in loops."""

    def loss(self, weights, images, queries, keys, classes):
        loss = torch.zeros(()).double()
        for i, query in enumerate(queries):
            candidates = self.candidates(i, queries, keys, classes)
            samples = [(query @ row / self.spec.temperature).exp() for row, _ in candidates]
            shares = [
                sample / sum(samples)
                for sample, (_, of) in zip(samples, candidates, strict=True)
                if of == classes[i]
            ]
            if self.spec.kind == "out":
                loss = loss - sum(share.log() for share in shares) / len(shares) / len(queries)
            else:
                loss = loss - (sum(shares) / len(shares)).log() / len(queries)
        return loss


@pytest.mark.parametrize("kind", ["out", "in"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_those_of_the_slow_algorithm(kind, momentum):
    method = row_by_row(kind=kind, momentum=momentum)
    assert_steps_are_the_slow_ones(method, SlowSupConQueue(method))


def test_without_centres_paco_pulls_samples_alike():
    """Where every centre's logit is far below, PaCo's loss is this one but for its own weights."""
    method, views, labels = row_by_row(), views_of(1, 7), labels_of(1, 7)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        spec = PaCoSpec(temperature=0.3, alpha=1e6, queue_size=8, projection_dim=4, head="linear")
        paco = PaCo(spec, TanhRows(), torch.tensor([1, 1, 1])).double()
    paco.load_state_dict(method.state_dict(), strict=False)
    with torch.no_grad():
        paco.classifier.weight.zero_()
        paco.classifier.bias.fill_(-60.0)
    torch.testing.assert_close(paco(views, labels), method(views, labels), rtol=1e-3, atol=1e-3)


def test_no_optimiser_and_no_gradient_reaches_the_keys():
    method = row_by_row()
    assert_nothing_trains_the_keys(method)
    assert len(method.embed(views_of(0, 5))) == 2


def test_the_keys_of_a_step_enter_only_after_it():
    assert_keys_enter_only_after_their_step(row_by_row())


def test_a_batch_whose_labels_all_differ_has_its_own_keys_for_positives():
    method = row_by_row()
    slow = SlowSupConQueue(method)
    expected = slow.step(views_of(0, 4), torch.arange(4))
    torch.testing.assert_close(method(views_of(0, 4), torch.arange(4)).detach(), expected, **EXACT)


def test_in_parts_it_is_the_whole_batch():
    assert_parts_are_the_whole_batch(row_by_row)


@pytest.mark.parametrize("in_parts", [False, True])
def test_two_ranks_are_one_process_with_the_global_batch(tmp_path, in_parts):
    build = functools.partial(row_by_row, queue_size=11, kind="in" if in_parts else "out")
    assert_ranks_are_one_process(run_on_ranks(2, steps_on_a_rank, tmp_path, build, in_parts), build)


def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits():
    state = resumes_to_the_same_bits(with_batch_norm)
    assert state["method.queue.entered"] == 2 * 4 * 8
    moved = state["method.momentum_projection.0.weight"] - state["method.projection.0.weight"]
    assert moved.abs().max() > 0


def test_scalars_are_of_the_last_call():
    method = row_by_row()
    assert method.scalars == {}
    step_alone(method, sgd(method), 0, 6)
    views, labels = views_of(1, 6), labels_of(1, 6)
    method(views, labels)
    queries, keys = (nn.functional.normalize(rows, dim=1) for rows in method.embed(views))
    nearest = (queries @ keys.T).argmax(dim=1)
    scalars = method.scalars
    assert scalars["nearest_is_positive"] == pytest.approx(
        float((labels[nearest] == labels).double().mean())
    )
    assert scalars["alignment"] == pytest.approx(
        float((queries - keys).detach().square().sum(dim=1).mean())
    )
    assert scalars["queue_filled"] == 6 / 8


def test_what_it_cannot_train_with_is_refused():
    with pytest.raises(NearfarError, match="SupCon with a queue needs a label for each of 5"):
        row_by_row()(views_of(0, 5))
    with pytest.raises(SettingError, match=r"views.count is 3: SupCon with a queue compares 2"):
        row_by_row()(views_of(0, 5, count=3), labels_of(0, 5))
    for changes, said in (
        ({"temperature": 0.0}, r"method.temperature is 0\.0"),
        ({"queue_size": 0}, r"method.queue_size is 0: it must be 1 or more"),
        ({"momentum": 1.5}, r"method.momentum is 1.5: it must be 0 to 1"),
    ):
        with pytest.raises(SettingError, match=said):
            replace(SMALL, **changes)
