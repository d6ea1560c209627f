"""Every source of randomness that training draws from, seeded, saved and restored as one."""

import numpy as np
import torch
from torch import Tensor

from nearfar.training.own_draws import OwnDraws


class Generators:
    """The random generators of a run: the views' own, and what stands in for torch's global ones.

    As a context it lets this thread draw from its own generators where code asks torch's: training
    neither depends on what is drawn before or beside it nor changes what comes after. NumPy's and
    Python's global generators are left alone: nothing in training draws from them.

    Args:
        seed: Decides every draw.
        device: Where the views are drawn.
        rank: Each rank has streams of its own; those of rank 0 are those of a single process.

    Attributes:
        views: The generator that the random views draw from.
    """

    def __init__(self, seed: int, device: torch.device, rank: int = 0) -> None:
        # Independent streams from one seed: the views must not repeat the draws of the weights.
        words = np.random.SeedSequence(seed, spawn_key=(rank,) if rank else ()).generate_state(2)
        for_views, for_torch = (int(word) for word in words)
        self.views = torch.Generator(device).manual_seed(for_views)
        self._own = OwnDraws(for_torch, device)

    def __enter__(self) -> "Generators":
        self._own.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._own.__exit__(*raised)

    def state(self) -> dict[str, Tensor]:
        """The state of every generator, by its name."""
        return {"views": self.views.get_state(), **self._own.state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Set every generator to what `state` gave."""
        self.views.set_state(state["views"])
        self._own.restore(state)
