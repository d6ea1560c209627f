"""False positives: second views that are, at times, of an example of another class.

An experiment of Troshestova & Isachenko (2023), who ask what wrong positives cost. Labels only
decide which positives are wrong; the method does not see more of them.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Integer
from torch import Tensor

from nearfar.errors import SettingError

MakeViews = Callable[[Tensor, torch.Generator], tuple[Tensor, ...]]
"""One or more random views of each example of a batch, such as `nearfar.views.views.Views`."""


@runtime_checkable
class SingleViews(Protocol):
    """Views that can be drawn one by one; `nearfar.views.views.Views` are."""

    count: int

    def draw(self, examples: Tensor, generator: torch.Generator, /, view: int = 0) -> Tensor:
        """One view of each example, from the parameters of the view of this number."""
        ...


def views_of_batch(
    views: MakeViews,
    examples: Tensor,
    labels: Tensor | None,
    generator: torch.Generator,
    false_positives: float = 0.0,
    beside: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """All views of a batch, some second ones of examples of other classes.

    Args:
        labels: Of the examples; read only where there are false positives.
        false_positives: Probability, 0 to 1, that an example's second view is instead one of an
            example of another class of this batch (under ranks, of this rank's share), drawn evenly
            among them. An example whose class is the only one keeps its own.
        beside: What the data put beside each example: second views, and every other one, are of
            these.

    Raises:
        SettingError: False positives are asked for and there are no labels, or the views cannot be
            drawn one by one.
    """
    if not false_positives and beside is None:
        return views(examples, generator)
    if (false_positives and labels is None) or not isinstance(views, SingleViews):
        lacking = "labels" if isinstance(views, SingleViews) else "views that are drawn one by one"
        why = f"training.false_positives is {false_positives:g}" if false_positives else "partners"
        raise SettingError(f"{why}: it needs {lacking}")
    others = examples if beside is None else beside
    second = others
    if labels is not None and false_positives:
        second = others[_false_positives(labels, generator, false_positives)]
    of = [second if view == 1 else others if view % 2 else examples for view in range(views.count)]
    return tuple(views.draw(each, generator, view=view) for view, each in enumerate(of))


def _false_positives(
    labels: Integer[Tensor, " batch"], generator: torch.Generator, probability: float
) -> Integer[Tensor, " batch"]:
    """For each example its own number or, with a probability, that of one of another class."""
    chosen, place = torch.rand(2, len(labels), generator=generator, device=generator.device).to(
        labels.device
    )
    order = labels.argsort(stable=True)
    ordered = labels[order]
    start = torch.searchsorted(ordered, labels)
    size = torch.searchsorted(ordered, labels, right=True) - start
    others = len(labels) - size
    # In the order of classes, an example's own class is one piece, which the draw steps over.
    drawn = (place * others).long().minimum(others - 1)
    drawn = torch.where(drawn < start, drawn, drawn + size)
    own = torch.arange(len(labels), device=labels.device)
    return torch.where((chosen < probability) & (others > 0), order[drawn], own)
