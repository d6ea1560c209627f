"""Every source of randomness that training draws from, seeded, saved and restored as one."""

import random
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Generators:
    """The random generators of a run: the views' own, and the global ones of torch, numpy, python.

    As a context it takes the global generators over, seeds them, and hands them back to the caller
    as they were: training neither depends on what was drawn before nor changes what comes after.

    Args:
        seed: Decides every draw.
        device: Where the views are drawn.
        rank: Each rank has streams of its own; those of rank 0 are those of a single process.

    Attributes:
        views: The generator that the random views draw from.
    """

    def __init__(self, seed: int, device: torch.device, rank: int = 0) -> None:
        self._seed = np.random.SeedSequence(seed, spawn_key=(rank,) if rank else ())
        self._cuda = device if device.type == "cuda" else None
        self.views = torch.Generator(device)

    def __enter__(self) -> "Generators":
        self._before = self.state()
        # Independent streams from one seed: the views must not repeat the draws of the weights.
        for_views, for_torch, for_numpy, for_python = (
            int(word) for word in self._seed.generate_state(4)
        )
        self.views.manual_seed(for_views)
        torch.manual_seed(for_torch)
        np.random.seed(for_numpy)
        random.seed(for_python)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restore(*self._before)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state of every generator: tensors, and the few numbers that are not tensors."""
        kind, words, position, has_normal, normal = np.random.get_state(legacy=True)
        version, python_words, python_normal = random.getstate()
        tensors = {
            "views": self.views.get_state(),
            "torch": torch.get_rng_state(),
            "numpy": torch.from_numpy(np.asarray(words).astype(np.int64)),
            "python": torch.tensor(python_words, dtype=torch.int64),
        }
        if self._cuda is not None:
            tensors["cuda"] = torch.cuda.get_rng_state(self._cuda)
        scalars = {
            "numpy": [kind, position, has_normal, normal],
            "python": [version, python_normal],
        }
        return tensors, scalars

    def restore(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        """Set every generator to what `state` gave."""
        self.views.set_state(tensors["views"])
        torch.set_rng_state(tensors["torch"])
        if self._cuda is not None and "cuda" in tensors:
            torch.cuda.set_rng_state(tensors["cuda"], self._cuda)
        kind, position, has_normal, normal = scalars["numpy"]
        words = tensors["numpy"].numpy().astype(np.uint32)
        np.random.set_state((kind, words, position, has_normal, normal))
        version, python_normal = scalars["python"]
        random.setstate((version, tuple(tensors["python"].tolist()), python_normal))
