import json
import random

import numpy as np
import torch

from nearfar.training.generators import Generators

CPU = torch.device("cpu")


def draw(generators: Generators) -> list[float]:
    return [
        torch.rand((), generator=generators.views).item(),
        torch.rand(()).item(),
        float(np.random.standard_normal()),
        random.gauss(0, 1),
    ]


def test_the_seed_decides_every_draw():
    random.seed(99)
    with Generators(1, CPU) as generators:
        first = draw(generators)
    np.random.rand(7)
    with Generators(1, CPU) as generators:
        assert draw(generators) == first
    with Generators(2, CPU) as generators:
        assert all(a != b for a, b in zip(draw(generators), first, strict=True))


def test_streams_of_one_seed_differ():
    with Generators(1, CPU) as generators:
        views, global_ = draw(generators)[:2]
    assert views != global_


def test_a_saved_state_goes_on_where_it_was():
    with Generators(1, CPU) as generators:
        draw(generators)  # leaves a spare normal in numpy and in python
        tensors, scalars = generators.state()
        scalars = json.loads(json.dumps(scalars))
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        expected = [draw(generators) for _ in range(3)]
    with Generators(5, CPU) as generators:
        generators.restore(tensors, scalars)
        assert [draw(generators) for _ in range(3)] == expected


def test_the_caller_gets_its_own_generators_back():
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    expected = [torch.rand(()).item(), np.random.rand(), random.random()]
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    with Generators(1, CPU) as generators:
        draw(generators)
    assert [torch.rand(()).item(), np.random.rand(), random.random()] == expected
