"""What training asks of a method. There is nothing to inherit: any module of this shape will do."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Method(Protocol):
    """A `torch.nn.Module` that turns two views of a batch into a loss.

    All state is in parameters and buffers, so that a checkpoint holds it. The last members are
    what `torch.nn.Module` brings.

    Attributes:
        encoder: What is kept after training: images `(batch, channels, height, width)` to features
            `(batch, num_features)`.
    """

    encoder: nn.Module

    def __call__(self, views: tuple[Tensor, Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss, a scalar mean in nats, of two views, each `(batch, channels, size, size)`."""
        ...

    @property
    def scalars(self) -> dict[str, float]:
        """What is worth logging of the last call; waits for the device when read."""
        ...

    def after_step(self, progress: float) -> None:
        """Called after each step of the optimiser; progress goes from 0 to 1 over the run."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What the optimiser trains, by name."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers, for a checkpoint."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Takes what `state_dict` gave."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Switches batch-norm and its like to training."""
        ...
