import pytest
import torch
from torch.func import functional_call

from nearfar.information import critics
from nearfar.information.critics import OneHot, Standardised, build_critic, side_of
from nearfar.information.specs import CriticSpec

KINDS = ["separable", "joint"]


def pairs(count=12, classes=None):
    generator = torch.Generator().manual_seed(0)
    x = 5 + 3 * torch.randn(count, 4, generator=generator)
    if classes is None:
        return x, torch.randn(count, 2, generator=generator)
    return x, torch.randint(classes, (count,), generator=generator)


def critic_of(kind, x, z, classes=None):
    torch.manual_seed(0)
    config = CriticSpec(kind=kind, hidden=16, layers=2, embedding_dim=8)
    return build_critic(config, side_of(x, None), side_of(z, classes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [None, 3])
def test_the_score_of_a_pair_does_not_depend_on_its_batch(kind, classes):
    x, z = pairs(classes=classes)
    critic = critic_of(kind, x, z, classes)
    matrix = critic(x, z).by_row(lambda rows, places: rows[:, 3])
    few = torch.tensor([5, 3])
    again = critic(x[few], z[few]).by_row(lambda rows, places: rows[:, 1])
    torch.testing.assert_close(again, matrix[few])


def test_a_joint_critic_is_one_network_of_both_sides():
    x, z = pairs()
    critic = critic_of("joint", x, z)
    of_x, of_z = critic.of_x, critic.of_z
    weight = torch.cat([of_x[1].weight, of_z[1].weight], dim=1)
    scores = critic(x, z)
    for i, j in [(0, 0), (2, 7), (11, 4)]:
        both = torch.cat([of_x[0](x[i : i + 1]), of_z[0](z[j : j + 1])], dim=1)
        expected = critic.of_both(both @ weight.T + of_x[1].bias).squeeze()
        torch.testing.assert_close(scores.matrix[i, j], expected)


def test_a_joint_critic_in_blocks_has_the_same_scores_and_gradients(monkeypatch):
    x, z = pairs()
    critic = critic_of("joint", x, z)

    def scores_and_gradients():
        scores = critic(x, z).matrix
        return scores, torch.autograd.grad(scores.square().sum(), list(critic.parameters()))

    whole = scores_and_gradients()
    monkeypatch.setattr(critics, "_HELD", 5 * 12 * 16)  # five rows at a time
    torch.testing.assert_close(scores_and_gradients(), whole)


def test_standardising_reads_the_training_part_and_forgives_a_constant_column():
    x, _ = pairs()
    x[:, 1] = 7.0
    side = Standardised(x[:8])
    rows = side(x[:8])
    torch.testing.assert_close(rows.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std(0), torch.tensor([1.0, 0, 1, 1]))
    assert side(x).isfinite().all()


def test_labels_become_rows_with_a_single_one():
    assert OneHot(3)(torch.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_is_rebuilt_from_its_state(kind):
    x, z = pairs()
    critic, other = critic_of(kind, x, z), critic_of(kind, x[:6], z[:6])
    state = critic.state_dict()
    torch.testing.assert_close(functional_call(other, state, (x, z)).paired, critic(x, z).paired)
