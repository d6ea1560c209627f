"""The base of every method: views of a batch in, a loss out, in two stages."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from nearfar.data.source import Part
from nearfar.encoders.head_specs import HeadSpec

ViewsOfBatch = tuple[Shaped[Tensor, " batch *shape"], ...]
"""Views of a batch, normalised, or bytes of texts; row i of each is of example i."""


@dataclass(frozen=True)
class Tower:
    """An encoder and what makes embeddings of its features.

    Attributes:
        encoder: A module with `num_features`.
        head_spec: How the head is built.
        head: From features to embeddings.
        head_followers: Copies of the head that follow it, which begin as it does.
    """

    encoder: nn.Module
    head_spec: HeadSpec
    head: nn.Module
    head_followers: tuple[nn.Module, ...] = ()


class Method(nn.Module, ABC):
    """Turns views of a batch into a loss.

    `embed` works example by example, `loss` compares all examples of the batch, and calling the
    method is `loss(embed(views), labels)`. Between the two a batch larger than memory is put
    together from parts (`nearfar.training.gradient_caching`), and `loss` gathers the rows of all
    ranks (`nearfar.similarity.gathering`).

    All state is in parameters and buffers, so that a checkpoint holds it.

    Attributes:
        encoder: A module with `num_features`, from examples to features `(batch, num_features)`;
            trained, and all that is kept afterwards.
    """

    encoder: nn.Module

    head_spec: HeadSpec | None = None
    """How `embedding_head` is built, where more than the spec decides it."""

    def check_examples(self, whole: Part | None) -> None:
        """Refuse data that do not fit what is held of each example, before any work.

        Args:
            whole: What is learnt from with all that is held out of it, in the order of the numbers
                that `belonging` is asked for; None where these are two parts.
        """

    def belonging(self, numbers: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002  most hold nothing
        """What is held of examples beside their views, such as a teacher's features.

        Args:
            numbers: `(batch,)`, places in the training part, nothing held out.

        Returns:
            Tensors of a row for each, which `embed` is given behind the views.
        """
        return ()

    @property
    def told(self) -> dict[str, str]:
        """What a person should know of what it holds and no setting tells: lines by their names."""
        return {}

    @property
    def fingerprints(self) -> dict[str, str]:
        """What else the training depends on and no checkpoint holds: content by name.

        A run is gone on with only where it is the same.
        """
        return {}

    @property
    def embedding_head(self) -> nn.Module | None:
        """From features to embeddings: what `projection` of its spec built, trained.

        It is saved with the encoder; None where the method has none.
        """
        return None

    @property
    def second_tower(self) -> Tower | None:
        """The encoder of what is paired with the examples, and its head; None where nothing is.

        Both are saved, beside `encoder`.
        """
        return None

    @property
    def head_followers(self) -> tuple[nn.Module, ...]:
        """Copies of `embedding_head` that follow it, which begin as it does."""
        return ()

    def forward(self, views: tuple[Tensor, ...], labels: Tensor | None = None) -> Float[Tensor, ""]:
        """The loss of the views of a batch, a scalar mean in nats."""
        return self.loss(self.embed(views), labels)

    @abstractmethod
    def embed(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """All that the loss needs of the views: tensors of one row for each example, of any shape.

        It may be called for parts of a batch, and twice for each part. So it draws from torch's
        generators alone, changes nothing but buffers (batch-norm's), and remembers nothing for
        `scalars`. Rows that take no gradient (of a momentum encoder or a target network) are made
        under `torch.no_grad()` and given along.
        """

    @abstractmethod
    def loss(self, embedded: Any, labels: Tensor | None = None) -> Float[Tensor, ""]:
        """The loss of all examples of the batch, from the tuple of `embed`; called once a step.

        It may use parameters of its own (centres, a temperature) and read a queue. What `scalars`
        and `after_step` need of the batch is remembered here, without a graph.
        """

    @property
    def scalars(self) -> dict[str, float]:
        """What is worth logging of the last call; waits for the device when read."""
        return {}

    def after_step(self, progress: float) -> None:
        """Called after each step of the optimiser, with k/K after step k of K, counted from 0.

        Here a momentum encoder moves, and the keys of the step enter the queue.
        """
