"""What methods share whose keys a slow copy of the encoder makes, and a queue keeps."""

from jaxtyping import Float
from torch import Tensor, nn

from nearfar.methods.batch_norm import encoded_as_keys
from nearfar.methods.method import Method
from nearfar.methods.momentum import follow
from nearfar.methods.queue import Queue


class MomentumKeys(Method):
    """MoCo's keys and queue (He et al. 2020): a momentum encoder, and rows of earlier steps.

    A subclass makes the networks, their copies and the queue; where its heads have other names, it
    says in `embedding_head` and `head_followers` which they are. What its loss gives to
    `queue.wait` enters after the step.

    Args:
        momentum: Share of its weights that the momentum encoder keeps at each step.
    """

    projection: nn.Module
    momentum_encoder: nn.Module
    momentum_projection: nn.Module
    queue: Queue

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum

    @property
    def embedding_head(self) -> nn.Module:
        """The projection head of the queries."""
        return self.projection

    @property
    def head_followers(self) -> tuple[nn.Module, ...]:
        """The head of the keys."""
        return (self.momentum_projection,)

    def keys_of(self, view: Tensor) -> Float[Tensor, "batch dim"]:
        """This rank's keys of a view, without gradient."""
        return encoded_as_keys((self.momentum_encoder, *self.head_followers), view)

    def after_step(self, progress: float) -> None:  # noqa: ARG002  the momentum is constant
        """The momentum encoder moves; the keys of the step enter the queue."""
        follow(self.momentum_encoder, self.encoder, self.momentum)
        for head in self.head_followers:
            follow(head, self.embedding_head, self.momentum)
        self.queue.let_in()
