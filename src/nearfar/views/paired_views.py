"""Views of pairs of two kinds: each side by the views of its own kind."""

import torch
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.views.views import Views


class PairedViews:
    """Views that are drawn of the examples and of what is paired with them, by turns.

    Args:
        first: Of the examples.
        second: Of what is paired with them, as many.

    Attributes:
        count: Views of both together.
    """

    def __init__(self, first: Views, second: Views) -> None:
        self.of_kinds = first, second
        self.count = first.count + second.count

    def __call__(self, _: Tensor, __: torch.Generator, /) -> tuple[Tensor, ...]:
        """Nothing can be drawn of one kind alone.

        Raises:
            NearfarError: Always.
        """
        raise NearfarError("views of pairs are drawn of examples and what is paired with them")

    def draw(self, examples: Tensor, generator: torch.Generator, view: int = 0) -> Tensor:
        """One view of each: of examples where the number is even, else of what is paired."""
        return self.of_kinds[view % 2].draw(examples, generator, view=view // 2)
