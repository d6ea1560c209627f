import re
from pathlib import Path

import torch

import nearfar
from nearfar.training.generators import Generators

CPU = torch.device("cpu")


def draw(generators: Generators) -> list[float]:
    return [torch.rand((), generator=generators.views).item(), torch.rand(()).item()]


def test_the_seed_decides_every_draw():
    with Generators(1, CPU) as generators:
        first = draw(generators)
    torch.rand(7)
    with Generators(1, CPU) as generators:
        assert draw(generators) == first
    with Generators(2, CPU) as generators:
        assert all(a != b for a, b in zip(draw(generators), first, strict=True))
    with Generators(1, CPU, rank=1) as generators:
        assert all(a != b for a, b in zip(draw(generators), first, strict=True))


def test_streams_of_one_seed_differ():
    with Generators(1, CPU) as generators:
        views, global_ = draw(generators)
    assert views != global_


def test_a_saved_state_goes_on_where_it_was():
    with Generators(1, CPU) as generators:
        draw(generators)
        state = {name: tensor.clone() for name, tensor in generators.state().items()}
        expected = [draw(generators) for _ in range(3)]
    with Generators(5, CPU) as generators:
        generators.restore(state)
        assert [draw(generators) for _ in range(3)] == expected


def test_draws_that_begin_anew_are_new_and_repeatable():
    def drawn(rank: int, step: int | None) -> list[float]:
        with Generators(1, CPU, rank) as generators:
            draw(generators)
            if step is not None:
                generators.begin_anew(step)
            return draw(generators)

    assert drawn(1, 8) == drawn(1, 8)
    every = [drawn(rank, step) for rank in (0, 1) for step in (None, 8, 9)]
    assert len({number for numbers in every for number in numbers}) == 12


def test_nothing_seeds_the_global_generators():
    """They belong to the caller and to all threads: code draws from generators of its own."""
    seeding = re.compile(r"torch\.manual_seed\(|fork_rng\(|np\.random\.seed\(|\brandom\.seed\(")
    source = Path(nearfar.__file__).parent
    found = [
        f"{file.relative_to(source)}:{number}"
        for file in sorted(source.rglob("*.py"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if seeding.search(line) and "`torch.manual_seed(seed)`" not in line
    ]
    assert found == []
