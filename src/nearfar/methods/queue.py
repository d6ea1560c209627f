"""A queue of the rows of earlier steps: first in, first out, for batches of any size."""

from typing import cast

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from nearfar.errors import NearfarError


class Queue(nn.Module):
    """The newest `size` rows that entered, in named columns; a new row takes the oldest's place.

    It begins empty, and only what is filled is given out. Everything is in buffers, so a checkpoint
    holds rows and place.

    Args:
        size: Most rows held; 1 or more. A batch may be larger, or not divide it.
        columns: Name of each column and one row of it, whose shape and type all its rows have:
            `Queue(4096, keys=torch.zeros(128), labels=torch.zeros((), dtype=torch.int64))`.
    """

    entered: Tensor

    def __init__(self, size: int, **columns: Shaped[Tensor, "..."]) -> None:
        super().__init__()
        self.size = size
        self.columns = tuple(columns)
        for name, row in columns.items():
            self.register_buffer(name, row.new_zeros((size, *row.shape)))
        self.register_buffer("entered", torch.zeros((), dtype=torch.int64))
        self._waiting: dict[str, Tensor] | None = None
        self._full = False
        self.register_load_state_dict_post_hook(_forget_that_it_is_full)

    def __len__(self) -> int:
        """Rows that are filled; waits for the device until all are."""
        if not self._full:
            self._full = bool(self.entered >= self.size)
        return self.size if self._full else int(self.entered)

    def rows(self, column: str) -> Shaped[Tensor, " filled *row"]:
        """The filled rows of a column, by their slots: a view, good until `enqueue`."""
        return cast(Tensor, getattr(self, column))[: len(self)]

    def wait(self, **columns: Shaped[Tensor, "_ ..."]) -> None:
        """Keep rows until `let_in`, in place of any that wait still: their step was given up."""
        self._waiting = columns

    def let_in(self) -> None:
        """Let the rows that wait enter, if any do."""
        if self._waiting is not None:
            self.enqueue(**self._waiting)
            self._waiting = None

    @torch.no_grad()
    def enqueue(self, **columns: Shaped[Tensor, "_ ..."]) -> None:
        """Let rows enter, the first as the oldest; of more than `size`, the last stay."""
        counts = {name: len(rows) for name, rows in columns.items()}
        if set(counts) != set(self.columns) or len(set(counts.values())) != 1:
            raise NearfarError(
                f"the queue takes equally many rows of {', '.join(self.columns)}, not "
                + ", ".join(f"{count} of {name}" for name, count in counts.items())
            )
        count = next(iter(counts.values()))
        left_out = max(0, count - self.size)
        slots = torch.arange(left_out, count, device=self.entered.device)
        slots = (slots + self.entered) % self.size
        for name, rows in columns.items():
            held = cast(Tensor, getattr(self, name))
            held[slots] = rows[left_out:].to(held)
        self.entered += count


def _forget_that_it_is_full(queue: Queue, _unexpected: object) -> None:
    """Rows were loaded, maybe fewer."""
    queue._full = False
