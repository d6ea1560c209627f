"""Tensors of the device that are read later than they are made, so that nothing waits for them."""

from collections.abc import Sequence

import torch
from torch import Tensor

RUNS_AHEAD = {"cuda": 4}
"""Steps, by type of device, by which a loop may be ahead of what it has read. Enough for the queue
of the device never to run dry, and few enough for an error to be told soon."""


class Late:
    """Tensors on their way to the CPU.

    On CUDA they are copied into pinned memory behind what the device was asked for so far, and
    reading waits for that alone, not for what it was asked for since. Elsewhere nothing is late.

    Args:
        tensors: On the device; what they hold now is what is read.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._copied: torch.cuda.Event | None = None
        on_cuda = [each for each in tensors if each.device.type == "cuda"]
        # Only CUDA's copies land in pinned memory, and can be waited for by an event.
        self._tensors = [each.detach().to("cpu", non_blocking=each.is_cuda) for each in tensors]
        if on_cuda:
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(on_cuda[0].device))

    def read(self) -> list[Tensor]:
        """The tensors, on the CPU."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._tensors
