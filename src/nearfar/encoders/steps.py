"""What CPC asks of an encoder: a vector for each step of an example, and one for all up to it."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Vectors = Float[Tensor, "batch num_steps columns num_features"]
Steps = tuple[Vectors, Vectors]
PatchChange = Callable[[Tensor], Tensor]
"""Of patches `(patches, channels, side, side)`, to patches of the same shape."""


@runtime_checkable
class StepEncoder(Protocol):
    """An encoder of series, or of images read as rows of patches; any module of this shape will do.

    Attributes:
        num_features: Width of features, of z and of c.
        num_steps: Steps that an example has.
    """

    num_features: int
    num_steps: int

    def steps(self, examples: Tensor) -> Steps:
        """Vectors z and c of each step and column.

        Args:
            examples: A normalised batch.

        Returns:
            z, each of which knows one step and what is close before it, and c, each of which knows
            all steps up to its own. Nothing in either depends on a later step. Series have one
            column.
        """
        ...


@runtime_checkable
class PatchEncoder(StepEncoder, Protocol):
    """A step encoder that cuts images into patches, which can be changed before they are encoded.

    Attributes:
        patch: Side of a patch, in pixels.
    """

    patch: int

    def steps(self, examples: Tensor, change: PatchChange | None = None) -> Steps:
        """Vectors z and c of each step and column.

        Args:
            examples: A normalised batch.
            change: What is done to all patches of the batch, each by itself, once they are cut.
        """
        ...
