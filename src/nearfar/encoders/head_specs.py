"""Heads between an encoder's features and the embeddings that a loss compares. Imports no torch."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from nearfar.plugins import imported
from nearfar.spec import Choice

if TYPE_CHECKING:
    from torch import nn

HeadWidth = Annotated[int, Ge(1), Le(2**20)]
HeadName = Literal["identity", "linear", "mlp"]
"""What a method's setting `head` chooses from; the widths and layers are the method's."""


class HeadSpec(Choice, noun="head"):
    """A head; `encoder.json` holds it, so that the saved one can be built again."""

    room: ClassVar[str] = "head."

    def width(self, num_features: int) -> int:
        """Width of the embeddings that it makes of features so wide."""
        raise NotImplementedError

    def arguments(self, num_features: int) -> dict[str, Any]:
        """What the target is called with."""
        raise NotImplementedError

    def build(self, num_features: int) -> "nn.Module":
        """The head, its weights from torch's global generator.

        Returns:
            A module from `(batch, num_features)` to `(batch, width(num_features))`.
        """
        return imported(self.target)(**self.arguments(num_features))


class IdentityHeadSpec(HeadSpec):
    """No head: the features are the embeddings."""

    target = "torch.nn:Identity"
    name: Literal["identity"] = "identity"

    def width(self, num_features: int) -> int:
        """That of the features."""
        return num_features

    def arguments(self, num_features: int) -> dict[str, Any]:  # noqa: ARG002  others need it
        """None."""
        return {}


class LinearHeadSpec(HeadSpec):
    """One linear layer."""

    target = "torch.nn:Linear"
    name: Literal["linear"] = "linear"
    dim: HeadWidth = 128
    """Width of the embeddings."""

    def width(self, num_features: int) -> int:  # noqa: ARG002  another head needs it
        """As set."""
        return self.dim

    def arguments(self, num_features: int) -> dict[str, Any]:
        """Both widths."""
        return {"in_features": num_features, "out_features": self.dim}


class MLPHeadSpec(HeadSpec):
    """Hidden layers with ReLU, then a linear layer."""

    target = "nearfar.encoders.mlp:ProjectionHead"
    name: Literal["mlp"] = "mlp"
    hidden: HeadWidth | None = 512
    """Width of each hidden layer; None: that of the features."""
    dim: HeadWidth = 128
    """Width of the embeddings."""
    depth: Annotated[int, Ge(1), Le(100)] = 1
    """Hidden layers."""
    batch_norm: bool = True
    """Batch-norm before each ReLU."""
    hidden_bias: bool = False
    """Hidden layers have a bias of their own."""
    bias: bool = True
    """The last layer has one."""

    def width(self, num_features: int) -> int:  # noqa: ARG002  another head needs it
        """As set."""
        return self.dim

    def arguments(self, num_features: int) -> dict[str, Any]:
        """Widths and layers."""
        return {
            "num_features": num_features,
            "hidden": self.hidden or num_features,
            "dim": self.dim,
            "depth": self.depth,
            "batch_norm": self.batch_norm,
            "hidden_bias": self.hidden_bias,
            "bias": self.bias,
        }
