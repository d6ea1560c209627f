"""What training asks of a method. There is nothing to inherit: any module of this shape will do."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Method(Protocol):
    """A `torch.nn.Module` that turns views of a batch into a loss, in two stages.

    `embed` works example by example, `loss` compares all examples of the batch, and calling the
    method is `loss(embed(views), labels)`. Between the two a batch larger than memory is put
    together from parts (`nearfar.training.gradient_caching`), and `loss` gathers the rows of all
    ranks (`nearfar.similarity.ranks`).

    All state is in parameters and buffers, so that a checkpoint holds it. The last members are
    what `torch.nn.Module` brings.

    Attributes:
        encoder: What is kept after training: images `(batch, channels, height, width)` to features
            `(batch, num_features)`.
    """

    encoder: nn.Module

    def __call__(self, views: tuple[Tensor, ...], labels: Tensor | None = None) -> Tensor:
        """The loss, a scalar mean in nats, of the views of each example: one, two or more."""
        ...

    def embed(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """All that the loss needs of the views: tensors of one row for each example, of any shape.

        It may be called for parts of a batch, and twice for each part. So it draws from torch's
        generators alone, changes nothing but buffers (batch-norm's), and remembers nothing for
        `scalars`. Rows that take no gradient (of a momentum encoder or a target network) are made
        under `torch.no_grad()` and given along.
        """
        ...

    def loss(self, embedded: Any, labels: Tensor | None = None) -> Tensor:
        """The loss of all examples of the batch, from the tuple of `embed`; called once a step.

        It may use parameters of its own (centres, a temperature) and read a queue. What `scalars`
        and `after_step` need of the batch is remembered here, without a graph.
        """
        ...

    @property
    def scalars(self) -> dict[str, float]:
        """What is worth logging of the last call; waits for the device when read."""
        ...

    def after_step(self, progress: float) -> None:
        """Called after each step of the optimiser, with k/K after step k of K, counted from 0.

        Here a momentum encoder moves, and the keys of the step enter the queue.
        """
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
