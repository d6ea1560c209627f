"""The bound on what two views share: its value, its ceiling, and every method that logs it."""

import math

import pytest
import torch
from torch import nn

from nearfar.methods.byol import BYOL
from nearfar.methods.embedding_scalars import shared_information
from nearfar.methods.labelled_specs import PaCoSpec, SupConQueueSpec, SupConSpec
from nearfar.methods.moco import MoCo
from nearfar.methods.objective_specs import AlignUniformSpec, NTXentSpec, ObjectiveSpec
from nearfar.methods.paco import PaCo
from nearfar.methods.simclr import SimCLR
from nearfar.methods.supcon import SupCon
from nearfar.methods.supcon_queue import SupConQueue
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec

BOUND, CEILING = "mutual_information_bound", "mutual_information_ceiling"


class Rows(nn.Module):
    """Takes vectors as they are for features."""

    num_features = 12

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 12)

    def forward(self, rows):
        return self.layer(rows)


def views(count=2, batch=10, spread=0.3):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(batch, 12, generator=generator)
    return tuple(rows + spread * torch.randn(batch, 12, generator=generator) for _ in range(count))


def bound_by_loop(first, second, temperature):
    """Straight from the equation, in float64."""
    first, second = first.double(), second.double()
    if temperature is not None:
        first, second = (nn.functional.normalize(each, dim=1) for each in (first, second))
    losses = []
    for i in range(len(first)):
        scores = [float(first[i] @ row) / (temperature or 1.0) for row in second]
        losses.append(math.log(sum(map(math.exp, scores))) - scores[i])
    return math.log(len(first)) - sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 1.0, None])
def test_is_log_n_less_the_loss(temperature):
    first, second = views()
    found = shared_information([(first, second)], temperature=temperature)
    assert found[BOUND] == pytest.approx(bound_by_loop(first, second, temperature), abs=1e-5)
    assert found[CEILING] == pytest.approx(math.log(10))


def test_never_exceeds_its_ceiling_and_reaches_it():
    rows = torch.eye(8)
    found = shared_information([(rows, rows)], temperature=0.01)
    assert found[BOUND] <= found[CEILING]
    assert found[BOUND] == pytest.approx(math.log(8), abs=1e-6)


def test_equal_rows_share_nothing():
    rows = torch.ones(8, 4)
    assert shared_information([(rows, rows)], temperature=0.1)[BOUND] == pytest.approx(0, abs=1e-6)


def test_one_example_has_no_bound():
    assert shared_information([(torch.ones(1, 4), torch.ones(1, 4))], temperature=0.1) == {}


def test_takes_no_gradient():
    rows = torch.randn(4, 3, requires_grad=True)
    shared_information([(rows, rows)], temperature=0.1)
    assert rows.grad is None


CRITICS = {
    "nt_xent": 0.5,
    "debiased_neg": 0.5,
    "debiased_pos": 0.5,
    "decoupled": 0.1,
    "sigmoid": 0.1,
    "align_uniform": 0.25,
    "contrast_align_uniform": 0.5,
    "n_pair": None,
    "triplet": 0.1,
    "vicreg": 0.1,
    "barlow_twins": 0.1,
}


@pytest.mark.parametrize("name", ObjectiveSpec.known())
def test_simclr_has_it_with_each_objectives_own_critic(name):
    torch.manual_seed(0)
    method = SimCLR(SimCLRSpec(objective=name, projection_dim=6), Rows())
    assert method.objective.critic_temperature == pytest.approx(CRITICS[name])
    embedded = method.embed(views(count=3))
    method.loss(embedded)
    pairs = [(embedded[one], embedded[two]) for one, two in ((0, 1), (0, 2), (1, 2))]
    expected = [bound_by_loop(*(each.detach() for each in pair), CRITICS[name]) for pair in pairs]
    assert method.scalars[BOUND] == pytest.approx(sum(expected) / 3, abs=1e-5)
    assert method.scalars[CEILING] == pytest.approx(math.log(10))


def test_settings_change_the_critic():
    assert NTXentSpec(temperature=0.2).build().critic_temperature == pytest.approx(0.2)
    assert AlignUniformSpec(t=4.0).build().critic_temperature == pytest.approx(0.125)


def test_supcon_moco_and_paco_have_it_of_their_two_views():
    labels = torch.arange(10) % 3
    torch.manual_seed(0)
    supcon = SupCon(SupConSpec(projection_dim=6), Rows())
    moco = MoCo(MoCoSpec(projection_dim=6, queue_size=16), Rows())
    paco = PaCo(PaCoSpec(projection_dim=6, queue_size=16), Rows(), labels.bincount())
    queued = SupConQueue(SupConQueueSpec(projection_dim=6, queue_size=16), Rows())
    for method, temperature in (
        (supcon, 0.1),
        (moco, 0.2),
        (paco, paco.spec.temperature),
        (queued, 0.1),
    ):
        embedded = method.embed(views())
        method.loss(embedded, labels)
        first, second = (each.detach() for each in embedded[:2])
        expected = bound_by_loop(first, second, temperature)
        assert method.scalars[BOUND] == pytest.approx(expected, abs=1e-5)
        assert method.scalars[CEILING] == pytest.approx(math.log(10))


def test_the_queue_is_no_part_of_it():
    torch.manual_seed(0)
    method = MoCo(MoCoSpec(projection_dim=6, queue_size=16), Rows())
    method(views())
    before = method.scalars[BOUND]
    method.after_step(0.0)
    embedded = method.embed(views())
    method.loss(embedded)
    assert len(method.queue) > 0
    queries, keys = (each.detach() for each in embedded)
    assert method.scalars[BOUND] == pytest.approx(bound_by_loop(queries, keys, 0.2), abs=1e-5)
    assert before == pytest.approx(method.scalars[BOUND], abs=0.05)


def test_byol_has_no_critic_and_no_bound():
    method = BYOL(BYOLSpec(projection_dim=6), Rows())
    method(views())
    assert BOUND not in method.scalars
